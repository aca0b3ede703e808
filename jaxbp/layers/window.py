"""Windows that slide over an image: the arithmetic of strides and padding.

Along one axis of size n, padded by (low, high), a window of size k at stride s takes
m = (low + n + high - k) // s + 1 places; place i begins at i s - low.
"""

from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxbp.errors import InvalidArgument, ShapeMismatch
from jaxbp.layers.base import check_size

Padding = str | Sequence[tuple[int, int]]


def pair(owner: str, label: str, value: int | Sequence[int]) -> tuple[int, int]:
    """One number for both axes, or one for each: always two positive integers."""
    both = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(both) != 2:
        raise InvalidArgument(
            f"`{label}` of {owner} must be an integer or two, but is {value!r}."
        )
    for size in both:
        check_size(owner, **{label: size})
    return both


def check_padding(owner: str, padding: Padding) -> None:
    """Raise unless `padding` is SAME, VALID or two pairs (low, high) of at least 0."""
    if isinstance(padding, str):
        fits = padding in ("SAME", "VALID")
    else:
        fits = len(padding) == 2 and all(
            len(p) == 2 and all(isinstance(e, Integral) and e >= 0 for e in p)
            for p in padding
        )
    if not fits:
        raise InvalidArgument(
            f"`padding` of {owner} must be 'SAME', 'VALID' or ((low, high), (low, "
            f"high)) of integers of at least 0, but is {padding!r}."
        )


class Axis(NamedTuple):
    """A window's places along one axis, and the border below and above."""

    size: int
    places: int
    window: int
    stride: int
    low: int
    high: int


def slide(owner: str, size, window, stride, padding: Padding) -> tuple[Axis, Axis]:
    """The places of one window on images of one size, for both axes.

    Raises:
      ShapeMismatch: the window is larger than the image with its border.
    """
    axes = []
    for axis, (n, k, s) in enumerate(zip(size, window, stride, strict=True)):
        low, high = _border(padding, axis, n, k, s)
        axes.append(Axis(n, (low + n + high - k) // s + 1, k, s, low, high))
    rows, columns = axes
    if min(rows.places, columns.places) < 1:
        raise ShapeMismatch(
            f"`x` of {owner} must be at least as large as the window {window}, but its "
            f"image is {tuple(size)}, padding {padding}."
        )
    return rows, columns


def _border(padding, axis, n, k, s):
    """(low, high); SAME leaves ceil(n/s) places and puts the odd one above."""
    if not isinstance(padding, str):
        return padding[axis]
    needed = (-(-n // s) - 1) * s + k - n if padding == "SAME" else 0
    total = max(needed, 0)
    return total // 2, total - total // 2


def offsets(axes: tuple[Axis, Axis]) -> list[tuple[int, int]]:
    """The window's entries (row, column), row by row."""
    rows, columns = axes
    return [(i, j) for i in range(rows.window) for j in range(columns.window)]


def with_border(x: jax.Array, axes: tuple[Axis, Axis], value: float) -> jax.Array:
    """`x` (N, H, W, C) with its border filled by `value`."""
    border = [(axis.low, axis.high, 0) for axis in axes]
    return lax.pad(x, jnp.asarray(value, x.dtype), [(0, 0, 0), *border, (0, 0, 0)])


def entry(
    bordered: jax.Array, axes: tuple[Axis, Axis], offset: tuple[int, int]
) -> jax.Array:
    """What the window sees at `offset`, in every place: (N, *places, C)."""
    n, _, _, c = bordered.shape
    ends = [
        o + (a.places - 1) * a.stride + 1 for o, a in zip(offset, axes, strict=True)
    ]
    strides = (1, *(axis.stride for axis in axes), 1)
    return lax.slice(bordered, (0, *offset, 0), (n, *ends, c), strides)


# Place i lands at offset + i s - low: dilate by s, then pad, or crop (a negative pad)
# what began in the border.
def entry_pullback(
    y_bar: jax.Array, axes: tuple[Axis, Axis], offset: tuple[int, int]
) -> jax.Array:
    """The transpose of `entry` after `with_border`: (N, *places, C) -> (N, H, W, C)."""
    config = [(0, 0, 0)]
    for o, axis in zip(offset, axes, strict=True):
        first = o - axis.low
        end = first + (axis.places - 1) * axis.stride + 1
        config.append((first, axis.size - end, axis.stride - 1))
    return lax.pad(y_bar, jnp.zeros((), y_bar.dtype), [*config, (0, 0, 0)])
