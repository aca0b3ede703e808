"""The picture of a scalar graph: what stands on boxes and arrows, and how apart."""

from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from jaxbp.drawing.picture import save
from jaxbp.errors import InvalidArgument
from jaxbp.scalar import Value, draw, log, sin


@pytest.fixture(scope="module")
def output():
    x1, x2 = Value(2.0, "x1"), Value(5.0, "x2")
    y = log(x1) + x1 * x2 - sin(x2)
    y.label = "y"
    y.backward()
    return y


def texts(figure):
    return [t.get_text() for t in figure.axes[0].texts]


def test_values_on_nodes_and_gradients_on_edges(output):
    found = texts(draw(output, title="Baydin"))
    for known in ("x1", "×", "y = −", "11.652", "5.5", "1.7163", "−0.95892", "Baydin"):
        assert found.count(known) == 1
    assert {"0.5", "−0.28366", "5", "2"} <= set(found)  # sums to 5.5 and 1.7163


def test_slopes_on_edges(output):
    a = Value(1.0, "a")
    b1 = 2 * a
    c = 4 * b1 + 5 * (3 * a + b1)
    c.backward()
    found = texts(draw(c, edges="slopes"))
    assert "33" in found and {"2", "3", "4", "5"} <= set(found)


def test_no_text_covers_another(output):
    figure = draw(output)
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [t.get_window_extent(renderer) for t in figure.axes[0].texts]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    inside = figure.bbox
    assert all(
        inside.contains(b.x0, b.y0) and inside.contains(b.x1, b.y1) for b in boxes
    )


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_same_graph_gives_the_same_file(output, tmp_path, suffix):
    for name in ("one", "two"):
        save(draw(output), tmp_path / f"{name}.{suffix}")
    one, two = ((tmp_path / f"{n}.{suffix}").read_bytes() for n in ("one", "two"))
    assert one == two and len(one) > 1000


def test_what_cannot_be_drawn(output):
    with pytest.raises(InvalidArgument, match='must be "gradients" or "slopes", but'):
        draw(output, edges="values")
    y = output
    for _ in range(600):
        y = -y
    with pytest.raises(InvalidArgument, match="at most 600 nodes to be readable, but"):
        draw(y)
