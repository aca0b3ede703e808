"""Linear recurrences, and cumulative operations whose tangents are such.

    y_dot_i = ratio_i y_dot_{i-1} + slope_i x_dot_i             along an axis
    cumprod: ratio_i = x_i, slope_i = y_{i-1}; nothing is divided
    cumlogsumexp: ratio_i = exp(y_{i-1} - y_i), slope_i = exp(x_i - y_i)

The cotangent is the recurrence the other way. It is had in log2(n) steps, of pairs, by
`lax.associative_scan`; on CPUs row by row, of long axes in blocks that are done beside
one another: the gradient of a product of 100,000 numbers takes two thirds of the time,
that of cumlogsumexp a third, and either compiles in half of it.
"""

import math

import jax.numpy as jnp
from jax import lax

from ..linear.base import Edge, Params
from ..linear.for_cpu import for_cpu
from ..linear.primitive import hold

BLOCK = 64  # rows; as many roundings are met one after the other
LANES = 256  # numbers side by side: with as many, rows need no blocks


class _Recurrence:
    """What pushes tangents through; as a primitive is bound to them."""

    name, multiple_results = "recurrence", False

    def bind(self, x_dot, slope, ratio, *, axis, reverse):
        return recurrence(ratio, lax.mul(slope, x_dot), axis, reverse)


_RECURRENCE = _Recurrence()


def _transpose(y_bar, x, slope, ratio, *, axis, reverse):
    after = shifted(ratio, axis, not reverse, lax.full_like(ratio, 0))
    return lax.mul(slope, recurrence(after, y_bar, axis, not reverse))


def recurrent(walker, x, y, slope, ratio, dots, params):
    """What a rule gives for `y` with that tangent; `params` name axis and order."""
    params = Params({"axis": params["axis"], "reverse": params["reverse"]})
    it, residuals = hold(_RECURRENCE, (x, slope, ratio), params, 0, _transpose)
    return [y], walker.extend([Edge(it, residuals, (0,), (0,))], dots, [y])


def shifted(x, axis: int, reverse: bool, first):
    """The elements before those of `x` in order; `first`, shaped as it, before all."""
    n = x.shape[axis]
    if reverse:
        parts = [lax.slice_in_dim(x, 1, n, axis=axis), _end(first, axis, n - 1, n)]
    else:
        parts = [_end(first, axis, 0, 1), lax.slice_in_dim(x, 0, n - 1, axis=axis)]
    return lax.concatenate(parts, axis)


def _end(x, axis, start, stop):
    return lax.slice_in_dim(x, start, stop, axis=axis)


def recurrence(ratio, x, axis: int, reverse: bool):
    """s_i = ratio_i s_{i-1} + x_i along an axis; `reverse`: s_{i+1} instead."""
    return for_cpu(_by_pairs, _by_rows, ratio, x, axis=axis, reverse=reverse)


def _by_pairs(ratio, x, *, axis, reverse):
    def then(first, second):
        added = lax.add(lax.mul(second[0], first[1]), second[1])
        return lax.mul(first[0], second[0]), added

    return lax.associative_scan(then, (ratio, x), reverse, axis)[1]


def _by_rows(ratio, x, *, axis, reverse):
    rows, n = [axis, *[i for i in range(x.ndim) if i != axis]], x.shape[axis]
    shape = [x.shape[i] for i in rows]
    lanes = math.prod(shape[1:])
    ratio, x = (lax.reshape(lax.transpose(v, rows), (n, lanes)) for v in (ratio, x))
    in_rows = n <= 2 * BLOCK or lanes >= LANES
    found = (_rows if in_rows else _blocks)(ratio, x, reverse)
    back = [rows.index(i) for i in range(len(rows))]
    return lax.transpose(lax.reshape(found, shape), back)


def _rows(ratio, x, reverse):
    def step(s, row):
        s = lax.add(lax.mul(row[0], s), row[1])
        return s, s

    return lax.scan(step, lax.full_like(x[0], 0), (ratio, x), reverse=reverse)[1]


def _blocks(ratio, x, reverse):
    """Blocks of rows side by side, as if nothing were before each; then that is added,
    with the product of its ratios."""
    n, lanes = x.shape
    count = -(-n // BLOCK)
    wide = [
        lax.pad(v, v.dtype.type(0), [(0, count * BLOCK - n, 0), (0, 0, 0)])
        for v in (ratio, x)
    ]
    blocks = [jnp.swapaxes(v.reshape(count, BLOCK, lanes), 0, 1) for v in wide]

    def step(carry, row):
        s, product = carry
        s = lax.add(lax.mul(row[0], s), row[1])
        product = lax.mul(product, row[0])
        return (s, product), (s, product)

    start = lax.full_like(blocks[1][0], 0), lax.full_like(blocks[0][0], 1)
    ends, (within, products) = lax.scan(step, start, tuple(blocks), reverse=reverse)
    ends = _by_pairs(ends[1], ends[0], axis=0, reverse=reverse)
    before = shifted(ends, 0, reverse, lax.full_like(ends, 0))
    found = lax.add(within, lax.mul(products, before[None]))
    return jnp.swapaxes(found, 0, 1).reshape(count * BLOCK, lanes)[:n]
