"""Gradients of convolutions whose channels are in groups, on CPUs.

XLA has no library for these there. The gradient of the kernel goes element by element
(a convolution of 32 channels in 16 groups takes 2 ms, its kernel's gradient 300): by
one group at a time it is convolutions that there is a library for (0.7 ms). Where each
channel is a group of its own both gradients are sums over the few places p of the
kernel, of arrays of the image's size (the image's: 0.15 ms instead of 3.5):

    y_o = sum_p x_{s o + d p - low} k_p      along each axis, channel by channel
    k_bar_p = sum_o x_{s o + d p - low} y_bar_o
    x_bar_{s o + d p - low} += y_bar_o k_p

Arrays are (batch, *space, channels) here, kernels (*space, channels in, channels out).
"""

import functools
import math

import numpy as np
from jax import lax

from .. import ir

FEW_PLACES = 64  # of a kernel: there are operations for each


def is_grouped(y_bar, params) -> bool:
    """Whether a convolution's channels are in groups, and nothing else is special."""
    real = np.dtype(y_bar.dtype) in (np.dtype("float32"), np.dtype("float64"))
    plain = params["batch_group_count"] == 1 and set(params["lhs_dilation"]) == {1}
    return params["feature_group_count"] > 1 and plain and real and y_bar.size > 0


def is_alone(kernel, params) -> bool:
    """Whether each channel is a group, gives one, and the kernel has few places."""
    _, rhs, _ = params["dimension_numbers"]
    places = math.prod([kernel.shape[axis] for axis in rhs[2:]])
    one = kernel.shape[rhs[1]] == 1
    one = one and kernel.shape[rhs[0]] == params["feature_group_count"]
    return one and 0 < places <= FEW_PLACES


def _in_order(array, spec):
    return lax.transpose(array, (spec[0], *spec[2:], spec[1]))


def _back(array, order):
    return lax.transpose(array, [int(axis) for axis in np.argsort(order)])


def _padded(array, config):
    zero = np.zeros((), array.dtype)
    return lax.pad(array, zero, [(0, 0, 0), *config, (0, 0, 0)])


def _offsets(kernel_shape, params):
    """Where each place of the kernel lies for the first output, in order."""
    dilation = params["rhs_dilation"]
    for place in np.ndindex(*kernel_shape):
        yield [p * d for p, d in zip(place, dilation, strict=True)]


def kernel_gradient(y_bar, x0, *, x1, **params):
    """Cotangent of the kernel, of type `x1`, where each channel is a group."""
    lhs, rhs, out = params["dimension_numbers"]
    y = _in_order(y_bar, out)
    x = _in_order(ir.cast(x0, y.dtype), lhs)
    order = (*rhs[2:], rhs[1], rhs[0])
    shape = [x1.shape[axis] for axis in order]
    wide, begins = _shifts(y, x.shape[1:-1], shape[:-2], params)

    def step(carry, begin):
        here = lax.dynamic_slice(wide, list(begin), x.shape)
        return carry, lax.reduce_sum(lax.mul(here, x), tuple(range(x.ndim - 1)))

    starts = [(0, *begin, 0) for begin in begins]
    _, found = lax.scan(step, (), np.array(starts, np.int32))
    return _back(lax.reshape(found, shape), order)


def image_gradient(y_bar, x1, *, x0, **params):
    """Cotangent of the image, of type `x0`, where each channel is a group."""
    lhs, rhs, out = params["dimension_numbers"]
    y = _in_order(y_bar, out)
    kernel = lax.transpose(ir.cast(x1, y.dtype), (*rhs[2:], rhs[1], rhs[0]))
    weights = lax.reshape(kernel, (math.prod(kernel.shape[:-1]), kernel.shape[-1]))
    sizes = [x0.shape[axis] for axis in lhs[2:]]
    wide, begins = _shifts(y, sizes, kernel.shape[:-2], params)
    moved = []
    for place, begin in enumerate(begins):
        ends = [a + n for a, n in zip(begin, sizes, strict=True)]
        here = lax.slice(wide, (0, *begin, 0), (y.shape[0], *ends, y.shape[-1]))
        weight = lax.index_in_dim(weights, place, keepdims=False)
        weight = lax.broadcast_in_dim(weight, here.shape, (here.ndim - 1,))
        moved.append(lax.mul(here, weight))
    x_bar = functools.reduce(lax.add, moved)
    return _back(x_bar, (lhs[0], *lhs[2:], lhs[1]))


def _shifts(y, sizes, kernel_shape, params):
    """An array whose slices of the image's size, one for each place of the kernel, are
    `y` where it was computed from the image; and where these begin.

    Without a barrier compilers would pad `y` for each of them.
    """
    strides, padding = params["window_strides"], params["padding"]
    offsets = list(_offsets(kernel_shape, params))
    last = offsets[-1]
    config = [
        (end - low, n + low - (m - 1) * s - 1, s - 1)
        for end, n, m, s, (low, _) in zip(
            last, sizes, y.shape[1:-1], strides, padding, strict=True
        )
    ]
    (wide,) = ir.barrier([_padded(y, config)])
    return wide, [[b - a for a, b in zip(at, last, strict=True)] for at in offsets]
