"""A trace as a table on a terminal, as plain text, and in a notebook."""

import html
from collections.abc import Iterator
from typing import Any, NamedTuple

from .. import display, ir
from ..costs.render import show
from ..palette import COLOURS
from .row import Row, type_name
from .words import bytes_cell, cell

WIDTH = 132  # columns of the plain text
COLUMNS = ("equation", "type", "primal", "tangent", "cotangent", "flops", "kept")
HEADINGS = (*COLUMNS, "source")
LEFT = ("equation", "type", "source")
KEY = "‖2-norm‖ and least … greatest of larger arrays."


class Line(NamedTuple):
    """One line of the table: a value of a row, or a heading without one."""

    row: Row
    cells: tuple[str, ...]  # in the order of HEADINGS


def lines(trace) -> Iterator[Line]:
    """The table, line by line."""
    for row in trace.rows:
        indent = "  " * row.level
        if not row.names:
            yield Line(row, (indent + row.equation, *[""] * (len(HEADINGS) - 1)))
        for i, name in enumerate(row.names):
            equal = f" = {row.equation}" if row.equation and i == 0 else ""
            on = row.differentiable[i]
            yield Line(
                row,
                (
                    indent + name + equal,
                    type_name(ir.typeof(row.primals[i])),
                    cell(row.primals[i]),
                    cell(row.tangents[i], on),
                    cell(row.cotangents[i], on),
                    show(row.flops) if row.flops is not None and i == 0 else "",
                    bytes_cell(row.kept_bytes) if i == 0 else "",
                    row.source if i == 0 else "",
                ),
            )


def summary(trace) -> str:
    """The totals in a sentence."""
    flops, kept = show(trace.flops), bytes_cell(trace.kept_bytes) or "0 B"
    return f"{flops} flops; {kept} kept for reverse mode."


def key(shown: list[Line]) -> str:
    """What the signs in the cells mean, where there are any."""
    return KEY if any("‖" in text for line in shown for text in line.cells) else ""


def remarks(trace) -> list[str]:
    """What could not be computed, and what came out as no number."""
    return [*trace.notes, *trace.suspicions()]


def as_rich(trace):
    """A renderable of rich: the table, the totals, remarks."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title=trace.name,
        title_justify="left", title_style="bold",
    )  # fmt: skip
    tones: dict[str, Any] = {"primal": "blue", "cotangent": "red", "source": "dim"}
    shown = list(lines(trace))
    for heading in HEADINGS:
        side: Any = "left" if heading in LEFT else "right"
        tone = tones.get(heading)
        table.add_column(heading, justify=side, style=tone, overflow="fold")
    for line in shown:
        style = "bold" if line.row.kind in ("input", "output") else ""
        style = "dim" if line.row.kind == "step" else style
        table.add_row(*map(Text, line.cells), style=style)
    notes = [Text(f"· {remark}", "yellow") for remark in remarks(trace)]
    return Group(table, Text(f"{summary(trace)} {key(shown)}".rstrip()), *notes)


def as_text(trace) -> str:
    """The table without colours, for `str` and for files."""
    return display.as_text(as_rich(trace), WIDTH)


CSS = {
    "table": "border-collapse:collapse;font:13px/1.45 monospace;margin:.5em 0",
    "th": "text-align:{side};padding:2px 10px;border-bottom:2px solid #8888",
    "td": "text-align:{side};padding:2px 10px;border-bottom:1px solid #8883;"
    "white-space:pre;{more}",
}
TINTS = {
    "primal": f"color:{COLOURS['blue']}",
    "cotangent": f"color:{COLOURS['vermilion']}",
    "source": "opacity:.6",
}


def as_html(trace) -> str:
    """An HTML table, styled in place, for a notebook or a page of its own."""
    head = "".join(_html_cell("th", h, h, "") for h in HEADINGS)
    shown = list(lines(trace))
    body = "".join(f"<tr>{''.join(_html_line(line))}</tr>\n" for line in shown)
    notes = "".join(f"<div>⚠ {html.escape(r)}</div>" for r in remarks(trace))
    return (
        f"<div><b>{html.escape(trace.name)}</b>\n<table style='{CSS['table']}'>\n"
        f"<tr>{head}</tr>\n{body}</table>\n"
        f"<div>{html.escape(summary(trace))} {key(shown)}</div>{notes}</div>\n"
    )


def _html_line(line: Line) -> Iterator[str]:
    strong = "font-weight:bold;" if line.row.kind in ("input", "output") else ""
    faint = "opacity:.6;" if line.row.kind == "step" else ""
    for heading, text in zip(HEADINGS, line.cells, strict=True):
        yield _html_cell("td", heading, text, strong + faint + TINTS.get(heading, ""))


def _html_cell(tag: str, heading: str, text: str, more: str) -> str:
    side = "left" if heading in LEFT else "right"
    style = CSS[tag].format(side=side, more=more)
    return f"<{tag} style='{style}'>{html.escape(text)}</{tag}>"
