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


def steady(rows: Sequence[Row]) -> list[Row]:
    """The rows that a claim may rest on."""
    return [row for row in rows if not is_unstable(row)]


def largest_whole(rows: Sequence[Row], size: str, part: str, parts: Iterable) -> Any:
    """The largest `size` at which every one of `parts` has a row, so that what is said
    there compares all of them; None where there is no such size."""
    whole = set(parts)
    found: dict[Any, set] = {}
    for row in rows:
        found.setdefault(row.get(size), set()).add(row.get(part))
    return max((n for n, have in found.items() if have >= whole), default=None)
