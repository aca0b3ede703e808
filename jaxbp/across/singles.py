"""Small matrices of single entries, which are what scalar code's Jacobians are.

Each entry is computed where it is written, in one pass with what it is computed from.
Under `vmap` that pass runs over the batch, and how it is written decides how much of
the rest is computed again for every entry: lines side by side are branches of the pass,
and within a line the entry is chosen by comparing positions.
"""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from .copies import copies
from .factor import number
from .made import operations
from .places import Axis
from .term import Term, is_single

MOST = 4096  # entries of a matrix that is put together so
LINES = 8  # of a pass
CHAIN = 1024  # comparisons in a line; beyond it is a concatenation of its entries
SHORT = 16  # entries of a piece beside single ones that is written as they are,
PIECES = 64  # of all of them together
FULL = 0.8  # of a matrix, that are entries, from which on it is laid by columns


def is_static(term: Term) -> bool:
    """Whether all its positions are numbers alone."""
    return all(axis.index is None for axis in (*term.out, *term.of))


def split(terms: Sequence[Term], shape: Sequence[int]):
    """The single entries that are put together one by one, and the other terms.

    Short pieces beside them, such as the ones of a step x + dt f(x), are single entries
    too: what is added to the matrix afterwards is a kernel of its own.
    """
    if not 1 < math.prod(shape) <= MOST:
        return [], list(terms)
    single = [term for term in terms if is_single(term)]
    if not single:
        return [], list(terms)
    others = [term for term in terms if not is_single(term)]
    short = [term for term in others if is_static(term) and term.entries <= SHORT]
    if len(short) == len(others) and sum(term.entries for term in short) <= PIECES:
        return [*single, *[one for term in short for one in _pieces(term)]], []
    return single, others


def _pieces(term: Term) -> list[Term]:
    """Its entries, each as a term."""
    found = [term]
    for label in term.placed:
        found = [
            one.put(label, Axis(label.size, at))
            for one in found
            for at in range(label.size)
        ]
    return found


def comparisons(terms: Sequence[Term], shape: Sequence[int]) -> int:
    """How many positions are compared to write single entries."""
    count = math.prod(shape)
    rows, columns = _sides(terms, shape)
    if _by_columns(len(terms), rows, columns):
        rows, columns = columns, rows
    each = len(terms) * columns * _together(rows, columns, len(terms))
    return each if each <= CHAIN * rows else count


def matrix(terms: Sequence[Term], shape: tuple[int, ...], dtype):
    """Their sum, of the shape (*output, *input), in one pass.

    Of few entries lines are rows: few are computed for each, and all of a row at once.
    Where nearly all places are taken, columns were up to four times faster: each
    entry's row is then one straight piece of code. XLA for CPUs makes one pass of at
    most `LINES` of them, so that rows of larger matrices share lines.
    """
    rows, columns = _sides(terms, shape)
    found: list[list[Any]] = [[None] * columns for _ in range(rows)]
    for term in terms:
        places = [axis.start for axis in (*term.out, *term.of)]
        row, column = divmod(int(np.ravel_multi_index(places, shape)), columns)
        value = jnp.asarray(number(term.factor, dtype), dtype).reshape(())
        there = found[row][column]
        found[row][column] = value if there is None else lax.add(there, value)
    apart = _are_apart(found)
    turned = not apart and _by_columns(len(terms), rows, columns)
    lines, width = (columns, rows) if turned else (rows, columns)
    each = _together(lines, width, len(terms))
    parts = [
        [row[start : start + each] for row in found]
        if turned
        else found[start : start + each]
        for start in range(0, lines, each)
    ]
    whole = [_line([v for row in part for v in row], dtype, apart) for part in parts]
    if len(whole) == 1:
        return whole[0].reshape(shape)
    laid = [
        line.reshape(len(part), len(part[0]))
        for line, part in zip(whole, parts, strict=True)
    ]
    return lax.concatenate(laid, 1 if turned else 0).reshape(shape)


def _are_apart(rows: Sequence[Sequence]) -> bool:
    """Whether every entry had better be a branch of the pass, not a choice within it.

    A branch shares nothing with others: what several entries need is computed again.
    A choice is a comparison for each entry and place of its row, whichever of them is
    written. Of many examples at once branches took half the time where they compute
    less; but a function such as a sine is computed many at a time by choices alone.
    """
    given = [[v for v in row if v is not None] for row in rows]
    if copies([v for row in given for v in row]) == 1:
        return False
    each = [operations([v]) for row in given for v in row]
    together = [operations(row) for row in given]
    if None in each or None in together:
        return False
    chosen = sum(len(row) * len(whole) for row, whole in zip(given, rows, strict=True))
    return sum(filter(None, each)) <= sum(filter(None, together)) + chosen


def _together(lines: int, width: int, entries: int) -> int:
    """How many rows, or columns, make a line: all of a small full matrix, in which
    branches save nothing, and take half as long again to compile."""
    if lines * width * entries <= CHAIN and entries >= FULL * lines * width:
        return lines
    each = -(-lines // LINES)
    return each if each * each * width * entries <= CHAIN * lines else 1


def _sides(terms: Sequence[Term], shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns; of a single row or column one line."""
    rows = math.prod(shape[: len(terms[0].out)])
    columns = math.prod(shape) // rows
    return (1, rows) if columns == 1 else (rows, columns)


def _by_columns(entries: int, rows: int, columns: int) -> bool:
    return rows > 1 and entries >= FULL * rows * columns


def _line(values: list, dtype, apart: bool):
    """A vector of numbers; None of those that are zero."""
    count, given = len(values), [v for v in values if v is not None]
    whole = lax.full((count,), 0, dtype)
    if apart or count * len(given) > CHAIN:
        pieces = []
        for none, run in groupby(values, lambda value: value is None):
            run = list(run)
            zeros = [lax.full((len(run),), 0, dtype)]
            pieces += zeros if none else [value.reshape((1,)) for value in run]
        return lax.concatenate(pieces, 0)
    places = lax.iota(np.int32, count)
    for place, value in enumerate(values):
        if value is not None:
            here = lax.eq(places, lax.full_like(places, place))
            whole = lax.select(here, lax.broadcast(value, (count,)), whole)
    return whole
