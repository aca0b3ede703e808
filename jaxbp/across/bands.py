"""Small matrices of a few bands, as stencils with their ends and states have them.

A band is a vector by rows, at one distance from the diagonal. All bands are written in
one pass that compares this distance; zeros and a scatter are kernels of their own, and
of many examples at once a scatter takes fifty times as long an entry.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax

from .factor import number
from .singles import is_static
from .term import Term, is_single

LARGEST = 4096  # entries of a matrix that is written so
MOST = 12  # distances from the diagonal


def banded(terms: Sequence[Term], shape: Sequence[int]):
    """The bands among terms, single entries too, and the other terms; no bands where
    there are too many or none is longer than an entry."""
    if len(shape) != 2 or not 1 < math.prod(shape) <= LARGEST:
        return [], list(terms)
    found = [term for term in terms if _is_band(term)]
    if all(map(is_single, found)) or len(set(map(_distance, found))) > MOST:
        return [], list(terms)
    own = {id(term) for term in found}
    return found, [term for term in terms if id(term) not in own]


def _is_band(term: Term) -> bool:
    if len(term.out) != 1 or not is_static(term):
        return False
    row, column = term.out[0].steps, term.of[0].steps
    return row == column and (not row or (len(row) == 1 and row[0][1] == 1))


def _distance(term: Term) -> int:
    return term.of[0].start - term.out[0].start


def distances(terms: Sequence[Term]) -> int:
    """How many comparisons an entry takes."""
    return len(set(map(_distance, terms)))


def matrix(terms: Sequence[Term], shape: tuple[int, ...], dtype):
    """The sum of bands, of the shape (rows, columns), in one pass."""
    rows = shape[0]
    vectors: dict = {}
    for term in terms:
        start, count = term.out[0].start, term.entries
        value = jnp.asarray(number(term.factor, dtype), dtype).reshape(-1)
        value = jnp.broadcast_to(value, (count,))
        ends = [(start, rows - start - count, 0)]
        if ends != [(0, 0, 0)]:
            value = lax.pad(value, np.zeros((), dtype), ends)
        there = vectors.get(_distance(term))
        vectors[_distance(term)] = value if there is None else lax.add(there, value)
    at = lax.sub(*(lax.broadcasted_iota(np.int32, shape, axis) for axis in (1, 0)))
    whole = lax.full(shape, 0, dtype)
    for distance, value in vectors.items():
        here = lax.eq(at, lax.full_like(at, distance))
        whole = lax.select(here, lax.broadcast_in_dim(value, shape, (0,)), whole)
    return whole
