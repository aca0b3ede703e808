"""Windows sliding over an array: pooling.

Per axis, with an input of n elements dilated by d, `low` elements of padding before
it, and windows of w elements dilated by e, output o covers the places o s + k e - low,
k < w, for a stride of s; places between dilated elements and in the padding count as
the operation's neutral element.
"""

from typing import Any

import numpy as np
from jax import lax
from jax.extend.core.primitives import (
    ge_p,
    le_p,
    reduce_window_max_p,
    reduce_window_min_p,
    reduce_window_sum_p,
    select_and_gather_add_p,
    select_and_scatter_add_p,
)

from .. import ir
from .reduction import on_arrays
from .registry import general, linear, rewritten
from .spans import Windows, spans

FEW_PLACES = 64  # of a window: there are operations for each


# Average pooling. x_bar_i = sum of y_bar_o over the windows o that cover i: z, which is
# y_bar dilated by s, is summed in windows itself: x_bar_i = sum over k of z at
# i d + low - k e.
def _window_sum_transpose(y_bar, x, **params):
    strides = params["window_strides"]
    widths = spans(params["window_dimensions"], params["window_dilation"])
    before = [
        w - 1 - low for w, (low, _) in zip(widths, params["padding"], strict=True)
    ]
    image = spans(x.shape, params["base_dilation"])
    dilated = spans(y_bar.shape, strides)
    sizes = zip(before, image, widths, dilated, strides, strict=True)
    config = [(b, i + w - 1 - b - d, stride - 1) for b, i, w, d, stride in sizes]
    ones = (1,) * len(widths)
    return reduce_window_sum_p.bind(
        lax.pad(y_bar, np.zeros((), y_bar.dtype), config),
        window_dimensions=params["window_dimensions"],
        window_strides=params["base_dilation"],
        padding=((0, 0),) * len(widths),
        base_dilation=ones,
        window_dilation=params["window_dilation"],
    )


linear("reduce_window_sum", transpose=_window_sum_transpose)


# Max pooling. The tangent is that of the element which wins its window, the first of
# equals: select_and_gather_add(x_dot, x). Its transpose adds y_bar where it was read:
# select_and_scatter_add(y_bar, x). Each is the other's transpose.
def _extreme(primitive, select):
    def jvp(primals, tangents, **params):
        (x,), (x_dot,) = primals, tangents
        y_dot = select_and_gather_add_p.bind(x_dot, x, select_prim=select, **params)
        return primitive.bind(x, **params), y_dot

    return jvp


general("reduce_window_max", jvp=_extreme(reduce_window_max_p, ge_p))
general("reduce_window_min", jvp=_extreme(reduce_window_min_p, le_p))


def _select_and_gather_add_transpose(
    y_bar, x_dot, x, *, select_prim, base_dilation, window_dilation, **params
):
    if y_bar.size == 0:  # windows that are longer than the array
        return lax.full(x.shape, 0, y_bar.dtype)
    windows = Windows(
        x.shape,
        y_bar.shape,
        base_dilation=base_dilation,
        window_dilation=window_dilation,
        **params,
    )
    loses = np.array(-np.inf if select_prim is ge_p else np.inf, x.dtype)
    few = windows.size <= FEW_PLACES

    def by_places(y_bar, x):
        return _to_winners(y_bar, x, select_prim, loses, windows)

    def by_xla(y_bar, x):
        wide = lax.pad(x, loses, [(0, 0, d - 1) for d in base_dilation])
        x_bar = select_and_scatter_add_p.bind(
            y_bar, wide, select_prim=select_prim, **params
        )
        return lax.slice(x_bar, [0] * x_bar.ndim, x_bar.shape, base_dilation)

    if few and not windows.overlap or any(d != 1 for d in window_dilation):
        return by_places(y_bar, x)
    if few:
        return lax.platform_dependent(y_bar, x, cpu=by_places, default=by_xla)
    return by_xla(y_bar, x)


