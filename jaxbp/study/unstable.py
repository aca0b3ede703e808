"""Rows that prove nothing: those whose quartiles lie too far apart.

They are measured once more when a study runs; what stays unstable is marked in tables
and pictures, and no claim rests on it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from jaxbp.study.base import Row
from jaxbp.timing.clock import UNSTABLE

MARK = "~"  # behind a ratio that is not to be relied on
NOTE = f"{MARK} quartiles more than {UNSTABLE:g} apart: no claim rests on such a row."


def spread(row: Row, name: str) -> float | None:
    """Upper quartile over lower of a column; None where there are none."""
    lower, upper = row.get(f"{name}_q25"), row.get(f"{name}_q75")
    return upper / lower if lower and upper else None


def widest(row: Row) -> float:
    """The largest spread of any column; 1 where none has quartiles."""
    names = [name.removesuffix("_q25") for name in row if name.endswith("_q25")]
    return max((spread(row, name) or 1.0 for name in names), default=1.0)


def is_unstable(row: Row, name: str | None = None) -> bool:
    """Whether the quartiles of a column, or of any, lie too far apart."""
    found = widest(row) if name is None else spread(row, name)
    return found is not None and found > UNSTABLE


class Doubtful(float):
    """A number that proves nothing: tables show it with the mark behind it."""


TIMES = ("ratio", "time_s", "step_s", "roof_fraction")  # what the samples give


def is_doubtful(row: Row, column: str) -> bool:
    """Whether a value is a time, or made of one, in a row without a steady ratio."""
    return is_unstable(row, column) or (column in TIMES and is_unstable(row))


def told(row: Row, column: str) -> Any:
    """A row's value for a summary, which takes its mark along."""
    value = row.get(column)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    return Doubtful(value) if is_doubtful(row, column) else value


def has_doubts(rows: Sequence[Row]) -> bool:
    """Whether a table of these rows has a mark to be explained."""
    return any(is_unstable(row) or any(map(_is_marked, row.values())) for row in rows)


def _is_marked(value) -> bool:
    return isinstance(value, Doubtful) or str(value).endswith(f" {MARK}")


def steady(rows: Sequence[Row]) -> list[Row]:
    """The rows that a claim may rest on: the one rule that sentences, and counts in
    them, follow. What is counted, not timed, needs no steady row."""
    return [row for row in rows if not is_unstable(row)]


def largest_whole(
    rows: Sequence[Row], size: str, part: str | tuple[str, ...], parts: Iterable
) -> Any:
    """The largest `size` at which every one of `parts` has a row, so that what is said
    there compares all of them; None where there is no such size.

    Args:
      part: the column, or columns, whose entries are `parts`.
    """
    whole = set(parts)
    found: dict[Any, set] = {}
    for row in rows:
        at = tuple(map(row.get, part)) if isinstance(part, tuple) else row.get(part)
        found.setdefault(row.get(size), set()).add(at)
    return max((n for n, have in found.items() if have >= whole), default=None)
