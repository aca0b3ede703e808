"""Reductions: what is summed spreads back, what wins takes all."""

import functools
import itertools
import math

import jax
import numpy as np
from jax import lax

from .. import ir
from ..linear.for_cpu import for_cpu
from ..linear.labels import Form, summing
from . import mesh
from .registry import General, general, linear, register, rewritten


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
        counted = weight
        if not _counts_in_floats(x.shape, axes, x_dot.dtype):
            counted = lax.convert_element_type(at, np.int32)
        count = lax.reduce_sum(counted, axes)
        count = lax.convert_element_type(count, x_dot.dtype)
        return y, lax.div(lax.reduce_sum(lax.mul(x_dot, weight), axes), count)

    return jvp


WINDOW = 32  # of XLA's sums for CPUs: integers along a longer axis are summed in turns


def _counts_in_floats(shape, axes, dtype) -> bool:
    """Whether ties are counted in floats: where these count exactly, along long axes.

    XLA for CPUs has a library for sums of floats, whose operands are arrays first: a
    weight would be kept. Integers are summed beside what makes them, but along a long
    axis an array of them is made, and summed by two kernels.
    """
    lengths = [shape[axis] for axis in axes]
    exact = np.dtype(dtype).itemsize >= 4 and math.prod(lengths) <= 1 << 24
    return exact and max(lengths, default=0) > WINDOW


general("reduce_max", jvp=_extremum(lambda x, axes: lax.reduce_max(x, axes)))
general("reduce_min", jvp=_extremum(lambda x, axes: lax.reduce_min(x, axes)))


def _in_front(x, axes):
    """`x` with `axes` flattened into one leading axis."""
    kept = _kept(x.ndim, axes)
    count = math.prod(x.shape[axis] for axis in axes)
    moved = lax.transpose(x, (*axes, *kept))
    return lax.reshape(moved, (count, *(x.shape[axis] for axis in kept)))


# y = product of x along axes. The slope in a factor is the product of the others, and
# nothing is divided: zeros among the factors need no care. Many factors are multiplied
# in groups first; with o the product of the other groups, that of the other factors is
# o times that of the others of the group. On CPUs each level is a call of its own:
# compilers would compute the levels below it anew for each factor, in n^2 products.
GROUP = 8


class _Product(General):
    """The products of others are computed where the rule is applied: `for_cpu` is not
    for what is done to open tangents."""

    def __call__(self, walker, primitive, values, dots, params):
        (x,), axes = values, params["axes"]
        if type(x) is ir.Hole or ir.typeof(x).size == 0:
            others = ir.zeros(ir.typeof(x))
        else:
            others = _placed_back(_others(_in_front(x, axes)), ir.typeof(x), axes)
        return walker.through(_product_jvp, [x, others], [dots[0], None], params)


def _product_jvp(primals, tangents, *, axes, **params):
    (x, others), (x_dot, _) = primals, tangents
    y_dot = lax.reduce_sum(lax.mul(others, x_dot), axes)
    return [lax.reduce_prod(x, axes)], [y_dot]


def _placed_back(x, aval, axes):
    """What `_in_front` gave, as it was."""
    order = (*axes, *_kept(len(aval.shape), axes))
    x = lax.reshape(x, [aval.shape[axis] for axis in order])
    return lax.transpose(x, np.argsort(order))


def _others(x):
    """Per factor the product of the others, along the first axis of (n, ...)."""
    count = x.shape[0]
    if count <= GROUP:
        return lax.concatenate(_excluding(_parts(x, count)), 0)
    size = -(-count // GROUP)
    end = [(0, size * GROUP - count, 0), *[(0, 0, 0)] * (x.ndim - 1)]
    x = lax.pad(x, np.ones((), x.dtype), end)
    if ir.placed(ir.typeof(x)):
        found = _within(x, _others(_grouped(x)))
    else:
        others = _others(for_cpu(_grouped, _grouped, x))
        found = for_cpu(_within, _within, x, others)
    return lax.slice_in_dim(found, 0, count)


def _parts(x, count: int) -> list:
    size = x.shape[0] // count
    return [lax.slice_in_dim(x, i * size, (i + 1) * size) for i in range(count)]


def _grouped(x):
    return functools.reduce(lax.mul, _parts(x, GROUP))


def _within(x, others):
    found = [lax.mul(others, part) for part in _excluding(_parts(x, GROUP))]
    return lax.concatenate(found, 0)


def _excluding(parts):
    """For each of the parts the product of the others."""
    one = lax.full_like(parts[0], 1)
    before = [one, *itertools.accumulate(parts[:-1], lax.mul)]
    after = [one, *itertools.accumulate(parts[:0:-1], lax.mul)]
    return list(map(lax.mul, before, reversed(after)))


register("reduce_prod", _Product(_product_jvp))


# Any other reduction is a tree of its pairwise operation: halves are combined until one
# element is left, in log2(n) steps.
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
