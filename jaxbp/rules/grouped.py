"""Gradients of convolutions whose channels are in groups, on CPUs.

XLA has no library for most of these there: the gradient of the kernel goes element by
element (a convolution of 32 channels in 16 groups takes 2 ms, its kernel's gradient
300), and so does that of the image where a group has few channels. Here either is a sum
over the few places p of the kernel, of arrays of the image's size:

    y_o = sum_p x_{s o + d p - low} k_p      along each axis, within groups of channels
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
SMALL_GROUP = 16  # channels in times out: of larger ones XLA has the image's gradient


def for_kernel(y_bar, kernel, params) -> bool:
    """Whether the kernel's gradient is better had here, on a CPU."""
    _, rhs, _ = params["dimension_numbers"]
    places = math.prod([kernel.shape[axis] for axis in rhs[2:]])
    real = np.dtype(y_bar.dtype) in (np.dtype("float32"), np.dtype("float64"))
    plain = params["batch_group_count"] == 1 and set(params["lhs_dilation"]) == {1}
    grouped = params["feature_group_count"] > 1 and y_bar.size > 0
    return grouped and plain and real and 0 < places <= FEW_PLACES


def for_image(y_bar, kernel, params) -> bool:
    """Whether the image's gradient is better had here, on a CPU."""
    _, rhs, _ = params["dimension_numbers"]
    channels = kernel.shape[rhs[0]] * kernel.shape[rhs[1]]
    small = channels <= SMALL_GROUP * params["feature_group_count"]
    return small and for_kernel(y_bar, kernel, params)


def _in_order(array, spec):
    return lax.transpose(array, (spec[0], *spec[2:], spec[1]))


def _back(array, order):
    return lax.transpose(array, [int(axis) for axis in np.argsort(order)])


def _by_groups(array, groups):
    shape = (*array.shape[:-1], groups, array.shape[-1] // groups)
    return lax.reshape(array, shape)


def _padded(array, config):
    zero = np.zeros((), array.dtype)
    return lax.pad(array, zero, [(0, 0, 0), *config, (0, 0, 0)])


def _joined(array):
    """The last two axes as one."""
    return lax.reshape(array, (*array.shape[:-2], array.shape[-2] * array.shape[-1]))


def _offsets(kernel_shape, params):
    """Where each place of the kernel lies for the first output, in order."""
    dilation = params["rhs_dilation"]
    for place in np.ndindex(*kernel_shape):
        yield place, [p * d for p, d in zip(place, dilation, strict=True)]


def kernel_gradient(y_bar, x0, *, x1, **params):
    """Cotangent of the kernel, of type `x1`."""
    lhs, rhs, out = params["dimension_numbers"]
    groups, strides = params["feature_group_count"], params["window_strides"]
    y = _in_order(y_bar, out)
    x = _in_order(ir.cast(x0, y.dtype), lhs)
    x = _padded(x, [(low, high, 0) for low, high in params["padding"]])
    reach = [(n - 1) * s + 1 for n, s in zip(y.shape[1:-1], strides, strict=True)]
    axes, last = tuple(range(y.ndim - 1)), (y.ndim - 1,)
    alone = x.shape[-1] == groups == y.shape[-1]
    found = []
    for _, starts in _offsets([x1.shape[axis] for axis in rhs[2:]], params):
        ends = [a + n for a, n in zip(starts, reach, strict=True)]
        limits = (x.shape[0], *ends, x.shape[-1])
        part = lax.slice(x, (0, *starts, 0), limits, (1, *strides, 1))
        if alone:
            here = lax.expand_dims(lax.reduce_sum(lax.mul(part, y), axes), (0,))
        else:
            part, each = _by_groups(part, groups), _by_groups(y, groups)
            here = _product(part, each, (axes, axes), (last, last), params)
            here = _joined(lax.transpose(here, (1, 0, 2)))
        found.append(lax.expand_dims(here, (0,)))
    order = (*rhs[2:], rhs[1], rhs[0])
    shape = [x1.shape[axis] for axis in order]
    return _back(lax.reshape(lax.concatenate(found, 0), shape), order)


def _product(x, y, contracted, batch, params):
    return lax.dot_general(
        x, y, (contracted, batch), precision=params["precision"],
        preferred_element_type=np.dtype(x.dtype),
    )  # fmt: skip


def image_gradient(y_bar, x1, *, x0, **params):
    """Cotangent of the image, of type `x0`."""
    lhs, rhs, out = params["dimension_numbers"]
    y = _in_order(y_bar, out)
    kernel = lax.transpose(ir.cast(x1, y.dtype), (*rhs[2:], rhs[1], rhs[0]))
    sizes = [x0.shape[axis] for axis in lhs[2:]]
    alone = kernel.shape[-2] == 1 and y.shape[-1] == params["feature_group_count"]
    find = _weighted if alone else _by_products
    x_bar = functools.reduce(lax.add, find(y, kernel, sizes, params))
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


def _by_products(y, kernel, sizes, params):
    """Per place of the kernel its products with the groups of `y`."""
    groups = params["feature_group_count"]
    each, axes = _by_groups(y, groups), range(1, y.ndim)
    batch = (each.ndim - 2,), (1,)
    for place, starts in _offsets(kernel.shape[:-2], params):
        weights = _by_groups(_at(kernel, place), groups)
        here = _product(each, weights, ((y.ndim,), (2,)), batch, params)
        here = _joined(lax.transpose(here, (*axes, 0, y.ndim)))
        yield _placed(here, starts, sizes, params)


def _weighted(y, kernel, sizes, params):
    """The same where a group is one channel: `y` is shifted, and multiplied.

    Shifts are slices of one array; without a barrier it would be padded for each.
    """
    offsets = list(_offsets(kernel.shape[:-2], params))
    last = offsets[-1][1]
    wide = [n + a for n, a in zip(sizes, last, strict=True)]
    (y,) = ir.barrier([_placed(y, last, wide, params)])
    for place, starts in offsets:
        begin = [a - b for a, b in zip(last, starts, strict=True)]
        ends = [a + n for a, n in zip(begin, sizes, strict=True)]
        here = lax.slice(y, (0, *begin, 0), (y.shape[0], *ends, y.shape[-1]))
        weights = lax.squeeze(_at(kernel, place), (0,))
        yield lax.mul(here, lax.broadcast_in_dim(weights, here.shape, (here.ndim - 1,)))


def _at(kernel, place):
    for at in place:
        kernel = lax.index_in_dim(kernel, at, keepdims=False)
    return kernel
