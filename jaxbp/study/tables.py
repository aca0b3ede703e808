"""Tables from rows: CSV with units in the column names, Markdown, and the screen.

A column name ends in its unit (`time_s`, `tape_bytes`, `xla_flops`). The CSV keeps
plain numbers of that unit with a fixed count of significant digits; the tables that
people read say `1.23 ms` under the name `time`.
"""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from jaxbp.display import Column, Line, Table
from jaxbp.study.base import GAP, Row, is_gap
from jaxbp.study.unstable import MARK, Doubtful, is_unstable, told

DIGITS = 5  # in the CSV: more than any timing repeats, few enough to read differences
SHOWN = 3  # where people read
DECIMAL = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
SECONDS = ((1.0, " s"), (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns"))
BYTES = ((2.0**30, " GiB"), (2.0**20, " MiB"), (2.0**10, " KiB"), (1.0, " B"))
ORDERS = ("several", "tens of", "hundreds of", "thousands of", "tens of thousands of")
UNITS = {"_s": SECONDS, "_bytes": BYTES, "_flops": DECIMAL}


def csv_text(rows: Sequence[Row]) -> str:
    """All columns of all rows, in order of first appearance."""
    out = io.StringIO()
    writer = csv.DictWriter(out, column_names(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: csv_cell(v) for k, v in row.items()} for row in rows)
    return out.getvalue()


def read_csv(text: str) -> list[Row]:
    """Rows as `csv_text` wrote them; empty cells are left out."""
    return [
        {name: csv_value(cell) for name, cell in row.items() if cell != ""}
        for row in csv.DictReader(io.StringIO(text))
    ]


def column_names(rows: Sequence[Row]) -> list[str]:
    """Every column of any row, in order of first appearance, the gap last."""
    names = dict.fromkeys(name for row in rows for name in row)
    names.pop(GAP, None)
    return [*names, GAP]


def csv_cell(value) -> str:
    """A value, a float with `DIGITS` significant digits and a point or an exponent,
    so that it is read back as a float; nothing for None."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    digits = f"{value:.{DIGITS}g}"
    return digits + ".0" if digits.lstrip("-").isdigit() else digits


def csv_value(cell: str):
    """The number a cell holds, or its text."""
    if cell in ("True", "False"):
        return cell == "True"
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def markdown(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Rows as a Markdown table; a gap's reason stands in its first empty cell."""
    return table(rows, columns).markdown()


def table(rows: Sequence[Row], columns: Sequence[str], title: str = "") -> Table:
    """Rows as a table to be shown; gaps are dim."""
    shown = (
        Column(heading(name), left=text, fold=text)
        for name, text in zip(columns, texts(rows, columns), strict=True)
    )
    lines = (
        Line(tuple(shown_cells(row, columns)), "dim" * is_gap(row)) for row in rows
    )
    return Table(tuple(shown), tuple(lines), title)


def pivot(rows: Sequence[Row], index: Sequence[str], across: str, value: str):
    """One row for each entry of `index`, one column for each value of `across`.

    A cell is the row's `value`, or a gap's reason up to its colon.
    """
    table: dict[tuple, Row] = {}
    for row in rows:
        key = tuple(row[name] for name in index)
        line = table.setdefault(key, dict(zip(index, key, strict=True)))
        reason = str(row.get(GAP) or "").partition(":")[0]
        line[row[across]] = reason or told(row, value)
    return list(table.values())


def texts(rows: Sequence[Row], columns: Sequence[str]) -> list[bool]:
    """Which columns hold words, and so stand to the left; empty cells say nothing."""
    return [
        _are_words([row[name] for row in rows if row.get(name) not in (None, "")])
        for name in columns
    ]


def _are_words(values: list) -> bool:
    """All are text, and not all of that numbers."""
    if not all(isinstance(value, str) for value in values):
        return False
    return any(isinstance(csv_value(value), str) for value in values)


def shown_cells(row: Row, columns: Sequence[str]) -> list[str]:
    """One row as people read it, a gap's reason where its numbers would begin; a mark
    behind a ratio that is not to be relied on."""
    cells = [
        shown(row.get(name), name) + f" {MARK}" * _is_marked(row, name)
        for name in columns
    ]
    if is_gap(row) and "" in cells:
        cells[cells.index("")] = str(row[GAP])
    return cells


def _is_marked(row: Row, name: str) -> bool:
    return isinstance(row.get(name), Doubtful) or is_unstable(row, name)


def heading(name: str) -> str:
    """A column's name without the unit that its cells carry, in words."""
    unit = next((u for u in ("_s", "_bytes") if name.endswith(u)), "")
    return name.removesuffix(unit).replace("_", " ")


def shown(value, name: str) -> str:
    """A value of column `name` for a reader, with its unit."""
    if value is None or isinstance(value, str | bool):
        return "" if value is None else str(value)
    for unit, scale in UNITS.items():
        if name.endswith(unit):
            return scaled(value, scale)
    if isinstance(value, int) or math.isinf(value) or math.isnan(value):
        return str(value)
    if 1e3 <= abs(value) < 1e9:
        return f"{float(f'{value:.{SHOWN}g}'):,.0f}"
    return f"{value:.2g}" if 0 < abs(value) < 1e-3 else f"{value:.{SHOWN}g}"


def scaled(value: float, scale: Sequence[tuple[float, str]]) -> str:
    """A value in the largest unit that leaves at least 1, else in the smallest."""
    size = abs(value)
    factor, unit = next((pair for pair in scale if size >= pair[0]), scale[-1])
    number = value / factor
    return (f"{number:.0f}" if abs(number) >= 100 else f"{number:.{SHOWN}g}") + unit


def shortest(file: Path) -> Path:
    """A path as seen from the current folder, where it lies inside."""
    inside = file.resolve().is_relative_to(Path.cwd())
    return file.resolve().relative_to(Path.cwd()) if inside else file


def order(value: float) -> str:
    """A multiple's order of magnitude in words, "tens of times": two runs agree on it
    where they do not agree on the number."""
    power = math.floor(math.log10(max(value, 1.0)))
    return f"{ORDERS[min(power, len(ORDERS) - 1)]} times"
