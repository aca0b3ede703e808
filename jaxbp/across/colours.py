"""Which columns and rows of a sparse matrix share a sweep, where an entry is read.

    pattern      columns 0 and 2 share no row:     one sweep with the seed (1, 0, 1)
    1 1 0        their entries are read from the   two for three columns
    0 1 1        sum of the two columns

Of an arrow, dense in one row and one column, no two columns share a sweep. Its dense
row is had by one pullback, and what is left by two pushforwards; and where the matrix
is symmetric, an entry can be read at its mirror image's place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import InvalidArgument
from .pattern import Pattern, grouped, places_of


def colouring(pattern, by: str = "columns") -> "np.ndarray | Both":
    """Colours of the columns or rows of a pattern, so that each entry can be read.

    Args:
      pattern: a Pattern, a boolean matrix or a sparse matrix.
      by: "columns": those of one colour share no row; "rows": they share no column.
        "both": the densest rows by pullbacks, what is left by pushforwards, or the
        other way about, whichever takes fewest. "star", of a symmetric pattern: columns
        so that each entry, or its mirror image, is alone; no path of four is of two
        colours.

    Returns:
      (n,) int32 from 0, or (m,) of rows. With "both" a pair `(columns, rows)`, where -1
      is of those that no sweep carries.

    Raises:
      InvalidArgument: `by` is none of these, or "star" of a pattern that is not
        symmetric.

    Cost: greedy, largest first: about the sum of squares of the entries a row; "both"
      a few of these.
    Source: Curtis, Powell and Reid 1974, doi:10.1093/imamat/13.1.117; Coleman and Verma
      1998, doi:10.1137/S1064827595295349 (both sides); Gebremedhin, Manne and Pothen
      2005, doi:10.1137/S0036144504444711 (star).

    Example:
      >>> import jaxbp
      >>> jaxbp.sparse.colouring([[1, 1, 0], [0, 1, 1]]).tolist()
      [1, 0, 1]
    """
    it = Pattern.of(pattern)
    if by not in FINDS:
        known = ", ".join(FINDS)
        raise InvalidArgument(f"`by` must be one of {known}, but is {by!r}.")
    if by == "star" and not is_symmetric(it):
        raise InvalidArgument(
            "`by='star'` is for symmetric patterns, but this one of shape "
            f"{it.shape} differs from its transpose. Use columns, rows or both."
        )
    found = FINDS[by](it)
    return Both(found.columns, found.rows) if by == "both" else found.own(by)


DENSE = 2  # times the usual number of entries a line, from which on it is dense


class Both(NamedTuple):
    """Colours of columns and of rows; -1 is of those that no sweep carries."""

    columns: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class Reading:
    """Sweeps that a sparse matrix is read from.

    Attributes:
      columns, rows: (n,) and (m,) int32: the pushforward or pullback that carries it;
        -1: none does.
      by_row: (k,) per entry: it is read from a pullback.
      colour, line: (k,) the sweep it is read from, and where in it.
    """

    columns: np.ndarray
    rows: np.ndarray
    by_row: np.ndarray
    colour: np.ndarray
    line: np.ndarray

    @property
    def sweeps(self) -> tuple[int, int]:
        """How many pushforwards and pullbacks."""
        counts = [int(c.max(initial=-1)) + 1 for c in (self.columns, self.rows)]
        return counts[0], counts[1]

    def own(self, by: str) -> np.ndarray:
        """The colours of one side: of rows, or else of columns."""
        return self.rows if by == "rows" else self.columns


def reading(pattern: Pattern, symmetric: bool = False) -> Reading:
    """The one of fewest sweeps; of two alike by columns.

    Args:
      symmetric: the matrix is, not its pattern alone.
    """
    if symmetric and is_symmetric(pattern):
        return min(by_columns(pattern), by_star(pattern), key=_count)
    return by_both(pattern)


def is_symmetric(pattern: Pattern) -> bool:
    """Whether every entry has its mirror image."""
    m, n = pattern.shape
    if m != n:
        return False
    turned = places_of(pattern.columns, pattern.rows, (n, m))
    return np.array_equal(turned.indices, pattern.indices)


def by_columns(it: Pattern) -> Reading:
    colours = _apart(it.columns, it.rows, it.shape[1], it.shape[0])
    none, of_columns = np.full(it.shape[0], -1, np.int32), np.zeros(it.nse, bool)
    return Reading(colours, none, of_columns, colours[it.columns], it.rows)


def by_rows(it: Pattern) -> Reading:
    colours = _apart(it.rows, it.columns, *it.shape)
    none = np.full(it.shape[1], -1, np.int32)
    return Reading(none, colours, np.ones(it.nse, bool), colours[it.rows], it.columns)


def _apart(own, other, count: int, across: int) -> np.ndarray:
    """Colours of `count` lines, so that those of one colour share none across."""
    members, sharing = grouped(own, other, count), grouped(other, own, across)
    colours = np.full(count, -1, np.int32)
    for place in np.argsort([-len(m) for m in members], kind="stable"):
        lines = [colours[sharing[line]] for line in members[place]]
        colours[place] = _least(set(np.concatenate(lines).tolist()) if lines else set())
    return colours


def _least(taken: set) -> int:
    """The first colour that is free."""
    colour = 0
    while colour in taken:
        colour += 1
    return colour


def by_both(it: Pattern) -> Reading:
    """The densest lines of one side by sweeps of their own, the rest from the other."""
    best = min(by_columns(it), by_rows(it), key=_count)
    for side, of in enumerate((it.rows, it.columns)):
        entries = np.bincount(of, minlength=it.shape[side])
        order = np.argsort(-entries, kind="stable")
        # Dense lines overlap: each takes a sweep, so that there are fewer than `best`.
        dense, usual = 1, DENSE * max(np.median(entries), 1) if len(entries) else 0
        while (
            dense < min(_count(best), len(order)) and entries[order[dense - 1]] > usual
        ):
            found = _parted(it, np.isin(of, order[:dense]), side)
            best = min(best, found, key=_count)
            dense *= 2
    return best


def _count(found: Reading) -> int:
    return sum(found.sweeps)


def _parted(it: Pattern, apart: np.ndarray, side: int) -> Reading:
    """The entries `apart` from their rows, the others from columns; `side` 1: the other
    way about."""

    def of(where):
        return places_of(it.rows[where], it.columns[where], it.shape)

    by_row = apart if side == 0 else ~apart
    columns, rows = by_columns(of(~by_row)).columns, by_rows(of(by_row)).rows
    columns[np.setdiff1d(np.arange(it.shape[1]), it.columns[~by_row])] = -1
    rows[np.setdiff1d(np.arange(it.shape[0]), it.rows[by_row])] = -1
    colour = np.where(by_row, rows[it.rows], columns[it.columns])
    line = np.where(by_row, it.columns, it.rows)
    return Reading(columns, rows, by_row, colour, line)


def by_star(it: Pattern) -> Reading:
    """Of a symmetric matrix."""
    near = [
        line[line != place].tolist()
        for place, line in enumerate(grouped(it.rows, it.columns, it.shape[0]))
    ]
    colours = [-1] * len(near)
    for place in sorted(range(len(near)), key=lambda v: -len(near[v])):
        colours[place] = _least(_forbidden(place, near, colours))
    found = np.asarray(colours, np.int32)
    # An entry is alone in its row among those of its colour, or its mirror image is.
    key = it.rows.astype(np.int64) * (int(found.max(initial=-1)) + 1)
    _, back, count = np.unique(
        key + found[it.columns], return_inverse=True, return_counts=True
    )
    alone = count[back] == 1
    colour = np.where(alone, found[it.columns], found[it.rows])
    line = np.where(alone, it.rows, it.columns)
    none = np.full(it.shape[0], -1, np.int32)
    return Reading(found, none, np.zeros(it.nse, bool), colour, line)


def _forbidden(place: int, near: list[list], colours: list) -> set:
    """Colours that would put a vertex beside its own, or on a path of two colours."""
    found = set()
    for one in near[place]:
        found.add(colours[one])
        for two in near[one]:
            if colours[two] < 0 or two == place:
                continue
            if colours[one] < 0 or any(
                three != one and colours[three] == colours[one] for three in near[two]
            ):
                found.add(colours[two])
    return found


FINDS: dict[str, Callable[[Pattern], Reading]] = {
    "columns": by_columns,
    "rows": by_rows,
    "both": by_both,
    "star": by_star,
}
