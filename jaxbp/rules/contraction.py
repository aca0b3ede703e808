"""Dot products and convolutions: linear in each operand with the other held."""

import functools

import jax
import numpy as np
from jax import lax

from .. import ir
from ..linear.for_cpu import for_cpu
from ..linear.labels import Form
from ..linear.primitive import dot_labels
from . import dilated, grouped, mesh
from .products import product
from .registry import bilinear

# dot_general. Axes of an operand are batched (b), contracted (c) or kept (k); the
# output has the axes b, k of x0, k of x1. Pulling back to one operand contracts y_bar
# with the other over the other's kept axes; the result has the axes b, k of the operand
# itself, then its contracted ones in the order in which the other operand holds them.


def kept_axes(ndim, *used):
    used = {axis for axes in used for axis in axes}
    return [axis for axis in range(ndim) if axis not in used]


def in_order_of(contracted, other_contracted):
    """`contracted` as the other operand holds its partners: by ascending axis."""
    pairs = zip(other_contracted, contracted, strict=True)
    return [axis for _, axis in sorted(pairs)]


def as_operand(value, order, own):
    """`value`, whose axis i is the operand's axis order[i], as a cotangent of it."""
    if list(order) != sorted(order):
        value = lax.transpose(value, [int(i) for i in np.argsort(order)])
    return ir.cast(value, own.dtype)


def _dot_transpose(y_bar, own, other, axes, other_axes, swapped, **params):
    """x_bar of the operand of type `own`; axes = (contracted, batch) of either."""
    (contracted, batch), (other_contracted, other_batch) = axes, other_axes
    kept = kept_axes(len(own.shape), contracted, batch)
    other_kept = kept_axes(len(other.shape), other_contracted, other_batch)
    other_way = in_order_of(contracted, other_contracted)
    order, turned = [*batch, *kept, *other_way], [*batch, *other_way, *kept]
    first = len(batch) + (0 if swapped else len(kept))
    y_axes = list(range(first, first + len(other_kept)))
    left, right = y_bar, other
    axes = [(y_axes, other_kept), (list(range(len(batch))), list(other_batch))]
    if order != sorted(order) and turned == sorted(turned):  # nothing to transpose then
        order, swapped = turned, not swapped
        left, right = right, left
        axes = [pair[::-1] for pair in axes]
    x_bar = product(
        left,
        right,
        axes,
        precision=_other_way(params["precision"], swapped),
        preferred_element_type=params["preferred_element_type"],
        out_sharding=mesh.reordered(own, order),
    )
    return as_operand(x_bar, order, own)


def _other_way(precision, swapped):
    """The precision of a product whose operands changed sides."""
    if isinstance(precision, tuple) and swapped and len(precision) == 2:
        return precision[::-1]
    return precision


def _dot_left(y_bar, x0, x1, *, dimension_numbers, **params):
    (c0, c1), (b0, b1) = dimension_numbers
    return _dot_transpose(y_bar, x0, x1, (c0, b0), (c1, b1), False, **params)


def _dot_right(y_bar, x0, x1, *, dimension_numbers, **params):
    (c0, c1), (b0, b1) = dimension_numbers
    return _dot_transpose(y_bar, x1, x0, (c1, b1), (c0, b0), True, **params)


bilinear(
    "dot_general", left=_dot_left, right=_dot_right, form=Form("contracts", dot_labels)
)


# conv_general_dilated. Per spatial axis, with image n, kernel k, stride s, dilations
# d_x and d_k, padding (l, h); write n' = (n - 1) d_x + 1, k' = (k - 1) d_k + 1 and, for
# the output y, y' = (y - 1) s + 1.
#
# To the image: y_bar, dilated by s, is convolved with the flipped kernel whose in and
# out channels are exchanged. Low padding k' - 1 - l aligns it, high padding makes the
# result n' long, and a stride of d_x takes the places that hold inputs.
#
# To the kernel: the image is convolved with y_bar as the kernel, batch and channels
# exchanged; stride and kernel dilation change places. Low padding l, and a high padding
# that makes the result k' long. Groups of channels become groups of the batch, and the
# other way round.
#
# Both operands of a convolution have one type, so that where it accumulates in a wider
# one (`preferred_element_type`) the operand held is widened to that of y_bar.


def _sizes(aval, spec, dilation):
    sizes = np.array([aval.shape[axis] for axis in spec[2:]], dtype=int)
    return np.where(sizes > 0, (sizes - 1) * np.array(dilation, dtype=int) + 1, 0)


