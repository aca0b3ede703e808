"""Pooling on images (batch, height, width, channels): one number per window."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbp.layers.base import Layer, Static, make_layer
from jaxbp.layers.window import (
    Padding,
    check_padding,
    entry,
    entry_pullback,
    offsets,
    pair,
    slide,
    with_border,
)


# y[i] = max over the window of place i. The cotangent of y[i] goes to the entry that
# won, the first in row order among equals (as in JAX, so that both agree on ties):
#   x_bar = sum over offsets h of (the transpose of taking entry h)(y_bar [winner = h]).
# Kept: the winner's number, one byte for windows of up to 256 entries; neither x nor y.
def max_pool(
    window: int | tuple[int, int] = 2,
    *,
    stride: int | tuple[int, int] | None = None,
    padding: Padding = "VALID",
) -> Layer:
    """The largest entry of each window, channel by channel.

    Args:
      window: (height, width), or one number for both.
      stride: the same; None is the window, so that windows do not overlap.
      padding: 'VALID', 'SAME' or ((low, high), (low, high)); never the winner.

    Returns:
      A layer (N, H, W, C) -> (N, H', W', C) without parameters.

    Raises:
      InvalidArgument: window, stride or padding is not as stated.
      ShapeMismatch (when called): the window is larger than the image.
    """
    axes_of = _slider("max_pool", window, stride, padding)

    def plain(params, x):
        axes = axes_of(x.shape[1:3])
        return lax.reduce_window(
            x,
            -jnp.inf,
            lax.max,
            (1, *(axis.window for axis in axes), 1),
            (1, *(axis.stride for axis in axes), 1),
            ((0, 0), *((axis.low, axis.high) for axis in axes), (0, 0)),
        )

    def forward(params, x):
        axes = axes_of(x.shape[1:3])
        y, winner = _largest(axes, with_border(x, axes, -jnp.inf))
        return y, (winner, Static(x.shape[1:3]))

    def backward(params, residuals, y_bar):
        winner, size = residuals
        axes = axes_of(size.value)
        x_bar = sum(
            entry_pullback(jnp.where(winner == h, y_bar, 0), axes, offset)
            for h, offset in enumerate(offsets(axes))
        )
        return {}, x_bar

    return _pool_layer("max_pool", forward, backward, plain)


def _largest(axes, bordered):
    """The largest entry per place, and its number in the window."""
    first, *others = (entry(bordered, axes, offset) for offset in offsets(axes))
    counter = np.uint8 if len(others) < 256 else np.int32
    y, winner = first, jnp.zeros(first.shape, counter)
    for h, other in enumerate(others, start=1):
        winner = jnp.where(other > y, counter(h), winner)
        y = jnp.maximum(y, other)
    return y, winner


# y[i] = (1/count[i]) sum over the window of place i, counting entries of the image:
#   x_bar = sum over offsets h of (the transpose of taking entry h)(y_bar / count).
# Linear: nothing is kept but the image's size.
def average_pool(
    window: int | tuple[int, int] = 2,
    *,
    stride: int | tuple[int, int] | None = None,
    padding: Padding = "VALID",
) -> Layer:
    """The mean over each window, channel by channel; a border is not counted.

    Arguments, shapes and errors as in `max_pool`.
    """
    axes_of = _slider("average_pool", window, stride, padding)

    def forward(params, x):
        axes = axes_of(x.shape[1:3])
        bordered = with_border(x, axes, 0)
        total = sum(entry(bordered, axes, offset) for offset in offsets(axes))
        return total * _weights(axes, x.dtype), (Static(x.shape[1:3]),)

    def backward(params, residuals, y_bar):
        (size,) = residuals
        axes = axes_of(size.value)
        share = y_bar * _weights(axes, y_bar.dtype)
        x_bar = sum(entry_pullback(share, axes, offset) for offset in offsets(axes))
        return {}, x_bar

    return _pool_layer("average_pool", forward, backward)


def _weights(axes, dtype):
    """1/count per place, (1, *places, 1); 1 for a place in the border only."""
    inside = []
    for axis in axes:
        first = np.arange(axis.places) * axis.stride - axis.low
        end = np.minimum(first + axis.window, axis.size)
        inside.append(np.maximum(end - np.maximum(first, 0), 0))
    count = np.maximum(np.outer(*inside), 1)
    return jnp.asarray(1 / count, dtype)[None, :, :, None]


def _slider(name, window, stride, padding):
    window = pair(name, "window", window)
    stride = window if stride is None else pair(name, "stride", stride)
    check_padding(name, padding)
    return lambda size: slide(name, size, window, stride, padding)


def _pool_layer(name, forward, backward, plain=None):
    trailing = ("height", "width", "channels")
    return make_layer(
        name, {}, forward, backward, plain=plain, trailing=trailing, rank=4
    )