# select_and_scatter_add knows no dilated windows, and on a CPU it runs element by
# element. For windows of few places this is the same, there 3 to 25 times faster and in
# a fifth of the memory (10,000 to 300,000 elements; windows of 16 along the last axis
# alone take 1.5 times as long): the place in its window of each winner is found by
# comparing shifted slices of x; then, per place, the y_bar that belong there are
# shifted back, and added. The barrier keeps compilers from computing y_bar anew for
# every place.
def _to_winners(y_bar, x, select_prim, loses, windows):
    y_bar = lax.optimization_barrier(y_bar)
    wide = windows.pad(x, loses)
    first, *others = windows.places()
    best, at = windows.read(wide, first), lax.full(y_bar.shape, 0, np.int32)
    for number, place in enumerate(others, start=1):
        here = windows.read(wide, place)
        keeps = select_prim.bind(best, here)
        best = lax.select(keeps, best, here)
        at = lax.select(keeps, at, lax.full(at.shape, number, at.dtype))

    nothing = np.zeros((), y_bar.dtype)
    zeros: dict[tuple, Any] = {}

    def won(number, at, y_bar):
        wins = lax.eq(at, lax.full(at.shape, number, at.dtype))
        if at.shape not in zeros:
            zeros[at.shape] = lax.full_like(y_bar, 0)
        return lax.select(wins, y_bar, zeros[at.shape])

    none = np.array(windows.size, at.dtype)
    return windows.crop(windows.back(won, (at, none), (y_bar, nothing)))


linear("select_and_gather_add", transpose=_select_and_gather_add_transpose)


def _select_and_scatter_add_transpose(y_bar, x_dot, x, *, select_prim, **params):
    ones = (1,) * x.ndim
    return select_and_gather_add_p.bind(
        y_bar,
        x,
        select_prim=select_prim,
        base_dilation=ones,
        window_dilation=ones,
        **params,
    )


linear("select_and_scatter_add", transpose=_select_and_scatter_add_transpose)


# Any other operation. Places in the padding and between dilated elements do not count,
# whatever the start value (XLA passes over them, and only where that value changes
# nothing is there no difference). Axis by axis the w places of a window are combined as
# slices; which of them count depends on one axis at a time, and is known beforehand.
def _reduce_window(
    *operands,
    jaxpr,
    consts,
    window_dimensions,
    window_strides,
    padding,
    base_dilation,
    window_dilation,
):
    half = len(operands) // 2
    pairs = zip(operands[:half], operands[half:], strict=True)
    config = [
        (low, high, d - 1)
        for (low, high), d in zip(padding, base_dilation, strict=True)
    ]
    counts = [_counting(n, *c) for n, c in zip(operands[0].shape, config, strict=True)]
    xs = [lax.pad(x, start, config) for x, start in pairs]
    combine = on_arrays(ir.closed(jaxpr, consts), xs[0].ndim)
    windows = zip(window_dimensions, window_strides, window_dilation, strict=True)
    for axis, window in enumerate(windows):
        xs, counts[axis] = _along(combine, xs, axis, counts[axis], *window)
    starts = [lax.broadcast(start, xs[0].shape) for start in operands[half:]]
    whole = combine(*starts, *xs)
    for axis, count in enumerate(counts):  # a window without places: the start alone
        whole = _chosen(count, whole, starts, axis)
    return whole


def _counting(size, low, high, gaps):
    """Which places of a padded axis hold elements."""
    places = np.arange(-low, max(size + gaps * (size - 1), 0) + high)
    inside = (places >= 0) & (places <= (size - 1) * (gaps + 1))
    return inside & (places % (gaps + 1) == 0)


def _along(combine, xs, axis, counts, width, stride, dilation):
    """Windows of `width` places along one axis, and which of them hold any element."""
    reach = max(xs[0].shape[axis] - (width - 1) * dilation, 0)

    def shifted(first):
        parts = [lax.slice_in_dim(x, first, first + reach, stride, axis) for x in xs]
        return parts, counts[first : first + reach : stride]

    whole, counted = shifted(0)
    for first in range(dilation, width * dilation, dilation):
        new, count = shifted(first)
        both = _chosen(counted, combine(*whole, *new), new, axis)
        whole = _chosen(count, both, whole, axis)
        counted = counted | count
    return whole, counted


def _chosen(mask, xs, others, axis):
    """`xs` where the places along `axis` are in `mask`, else `others`."""
    if mask.all():
        return list(xs)
    wide = lax.broadcast_in_dim(mask, xs[0].shape, (axis,))
    pairs = zip(xs, others, strict=True)
    return [lax.select(wide, x, other) for x, other in pairs]


rewritten("reduce_window", _reduce_window)