def _exchanged(spec):
    return (spec[1], spec[0], *spec[2:])


def _padding(low, high):
    return [(int(a), int(b)) for a, b in zip(low, high, strict=True)]


def _all_sizes(y_bar, x0, x1, params):
    """Dilated sizes of image, kernel and output, and the low padding."""
    lhs, rhs, out = params["dimension_numbers"]
    return (
        _sizes(x0, lhs, params["lhs_dilation"]),
        _sizes(x1, rhs, params["rhs_dilation"]),
        _sizes(y_bar, out, params["window_strides"]),
        np.array([low for low, _ in params["padding"]], dtype=int),
    )


def _group_to(value, axis, groups, target):
    """Moves the leading factor `groups` of `axis` to the front of axis `target`."""
    shape = list(value.shape)
    shape[axis : axis + 1] = [groups, shape[axis] // groups]
    split = lax.reshape(value, shape)
    rest = [i for i in range(len(shape)) if i != axis]
    rest.insert(rest.index(target + (target > axis)), axis)
    final = list(value.shape)
    final[axis] //= groups
    final[target] *= groups
    return lax.reshape(lax.transpose(split, rest), final)


# Products of a group's channels in and out. XLA's library lays out the window of every
# output: an image of 64 x 64 takes 3 x 3 of one channel 110 us, and 4 without it; 2 x 2
# channels .3 of its time, 4 x 4 about the same, 8 x 8 2.5 to 15 times it.
FEW_CHANNELS = 8


def _convolved(x, kernel, specs, **params):
    """The convolution with axes in the order that XLA's library for CPUs takes (batch,
    space, features; space, in, out). Its compiler brings axes into that order itself,
    but not within loops and branches: there it would go element by element, which is
    faster only where there are few channels. Compilers for other devices take the
    transpositions into the convolution."""
    lhs, rhs, out = specs
    groups = params["feature_group_count"] * params.get("batch_group_count", 1)
    if kernel.shape[rhs[0]] // groups * kernel.shape[rhs[1]] <= FEW_CHANNELS:
        numbers = lax.ConvDimensionNumbers(*specs)
        return lax.conv_general_dilated(x, kernel, dimension_numbers=numbers, **params)
    spatial = tuple(range(1, x.ndim - 1))
    image, last = (0, x.ndim - 1, *spatial), x.ndim - 1
    y = lax.conv_general_dilated(
        lax.transpose(x, (lhs[0], *lhs[2:], lhs[1])),
        lax.transpose(kernel, (*rhs[2:], rhs[1], rhs[0])),
        dimension_numbers=lax.ConvDimensionNumbers(
            image, (last, last - 1, *range(last - 1)), image
        ),
        **params,
    )
    order = (out[0], *out[2:], out[1])
    return lax.transpose(y, [int(axis) for axis in np.argsort(order)])


def _conv_left(y_bar, x0, x1, **params):
    if not (grouped.is_grouped(y_bar, params) and grouped.is_alone(x1, params)):
        return _image_bar(y_bar, x1, x0=x0, **params)
    x_bar = lax.platform_dependent(
        y_bar,
        x1,
        cpu=functools.partial(grouped.image_gradient, x0=x0, **params),
        default=functools.partial(_image_bar, x0=x0, **params),
    )
    return ir.cast(x_bar, x0.dtype)


def _image_bar(y_bar, x1, *, x0, **params):
    lhs, rhs, out = params["dimension_numbers"]
    groups, batches = params["feature_group_count"], params["batch_group_count"]
    image, kernel, output, low = _all_sizes(y_bar, x0, x1, params)
    before = kernel - 1 - low
    after = image + kernel - 1 - output - before
    if groups * batches > 1:  # only one of the two may exceed 1
        x1 = _group_to(x1, rhs[0], groups * batches, rhs[1])
    x_bar = _convolved(
        y_bar,
        ir.cast(lax.rev(x1, rhs[2:]), y_bar.dtype),
        (out, _exchanged(rhs), lhs),
        window_strides=params["lhs_dilation"],
        padding=_padding(before, after),
        lhs_dilation=params["window_strides"],
        rhs_dilation=params["rhs_dilation"],
        feature_group_count=groups * batches,
        precision=params["precision"],
        preferred_element_type=params["preferred_element_type"],
    )
    x_bar = ir.cast(x_bar, x0.dtype)
    return x_bar if batches == 1 else _group_to(x_bar, lhs[1], batches, lhs[0])


def _conv_right(y_bar, x0, x1, **params):
    if y_bar.size == 0:
        return ir.zeros(x1)
    transposed = dilated.is_transposed(y_bar, x1, params)
    if transposed or _is_product(y_bar, x1, params):
        instead = dilated.kernel_gradient if transposed else _product_bar
        own = jax.ShapeDtypeStruct(x1.shape, y_bar.dtype)
        x1_bar = for_cpu(_kernel_bar, instead, y_bar, x0, x1=own, **params)
        return ir.cast(x1_bar, x1.dtype)
    if not grouped.is_grouped(y_bar, params):
        return _kernel_bar(y_bar, x0, x1=x1, **params)
    if alone := grouped.is_alone(x1, params):
        if set(params["window_strides"]) != {1}:  # XLA's is as good
            return _kernel_bar(y_bar, x0, x1=x1, **params)
    find = grouped.kernel_gradient if alone else _kernel_by_groups
    x_bar = lax.platform_dependent(
        y_bar,
        x0,
        cpu=functools.partial(find, x1=x1, **params),
        default=functools.partial(_kernel_bar, x1=x1, **params),
    )
    return ir.cast(x_bar, x1.dtype)


def _is_product(y_bar, x1, params) -> bool:
    """Whether a convolution is a product of matrices: its kernel has one place, and
    nothing else is special."""
    _, rhs, _ = params["dimension_numbers"]
    real = np.dtype(y_bar.dtype) in (np.dtype("float32"), np.dtype("float64"))
    names = "lhs_dilation", "window_strides", "batch_group_count", "feature_group_count"
    sides = [x1.shape[axis] for axis in rhs[2:]]
    ones = np.hstack([sides, *[params[name] for name in names]])
    plain = set(ones) == {1} and not np.any(params["padding"])
    return plain and real and not ir.placed(ir.typeof(y_bar))


def _product_bar(y_bar, x0, *, x1, dimension_numbers, precision, **params):
    """Cotangent of a kernel of one place. The product's first operand is laid out anew:
    the one of fewer channels."""
    lhs, rhs, out = dimension_numbers
    pair = [(ir.cast(x0, y_bar.dtype), lhs), (y_bar, out)]
    swaps = y_bar.size < x0.size
    (one, first), (other, second) = pair[::-1] if swaps else pair
    numbers = (((first[0], *first[2:]), (second[0], *second[2:])), ((), ()))
    precision = _other_way(precision, swaps)
    x1_bar = lax.dot_general(one, other, numbers, precision=precision)
    x1_bar = lax.expand_dims(x1_bar, range(2, len(rhs)))
    order = (*(rhs[:2] if swaps else (rhs[1], rhs[0])), *rhs[2:])
    return lax.transpose(x1_bar, [int(axis) for axis in np.argsort(order)])


def _kernel_by_groups(y_bar, x0, *, x1, **params):
    lhs, rhs, out = params["dimension_numbers"]
    groups = params["feature_group_count"]
    params |= {"feature_group_count": 1}
    shape = list(x1.shape)
    shape[rhs[0]] //= groups
    own = jax.ShapeDtypeStruct(shape, y_bar.dtype)

    def step(carry, group):
        parts = [
            lax.dynamic_slice_in_dim(array, group * size, size, axis)
            for array, axis in ((y_bar, out[1]), (x0, lhs[1]))
            for size in [array.shape[axis] // groups]
        ]
        return carry, _kernel_bar(*parts, x1=own, **params)

    _, found = lax.scan(step, (), np.arange(groups, dtype=np.int32))
    found = lax.transpose(
        found, [*range(1, rhs[0] + 1), 0, *range(rhs[0] + 1, found.ndim)]
    )
    return lax.reshape(found, x1.shape)


def _kernel_bar(y_bar, x0, *, x1, **params):
    lhs, rhs, out = params["dimension_numbers"]
    image, kernel, output, low = _all_sizes(y_bar, x0, x1, params)
    x_bar = _convolved(
        ir.cast(x0, y_bar.dtype),
        y_bar,
        (_exchanged(lhs), _exchanged(out), _exchanged(rhs)),
        window_strides=params["rhs_dilation"],
        padding=_padding(low, kernel + output - 1 - image - low),
        lhs_dilation=params["lhs_dilation"],
        rhs_dilation=params["window_strides"],
        feature_group_count=params["batch_group_count"],
        batch_group_count=params["feature_group_count"],
        precision=params["precision"],
        preferred_element_type=params["preferred_element_type"],
    )
    return ir.cast(x_bar, x1.dtype)


bilinear(
    "conv_general_dilated", left=_conv_left, right=_conv_right, form=Form("contracts")
)
