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
        yield place, [p * d for p, d in zip(place, dilation, strict=True)]


def kernel_gradient(y_bar, x0, *, x1, **params):
    """Cotangent of the kernel, of type `x1`, where each channel is a group."""
    lhs, rhs, out = params["dimension_numbers"]
    strides = params["window_strides"]
    y = _in_order(y_bar, out)
    x = _in_order(ir.cast(x0, y.dtype), lhs)
    x = _padded(x, [(low, high, 0) for low, high in params["padding"]])
    reach = [(n - 1) * s + 1 for n, s in zip(y.shape[1:-1], strides, strict=True)]
    axes = tuple(range(y.ndim - 1))
    order = (*rhs[2:], rhs[1], rhs[0])
    shape = [x1.shape[axis] for axis in order]

    def step(carry, starts):
        part = lax.dynamic_slice(x, list(starts), (x.shape[0], *reach, x.shape[-1]))
        part = lax.slice(part, [0] * y.ndim, part.shape, (1, *strides, 1))
        return carry, lax.reduce_sum(lax.mul(part, y), axes)

    offsets = [(0, *starts, 0) for _, starts in _offsets(shape[:-2], params)]
    _, found = lax.scan(step, (), np.array(offsets, np.int32))
    return _back(lax.reshape(found, shape), order)


def image_gradient(y_bar, x1, *, x0, **params):
    """Cotangent of the image, of type `x0`, where each channel is a group.

    Shifts are slices of one array; without a barrier it would be padded for each.
    """
    lhs, rhs, out = params["dimension_numbers"]
    y = _in_order(y_bar, out)
    kernel = lax.transpose(ir.cast(x1, y.dtype), (*rhs[2:], rhs[1], rhs[0]))
    sizes = [x0.shape[axis] for axis in lhs[2:]]
    offsets = list(_offsets(kernel.shape[:-2], params))
    last = offsets[-1][1]
    wide = [n + a for n, a in zip(sizes, last, strict=True)]
    (y,) = ir.barrier([_placed(y, last, wide, params)])
    moved = []
    for place, starts in offsets:
        begin = [a - b for a, b in zip(last, starts, strict=True)]
        ends = [a + n for a, n in zip(begin, sizes, strict=True)]
        here = lax.slice(y, (0, *begin, 0), (y.shape[0], *ends, y.shape[-1]))
        weights = lax.squeeze(_at(kernel, place), (0,))
        weights = lax.broadcast_in_dim(weights, here.shape, (here.ndim - 1,))
        moved.append(lax.mul(here, weights))
    x_bar = functools.reduce(lax.add, moved)
    return _back(x_bar, (lhs[0], *lhs[2:], lhs[1]))


def _placed(y, starts, sizes, params):
    """`y` where the image is read for it by the kernel's place at `starts`."""
    strides, padding = params["window_strides"], params["padding"]
    rows = zip(starts, sizes, y.shape[1:-1], strides, padding, strict=True)
    config = [
        (start - low, n + low - start - (m - 1) * s - 1, s - 1)
        for start, n, m, s, (low, _) in rows
    ]
    return _padded(y, config)


def _at(kernel, place):
    for at in place:
        kernel = lax.index_in_dim(kernel, at, keepdims=False)
    return kernel
