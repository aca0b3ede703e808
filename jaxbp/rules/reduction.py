"""Reductions: what is summed spreads back, what wins takes all."""

import math

import jax
import numpy as np
from jax import lax

from .. import ir
from ..linear.labels import Form, summing
from . import mesh
from .registry import general, linear, rewritten


def _kept(ndim, axes):
    return tuple(axis for axis in range(ndim) if axis not in axes)


def _sum_transpose(y_bar, x, *, axes, **params):
    return _spread(y_bar, x, axes)


def _spread(y, x, axes):
    """`y`, which lacks `axes` of `x`, in the shape of `x`."""
    kept = _kept(len(x.shape), axes)
    return lax.broadcast_in_dim(y, x.shape, kept, out_sharding=mesh.sharding(x))


linear(
    "reduce_sum",
    transpose=_sum_transpose,
    form=Form("sums", lambda it, x, y, residuals: summing(x, it.params["axes"])),
)


# y = max x along axes. The tangent is the mean of the tangents at the places that
# attain it (one place, unless there are ties).
def _extremum(reduce):
    def jvp(primals, tangents, *, axes, **params):
        (x,), (x_dot,) = primals, tangents
        y = reduce(x, axes)
        at = lax.eq(x, _spread(y, ir.typeof(x), axes))
        weight = lax.convert_element_type(at, x_dot.dtype)
        count = lax.reduce_sum(weight, axes)
        return y, lax.div(lax.reduce_sum(lax.mul(x_dot, weight), axes), count)

    return jvp


general("reduce_max", jvp=_extremum(lambda x, axes: lax.reduce_max(x, axes)))
general("reduce_min", jvp=_extremum(lambda x, axes: lax.reduce_min(x, axes)))


# Any other reduction is a tree of its pairwise operation: halves are combined until one
# element is left, in log2(n) steps. Zeros among the factors of a product need no care.
def _in_front(x, axes):
    """`x` with `axes` flattened into one leading axis."""
    kept = _kept(x.ndim, axes)
    count = math.prod(x.shape[axis] for axis in axes)
    moved = lax.transpose(x, (*axes, *kept))
    return lax.reshape(moved, (count, *(x.shape[axis] for axis in kept)))


def _halved(combine, xs):
    """Arrays (n, ...) with n >= 1 combined along their first axis.

    combine(firsts, seconds) -> arrays as long as `firsts`; `seconds` may lack the last
    element.
    """
    while (count := xs[0].shape[0]) > 1:
        half = (count + 1) // 2
        firsts = [lax.slice_in_dim(x, 0, half) for x in xs]
        seconds = [lax.slice_in_dim(x, half, count) for x in xs]
        xs = combine(firsts, seconds)
    return [lax.squeeze(x, (0,)) for x in xs]


def _product(x, *, axes, **params):
    factors = _in_front(x, axes)
    if factors.shape[0] == 0:
        return lax.full(factors.shape[1:], 1, x.dtype)
    return _halved(_multiplied, [factors])[0]


def _multiplied(firsts, seconds):
    """Products of pairs; a second array that lacks an element ends with a 1."""
    (first,), (second,) = firsts, seconds
    if first.shape != second.shape:
        end = [(0, 1, 0), *[(0, 0, 0)] * (second.ndim - 1)]
        second = lax.pad(second, np.ones((), second.dtype), end)
    return [lax.mul(first, second)]


rewritten("reduce_prod", _product)


def on_arrays(program, ndim):
    """A program of scalars as a function of arrays with `ndim` axes, to a list."""

    def function(*scalars):
        return ir.evaluate_program(program, scalars)

    for _ in range(ndim):
        function = jax.vmap(function)
    return function


def _reduce(*operands, jaxpr, dimensions, **params):
    half = len(operands) // 2
    xs = [_in_front(x, dimensions) for x in operands[:half]]
    shape = xs[0].shape[1:]
    starts = [lax.broadcast(start, shape) for start in operands[half:]]
    if xs[0].shape[0] == 0:
        return starts
    combine = on_arrays(jaxpr, xs[0].ndim)

    def paired(firsts, seconds):
        count = seconds[0].shape[0]
        merged = combine(*[lax.slice_in_dim(x, 0, count) for x in firsts], *seconds)
        if count == firsts[0].shape[0]:
            return merged
        lasts = [lax.slice_in_dim(x, count, count + 1) for x in firsts]
        return [lax.concatenate(pair, 0) for pair in zip(merged, lasts, strict=True)]

    whole = _halved(paired, xs)
    return on_arrays(jaxpr, len(shape))(*starts, *whole)


rewritten("reduce", _reduce)
