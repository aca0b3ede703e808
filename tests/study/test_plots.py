"""Figures: reproducible bytes, labels that do not collide."""

import pytest

from jaxbp.drawing.spread import spread
from jaxbp.study import plots

ROWS = [{"n": n, "a": n**2, "b": n**2 * 1.01} for n in (1, 10, 100)]


def lines(rows, axes):
    for axis in axes:
        for name, colour in (("a", "blue"), ("b", "vermilion")):
            values = [row[name] for row in rows]
            plots.line(axis, [row["n"] for row in rows], values, name, colour)
        plots.log_log(axis, "n", "value")


def test_the_same_rows_give_the_same_svg(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        figure = plots.draw(lines, ROWS, panels=2, title="A question?")
        paths = plots.save(figure, tmp_path / folder)
        assert [path.name for path in paths] == ["figure.svg", "figure.png"]
    first, second = ((tmp_path / f / "figure.svg").read_bytes() for f in ("one", "two"))
    assert first == second
    assert b"A question?" in first and b"<dc:date>" not in first


def test_labels_of_close_lines_end_up_apart():
    figure = plots.draw(lines, ROWS, panels=1, title="")
    a, b = (text.xyann[1] for text in figure.axes[0].texts)
    assert abs(b - a) > plots.LABEL_POINTS / 2


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([0, 20, 40], [0, 20, 40]),
        ([0, 0], [-5, 5]),
        ([0, 0, 30], [-5, 5, 30]),
        ([0, 0, 6], [-8, 2, 12]),
        ([], []),
    ],
)
def test_places_move_as_little_as_needed(places, expected):
    gaps, weights = [10.0] * (len(places) - 1), [1.0] * len(places)
    assert spread(places, gaps, weights) == pytest.approx(expected)


def test_a_contender_without_rows_draws_nothing():
    figure = plots.draw(
        lambda rows, axes: plots.line(axes[0], [], [], "x", "blue"), [], 1, ""
    )
    assert not figure.axes[0].lines and not figure.axes[0].texts


def test_ratio_dots_mark_the_geometric_mean():
    rows = [
        {"r": 0.5, "r_q25": 0.4, "r_q75": 0.6},
        {"r": 2.0, "r_q25": 1.9, "r_q75": 2.1},
    ]
    figure = plots.draw(
        lambda rows, axes: plots.ratio_dots(axes[0], ["x", "y"], rows, "r", "blue"),
        rows,
        1,
        "",
    )
    assert "geometric mean of 2 steady: 1.00" in figure.axes[0].get_xlabel()
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["x", "y"]


def test_a_name_leaves_the_way_of_another_line_s_points():
    def plot(rows, axes):
        plots.line(axes[0], [1, 2], [1, 2], "short", "blue")
        plots.line(axes[0], [1, 2.2, 4], [0, 2, 4], "long", "orange")

    figure = plots.draw(plot, None, 1, "?")
    short = next(t for t in figure.axes[0].texts if t.get_text() == "short")
    assert short.xyann != (6, 0)


def test_lines_on_one_another_are_one_with_both_names():
    def plot(rows, axes):
        plots.lines(axes[0], rows, "n", "y", {"a": "blue", "b": "orange"})

    rows = [{"n": n, "y": n, "method": m} for n in (1, 2) for m in "ab"]
    axis = plots.draw(plot, rows, 1, "?").axes[0]
    assert [t.get_text() for t in axis.texts] == ["a\n= b"] and len(axis.lines) == 1
