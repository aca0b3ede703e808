"""The gradient of a transposed convolution's kernel, on CPUs.

XLA computes it with strides in the window, element by element: 16 ms for an image of 8
x 16 x 16 x 32 and 16 channels, where the convolution takes 0.5. Along each axis, with
dilation s of the image, the places of the outputs are parted by their remainders r:

    y_o = sum over s i + low - p = o of x_i k_p
    k_bar_p = sum_i x_i y_bar_{s i + u} = sum_i x_i y_bar'_{i + q, r},  u = low - p

where u = s q + r and y_bar'_{m, r} = y_bar_{s m + r}: for each place of the kernel one
product of matrices, of a window of y_bar' with all of x. They are done one by one, so
that one window at a time takes memory.
"""

import math

import numpy as np
from jax import lax

from .. import ir
from ..linear import in_place

FEW_PLACES = 64  # of a kernel: there is a product for each


def is_transposed(y_bar, x1, params) -> bool:
    """Whether the image is dilated, and nothing else is special."""
    _, rhs, _ = params["dimension_numbers"]
    real = np.dtype(y_bar.dtype) in (np.dtype("float32"), np.dtype("float64"))
    groups = params["batch_group_count"] * params["feature_group_count"]
    ones = {groups, *params["window_strides"], *params["rhs_dilation"]} == {1}
    few = 0 < math.prod([x1.shape[axis] for axis in rhs[2:]]) <= FEW_PLACES
    dilated = any(d > 1 for d in params["lhs_dilation"]) and y_bar.size > 0
    return dilated and ones and few and real and not ir.placed(ir.typeof(y_bar))


def kernel_gradient(
    y_bar, x0, *, x1, dimension_numbers, lhs_dilation, padding, precision, **params
):
    """Cotangent of the kernel, in the shape of `x1` and the type of `y_bar`."""
    lhs, rhs, out = dimension_numbers
    x = lax.transpose(ir.cast(x0, y_bar.dtype), (lhs[0], *lhs[2:], lhs[1]))
    y = lax.transpose(y_bar, (out[0], *out[2:], out[1]))
    order = (*rhs[2:], rhs[1], rhs[0])
    sides = [x1.shape[axis] for axis in rhs[2:]]
    lows = [low for low, _ in padding]
    firsts = [
        (a - k + 1) // s for a, k, s in zip(lows, sides, lhs_dilation, strict=True)
    ]
    y = _parted(y, x.shape[1:-1], firsts, lows, lhs_dilation)
    starts = []
    for place in np.ndindex(*sides):
        at = np.array(lows) - place
        parts, rests = at // lhs_dilation - firsts, at % lhs_dilation
        starts.append([0, *np.stack([parts, rests], 1).ravel(), 0])
    ones = [n for size in x.shape[1:-1] for n in (size, 1)]
    window = (x.shape[0], *ones, y.shape[-1])
    rows = lax.reshape(x, (x.size // x.shape[-1], x.shape[-1]))
    columns = lax.transpose(rows, (1, 0))

    def step(carry, start):
        at = [lax.index_in_dim(start, i, keepdims=False) for i in range(y.ndim)]
        here = lax.reshape(in_place.window(y, at, window), (len(rows), window[-1]))
        return carry, lax.dot(columns, here, precision=precision)

    _, found = lax.scan(step, (), np.array(starts, np.int32))
    found = lax.reshape(found, [x1.shape[axis] for axis in order])
    return lax.transpose(found, [int(axis) for axis in np.argsort(order)])


def _parted(y, sizes, firsts, lows, dilation):
    """`y` with each axis in space as two, of parts and of the rest within one: from the
    first part that a window begins at to the last that one ends at."""
    counts = [
        n + low // s - first
        for n, first, low, s in zip(sizes, firsts, lows, dilation, strict=True)
    ]
    config = [
        (-s * first, s * (count + first) - size, 0)
        for s, first, count, size in zip(
            dilation, firsts, counts, y.shape[1:-1], strict=True
        )
    ]
    y = lax.pad(y, np.zeros((), y.dtype), [(0, 0, 0), *config, (0, 0, 0)])
    pairs = [n for pair in zip(counts, dilation, strict=True) for n in pair]
    return lax.reshape(y, (y.shape[0], *pairs, y.shape[-1]))
