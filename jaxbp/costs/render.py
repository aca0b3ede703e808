"""What is shown of a cost report: headline, table, tape, remarks."""

import math

from ..display import Column, Line, Page, Table, Words
from .amount import Amount, Range
from .report import LABELS

LARGEST = 3  # residuals listed
PREFIXES = ("", "k", "M", "G", "T", "P", "E")

COLUMNS = (
    Column("", left=True, fold=True),
    Column("flops"),
    Column("over f"),
    Column("transcendental", spare=1),
    Column("read"),
    Column("written"),
)
ONLY_ASKED = {
    "collective_bytes": Column("between devices"),
    "time_s": Column("predicted"),
}


def page(report) -> Page:
    """Headline, table, tape, remarks."""
    headline = (
        f"{report.name}: {_count('n', report.inputs, 'input')}, "
        f"{_count('m', report.outputs, 'output')}; counted, nothing run"
    )
    lines = (*_mode_lines(report), *_tape_lines(report))
    remarks = [Words(f"· {remark}", "warn") for remark in report.remarks]
    return Page(Words(headline, "bold"), table(report), *lines, *remarks)


def _count(letter: str, number: int, what: str) -> str:
    return f"{letter} = {number:,} {what}{'s' * (number != 1)}"


def table(report) -> Table:
    """A line per amount; predicted times where there were roofs to predict from."""
    asked = [name for name in ONLY_ASKED if name in report.asked]
    lines = (
        Line((LABELS[name], *_cells(amount, report.f, asked)))
        for name, amount in report.rows
    )
    return Table((*COLUMNS, *(ONLY_ASKED[name] for name in asked)), tuple(lines))


def _cells(amount: Amount | None, f: Amount, asked: list[str]) -> list[str]:
    if amount is None:
        return ["-"] * (5 + len(asked))
    cells = [
        show(amount.flops),
        _ratio(amount.flops, f.flops),
        show(amount.transcendentals),
        show(amount.read_bytes, "B"),
        show(amount.written_bytes, "B"),
    ]
    told = {
        "collective_bytes": show(amount.collective_bytes, "B"),
        "time_s": _seconds(amount.time_s),
    }
    return cells + [told[name] for name in asked]


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
    yield Words(
        f"Tape: {computed} computed and kept; it also refers to {inputs} of inputs and "
        f"{constants} of constants, held anyway."
    )
    kept = [r for r in tape.residuals if r.where]
    for residual in kept[:LARGEST]:
        size = _number(residual.tape_bytes, "B")
        where = residual.where.rpartition("/")[2]
        yield Words(f"{size}  {residual.type}  {residual.origin}  {where}", indent=2)
