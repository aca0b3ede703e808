"""What is shown of a tape: headline, table, the backward pass and its peak."""

from collections.abc import Sequence

from ..display import Column, Line, Page, Table, Words
from ..drawing.palette import COLOURS
from .amount import exactly
from .render import show

SHOWN = 30  # lines of the table

COLUMNS = (
    Column("bytes"),
    Column("times", spare=2),
    Column("type", left=True, fold=True),
    Column("made by", left=True, fold=True),
    Column("at", left=True, fold=True, tone="dim"),
    Column("kept, since", left=True, fold=True),
    Column("read at", left=True, fold=True, tone="dim", spare=1),
    Column("held anyway", left=True, spare=1),
    Column("made again\nfor flops", spare=3),
    Column("transcen-\ndental", spare=4),
)
CHANGES = (
    Column("before"),
    Column("after"),
    Column("change"),
    Column("made by", left=True, fold=True),
    Column("at", left=True, fold=True, tone="dim"),
    Column("held anyway", left=True, spare=1),
)


def page(report) -> Page:
    """Headline, table, peak, XLA's temporaries."""
    total, extra, held = (
        size(b) for b in (report.total_bytes, report.extra_bytes, report.held_bytes)
    )
    head = (
        f"Reverse mode of {report.name} keeps {extra}; it also refers to {held} of "
        f"arguments, constants and outputs, held anyway: tape {total}. "
        "Counted, nothing run."
    )
    return Page(Words(head, "bold"), table(report), *_remarks(report))


def table(report) -> Table:
    """A line per array; equal ones together."""
    found: dict[tuple, list] = {}
    for row in report.rows:
        found.setdefault(_key(row), []).append(row)
    groups = sorted(found.values(), key=lambda rows: -_bytes(rows))
    lines = [Line(_cells(rows)) for rows in groups[:SHOWN]]
    if rest := [row for rows in groups[SHOWN:] for row in rows]:
        lines.append(Line((size(_bytes(rest)), "", f"{len(rest)} smaller arrays")))
    return Table(COLUMNS, tuple(lines))


def _key(row) -> tuple:
    return (row.line, row.origin, row.type, row.times, row.held, row.why)


def _bytes(rows: Sequence) -> int:
    return sum(row.tape_bytes for row in rows)


def _cells(rows: Sequence) -> tuple[str, ...]:
    row = rows[0]
    many = f"{len(rows)} × " if len(rows) > 1 else ""
    read = dict.fromkeys(short(r.line) for each in rows for r in each.readers if r.line)
    return (
        size(_bytes(rows)),
        f"{row.times:,}",
        many + row.type,
        row.made_by if len(rows) == 1 or not row.name else f"{row.made_by}, ...",
        short(row.line),
        row.why,
        ", ".join(read),
        row.held,
        _again(rows, "recompute_flops"),
        _again(rows, "recompute_transcendentals"),
    )


def _again(rows: Sequence, name: str) -> str:
    found = [getattr(row, name) for row in rows]
    return "" if None in found else show(exactly(sum(found)))


def _remarks(report):
    peak = report.peak
    if peak is not None:
        name = f"`{peak.primitive}`" if peak.primitive else "a map"
        what = f"{name} at {short(peak.line)}"
        again = f", {size(peak.again_bytes)} made again" if peak.again_bytes else ""
        yield Words(
            f"Going back, most is alive at {what}: {size(peak.live_bytes)} = "
            f"{size(peak.tape_bytes)} of tape, {size(peak.cotangent_bytes)} of "
            f"cotangents{again}. What loops and backward rules compute inside "
            "themselves is not counted."
        )
    if (plan := report.compiled) is not None:
        outs = plan.output_bytes - plan.alias_bytes
        yield Words(
            f"Compiled, value and pullback take {size(plan.temp_bytes + outs)}: "
            f"{size(plan.temp_bytes)} of temporaries and {size(outs)} of outputs, in "
            "whose place temporaries may lie before. XLA may compute again what is "
            "cheap instead of keeping it."
        )


def diff_page(diff) -> Page:
    """Headline and table of what differs."""
    before, after = size(diff.before_bytes), size(diff.after_bytes)
    if not diff:
        return Page(f"Reverse mode of {diff.name} keeps the same: {before}.")
    lines = tuple(
        Line(
            (
                size(row.before_bytes),
                size(row.after_bytes),
                f"{'-' if row.change < 0 else '+'}{size(abs(row.change))}",
                row.made_by,
                short(row.line),
                row.held,
            )
        )
        for row in diff.rows
    )
    head = f"Tape of {diff.name}: {before} before, {after} after."
    return Page(Words(head, "bold"), Table(CHANGES, lines))


def size(number: int) -> str:
    """Bytes in three digits: "1.05 MB"."""
    return show(exactly(number), "B")


def short(line: str) -> str:
    """A line without its directories."""
    return line.rpartition("/")[2].rpartition("\\")[2]


def picture(report):
    """Live bytes over the backward pass, stacked, the peak marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    steps = report.steps
    ends = list(range(len(steps) + 1))  # the last step is as wide as the others
    parts = {
        "tape": ([s.tape_bytes for s in steps], "blue"),
        "cotangents": ([s.cotangent_bytes for s in steps], "vermilion"),
        "made again": ([s.again_bytes for s in steps], "orange"),
    }
    shown = {name: part for name, part in parts.items() if any(part[0])}
    if shown:
        axes.stackplot(
            ends,
            *[[*heights, heights[-1]] for heights, _ in shown.values()],
            labels=list(shown),
            colors=[COLOURS[colour] for _, colour in shown.values()],
            step="post",
        )
        axes.legend(loc="lower left", frameon=False)
    if report.peak is not None:
        place = steps.index(report.peak)
        peak = report.peak.live_bytes
        axes.plot([place + 0.5], [peak], "o", color=COLOURS["black"], markersize=4)
        what = f"{report.peak.primitive} {short(report.peak.line)}".strip()
        axes.annotate(
            f"{size(peak)}\n{what}", (place + 0.5, peak), xytext=(0, 5),
            textcoords="offset points", fontsize=8,
            ha="right" if place > len(steps) / 2 else "left",
        )  # fmt: skip
        axes.set_ylim(0, 1.25 * max(peak, 1))
    axes.set_xlabel("equation, from the last to the first")
    axes.set_ylabel("live bytes")
    axes.yaxis.set_major_formatter(lambda number, _: size(int(number)))
    figure.suptitle(f"Backward pass of {report.name}")
    return figure
