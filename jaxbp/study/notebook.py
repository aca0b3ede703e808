"""What the notebooks in `studies/notebooks/` show: the device, tables and pictures.

Each function returns an object that a notebook shows by itself when it is the last
thing in a cell; in a terminal it prints as text.
"""

import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from jaxbp.study import plots, tables
from jaxbp.study.base import Row
from jaxbp.timing import DeviceFacts, device_facts

SCREEN_DPI = 80  # how large a notebook shows a picture; its pixels are twice as fine
WIDEST = 1100  # screen pixels; wider pictures are shown smaller
LOUD = "border: 3px solid #D55E00; padding: 0.6em 1em; font-size: 120%"
CALM = "border-left: 5px solid #009E73; padding: 0.4em 1em"
HOW_TO_CHANGE = (
    "In Colab: Runtime → Change runtime type → a GPU or TPU, then Runtime → Run all. "
    "Everything here also runs as it is; the numbers are then this CPU's."
)


@dataclass(frozen=True)
class Notice:
    """A few words about the device, loud if it is no accelerator."""

    headline: str
    details: str
    loud: bool

    def __repr__(self) -> str:
        mark = "!!! " if self.loud else ""
        return f"{mark}{self.headline}\n{self.details}"

    def _repr_html_(self) -> str:
        style = LOUD if self.loud else CALM
        headline, details = html.escape(self.headline), html.escape(self.details)
        return f'<div style="{style}"><b>{headline}</b><br>{details}</div>'


@dataclass(frozen=True)
class Table:
    """Rows as people read them."""

    markdown: str

    def __repr__(self) -> str:
        return self.markdown

    def _repr_markdown_(self) -> str:
        return self.markdown


@dataclass(frozen=True)
class Picture:
    """A matplotlib figure that a notebook shows in the studies' style."""

    figure: Any
    title: str = "untitled"

    def __repr__(self) -> str:
        return f"Picture: {self.title}"

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        import matplotlib

        stream = io.BytesIO()
        with matplotlib.rc_context(plots.STYLE):
            self.figure.savefig(stream, format="png")
        width, height = self.figure.get_size_inches() * SCREEN_DPI
        shrunk = min(1, WIDEST / width)
        width, height = width * shrunk, height * shrunk
        return stream.getvalue(), {"width": round(width), "height": round(height)}


def this_device(facts: DeviceFacts | None = None) -> Notice:
    """What JAX computes on here; says loudly when it is only a CPU.

    Args:
      facts: of the device; None asks for those of JAX's default device.
    """
    facts = facts or device_facts()
    size = f"{facts.cores} cores" if facts.cores else f"{facts.devices} of them"
    versions = f"JAX {jax.__version__}, {precision()} by default."
    if facts.platform == "cpu":
        headline = f"NO ACCELERATOR: this is only a CPU ({facts.name}, {size})."
        return Notice(headline, f"{versions} {HOW_TO_CHANGE}", loud=True)
    headline = f"{facts.platform.upper()}: {facts.name} ({size})."
    return Notice(headline, versions, loud=False)


def precision() -> str:
    """Name of the dtype that floats get in this process."""
    return jax.dtypes.canonicalize_dtype(float).name


def table(rows: Sequence[Row], columns: Sequence[str] | None = None) -> Table:
    """Rows as a table, units as in the studies' tables.

    Args:
      rows: names of columns end in their unit (`_s`, `_bytes`, `_flops`).
      columns: which, in order; None takes all.
    """
    columns = columns or [n for n in tables.column_names(rows) if n in rows[0]]
    return Table(tables.markdown(rows, columns))


def picture(plot: Callable, rows: Sequence[Row], title: str, panels: int = 1):
    """A `Picture` in the studies' style, drawn by `plot(rows, axes)` on `panels` axes
    in a row."""
    return Picture(plots.draw(plot, list(rows), panels, title), title)
