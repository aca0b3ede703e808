"""What is shown of a trace: its table, the totals, remarks."""

from collections.abc import Iterator

from .. import ir
from ..costs.render import show
from ..display import Column, Line, Page, Table, Words
from .row import Row, type_name
from .words import bytes_cell, cell

COLUMNS = (
    Column("equation", left=True, fold=True),
    Column("type", left=True, spare=1),
    Column("primal", tone="blue"),
    Column("tangent"),
    Column("cotangent", tone="bad"),
    Column("flops", spare=3),
    Column("kept", spare=2),
    Column("source", left=True, tone="dim"),
)
KEY = "‖2-norm‖ and least … greatest of larger arrays."


def table(trace) -> Table:
    """A line per value, and per heading among opened loops."""
    shown = tuple(line for row in trace.rows for line in lines(row))
    return Table(COLUMNS, shown, trace.name)


def lines(row: Row) -> Iterator[Line]:
    """The lines of one row: a value each, or a heading without one."""
    indent = "  " * row.level
    if not row.names:
        yield Line((indent + row.equation,), "dim")
    tone = "bold" if row.kind in ("input", "output") else ""
    for i, name in enumerate(row.names):
        first, on = i == 0, row.differentiable[i]
        equal = f" = {row.equation}" if row.equation and first else ""
        cells = (
            indent + name + equal,
            type_name(ir.typeof(row.primals[i])),
            cell(row.primals[i]),
            cell(row.tangents[i], on),
            cell(row.cotangents[i], on),
            show(row.flops) if row.flops is not None and first else "",
            bytes_cell(row.kept_bytes) if first else "",
            row.source if first else "",
        )
        yield Line(cells, tone)


def summary(trace) -> str:
    """The totals in a sentence."""
    flops, kept = show(trace.flops), bytes_cell(trace.kept_bytes) or "0 B"
    return f"{flops} flop{'s' * (flops != '1')}; {kept} kept for reverse mode."


def key(shown: Table) -> str:
    """What the signs in the cells mean, where there are any."""
    return (
        KEY if any("‖" in text for line in shown.lines for text in line.cells) else ""
    )


def page(trace) -> Page:
    """The table, the totals, what could not be computed, and what is no number."""
    shown = table(trace)
    notes = [*trace.notes, *trace.suspicions()]
    remarks = [Words(f"· {note}", "warn") for note in notes]
    return Page(shown, f"{summary(trace)} {key(shown)}".rstrip(), *remarks)
