"""A cost report as a table on a terminal, as plain text, and in a notebook."""

import math

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from .. import display
from .amount import Amount, Range

LARGEST = 3  # residuals listed
PREFIXES = ("", "k", "M", "G", "T", "P", "E")

LABELS = {
    "f": "f",
    "linearize": "f, writing the tape",
    "pushforward": "pushforward, tape given",
    "pullback": "pullback, tape given",
    "jvp": "f and pushforward",
    "vjp": "f and pullback",
    "jacobian_forward": "Jacobian by pushforwards (n)",
    "jacobian_reverse": "Jacobian by pullbacks (m)",
}


def as_text(report) -> str:
    """The table without colours, for `str` and for files."""
    return display.as_text(as_rich(report))


def as_html(report) -> str:
    """The same table in colour: what a notebook shows."""
    return display.as_html(as_rich(report))


def as_rich(report) -> Group:
    """A renderable of rich: headline, table, tape, remarks."""
    headline = (
        f"{report.name}: n = {report.inputs:,} inputs, m = {report.outputs:,} outputs; "
        "counted, nothing run"
    )
    lines = [Text(line) for line in (*_mode_lines(report), *_tape_lines(report))]
    remarks = [Text(f"· {remark}", "yellow") for remark in report.remarks]
    return Group(Text(headline, "bold"), _table(report), *lines, *remarks)


def _table(report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    timed = report.f.time_s.high > 0
    for heading in ("flops", "over f", "transcendental", "read", "written"):
        table.add_column(heading, justify="right", no_wrap=True)
    if timed:
        table.add_column("predicted", justify="right", no_wrap=True)
    for name, amount in report.amounts():
        cells = _cells(amount, report.f)
        table.add_row(LABELS[name], *(cells if timed else cells[:-1]))
    return table


def _cells(amount: Amount | None, f: Amount) -> list[str]:
    if amount is None:
        return ["-"] * 6
    return [
        show(amount.flops),
        _ratio(amount.flops, f.flops),
        show(amount.transcendentals),
        show(amount.read_bytes, "B"),
        show(amount.written_bytes, "B"),
        _seconds(amount.time_s),
    ]


def _ratio(flops: Range, of_f: Range) -> str:
    if not (flops.certain and of_f.certain and of_f.low):
        return ""
    return f"{flops.low / of_f.low:,.2f}"


def show(quantity: Range, unit: str = "") -> str:
    """A range in a few characters: "1.23 M", "0..1.23 M", "1.2..3.4 kB"."""
    low, high = _number(quantity.low, unit), _number(quantity.high, unit)
    if low == high:
        return low
    same_unit = low.partition(" ")[2] == high.partition(" ")[2]
    return f"{low.partition(' ')[0] if same_unit else low}..{high}"


def _seconds(time_s: Range) -> str:
    """A time in three digits, "12.3 µs"; of a range the longest."""
    if math.isinf(time_s.high):
        return "unbounded"
    scale = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
    size, unit = next((s for s in scale if time_s.high >= s[0]), scale[-1])
    return f"{time_s.high / size:.3g} {unit}"


def _number(number: float, unit: str = "") -> str:
    """Three digits and a prefix: "12.3 k", "1.05 MB"."""
    if math.isinf(number):
        return "unbounded"
    power = 0
    while number >= 999.5 and power < len(PREFIXES) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.3g} {PREFIXES[power]}{unit}".rstrip()


def _mode_lines(report):
    forward, reverse = report.jacobian_forward, report.jacobian_reverse
    if report.cheaper_mode and forward and reverse:
        high, low = sorted((forward.flops.low, reverse.flops.low), reverse=True)
        times = f", by {high / low:,.3g} times" if low else ""
        mode = report.cheaper_mode
        yield f"The whole Jacobian takes fewer flops in {mode} mode{times}."


def _tape_lines(report):
    tape = report.tape
    if tape is None:
        return
    computed, inputs, constants = (
        _number(b, "B")
        for b in (tape.computed_bytes, tape.input_bytes, tape.constant_bytes)
    )
    yield (
        f"Tape: {computed} computed and kept; it also refers to {inputs} of inputs and "
        f"{constants} of constants, held anyway."
    )
    kept = [r for r in tape.residuals if r.where]
    for residual in kept[:LARGEST]:
        size = _number(residual.tape_bytes, "B")
        where = residual.where.rpartition("/")[2]
        yield f"  {size}  {residual.type}  {residual.origin}  {where}"
