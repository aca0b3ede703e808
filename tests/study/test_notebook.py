"""What notebooks show: loud without an accelerator, tables, and pictures as PNG."""

import struct

import pytest

from jaxbp.study import notebook, plots
from jaxbp.timing import DeviceFacts

CPU = DeviceFacts("cpu", "Some <Processor>", 2, 1, 2**33)
GPU = DeviceFacts("gpu", "Some T4", None, 1, 2**34)


def test_a_cpu_is_said_loudly():
    notice = notebook.this_device(CPU)
    assert repr(notice).startswith("!!! NO ACCELERATOR: this is only a CPU")
    assert "2 cores" in repr(notice) and "Change runtime type" in repr(notice)
    shown = notice._repr_html_()
    assert "3px solid" in shown and "Some &lt;Processor&gt;" in shown


def test_an_accelerator_is_named_calmly():
    notice = notebook.this_device(GPU)
    assert "Some T4" in repr(notice) and "NO ACCELERATOR" not in repr(notice)
    assert "JAX 0." in repr(notice) and "float64 by default" in repr(notice)
    assert "Change runtime type" not in notice._repr_html_()


def test_the_device_here_is_found():
    assert notebook.this_device().headline


@pytest.mark.parametrize(
    ("columns", "head"),
    [(None, "| time | kind |"), (["kind"], "| kind |")],
)
def test_a_table_has_units_and_the_columns_asked_for(columns, head):
    rows = [{"time_s": 0.0012, "kind": "a"}, {"time_s": 3.0, "kind": "b", "gap": "no"}]
    shown = notebook.table(rows, columns)
    assert shown._repr_markdown_().startswith(head)
    assert repr(shown) == shown._repr_markdown_()
    assert ("1.2 ms" in repr(shown)) == (columns is None)


def test_a_picture_is_a_png_of_its_panels():
    def plot(rows, axes):
        assert len(axes) == 2
        plots.line(axes[0], [1, 2], rows, "a", "blue")

    shown = notebook.picture(plot, (3, 4), "Title", panels=2)
    data, size = shown._repr_png_()
    assert data.startswith(b"\x89PNG") and repr(shown) == "Picture: Title"
    width, height = struct.unpack(">II", data[16:24])
    assert (width, height) == (2 * size["width"], 2 * size["height"])
