"""Reading from an array that a loop's step then writes, so that it is written in place.

    u = x[i];  y = x with something else at j        of a step; y is the next step's x

A compiler writes y over x where all that reads x is done before. It looks at what
depends on what: where the read is fused into an operation that comes later, or into
several, or where nothing says that it comes first, it copies x at every step. So

- a part is read such that it is not fused into what uses it, as a slice is: a few
  real numbers by windows of them, a larger part by a gather of its place twice;
- where the write does not depend on what was read, it is made to: 0, computed from the
  part, is added to its place.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from jax import lax
from jax.extend.core.primitives import (
    dynamic_slice_p,
    dynamic_update_slice_p,
    reduce_window_max_p,
    reduce_window_sum_p,
)

from .. import ir

FEW = 16  # numbers; a part of more is read in another way
MANY_PARTS = 8  # a part this many times smaller than the whole is worth a place
LEAST = 512  # elements; a smaller array is copied in no time


def is_part(shape: tuple, whole) -> bool:
    """Whether an array of type `whole` is better updated in place by parts of `shape`,
    in a compiled program on one device."""
    size, count = math.prod(shape), math.prod(whole.shape)
    return count >= max(LEAST, MANY_PARTS * size) and size > 0 and not ir.placed(whole)


def read(x, starts, shape: tuple, linear: bool = False):
    """The part of `x` that `lax.dynamic_slice` gives; `linear`: of a cotangent."""
    few = _few(x, starts, shape, linear)
    if few is not None:
        return few
    axes = tuple(range(len(shape)))
    numbers = lax.GatherDimensionNumbers(axes, (), axes)
    mode = lax.GatherScatterMode.PROMISE_IN_BOUNDS
    at = place(starts, x.shape, shape)
    return _twice(x, at, numbers, slice_sizes=shape, mode=mode)


def read_at(
    x, indices, numbers: lax.GatherDimensionNumbers, linear: bool = False, **params
):
    """What `lax.gather` gives; `linear`: of a cotangent."""
    if math.prod(indices.shape[:-1]) > 1:
        return lax.gather(x, indices, numbers, **params)
    sizes, modes = params["slice_sizes"], lax.GatherScatterMode
    clips = params["mode"] in (modes.PROMISE_IN_BOUNDS, modes.CLIP)
    if clips and not numbers.operand_batching_dims:
        at = lax.reshape(indices, indices.shape[-1:])
        starts: list[Any] = [0] * x.ndim
        for i, axis in enumerate(numbers.start_index_map):
            starts[axis] = lax.index_in_dim(at, i, keepdims=False)
        few = _few(x, starts, tuple(sizes), linear)
        if few is not None:
            out = [1] * (indices.ndim - 1 + len(numbers.offset_dims))
            collapsed = numbers.collapsed_slice_dims
            kept = [n for axis, n in enumerate(sizes) if axis not in collapsed]
            for axis, n in zip(numbers.offset_dims, kept, strict=True):
                out[axis] = n
            return lax.reshape(few, out)
    return _twice(x, indices, numbers, **params)


def _few(x, starts, shape: tuple, linear: bool):
    """The part of `x` if it is a few real numbers, else None.

    It is the largest of itself, or its sum, in a window of two whose other place is
    empty: XLA does windows by themselves. The sum is linear, but makes 0 of -0.
    """
    real = np.issubdtype(x.dtype, np.floating) or np.issubdtype(x.dtype, np.integer)
    if math.prod(shape) > FEW or not real:
        return None
    sizes = zip(starts, x.shape, shape, strict=True)
    at = [clipped(start, n - m) for start, n, m in sizes]
    at = [int(start) if isinstance(start, np.ndarray) else start for start in at]
    part = lax.expand_dims(window(x, at, shape), (0,))
    each, none = (1,) * part.ndim, [(0, 0)] * len(shape)
    found = (reduce_window_sum_p if linear else reduce_window_max_p).bind(
        part,
        window_dimensions=(2, *each[1:]),
        window_strides=each,
        padding=((1, 0), *none),
        base_dilation=each,
        window_dilation=each,
    )
    return lax.squeeze(found, (0,))


def _twice(x, indices, numbers: lax.GatherDimensionNumbers, **params):
    """A gather at one place, of it and once more of it."""
    moved = numbers._replace(
        offset_dims=_behind_one(numbers.offset_dims),
        start_indices_batching_dims=_behind_one(numbers.start_indices_batching_dims),
    )
    once = lax.expand_dims(indices, (0,))
    twice = lax.concatenate([once, once], 0)
    return lax.index_in_dim(lax.gather(x, twice, moved, **params), 0, keepdims=False)


def _behind_one(axes: tuple) -> tuple:
    return tuple([axis + 1 for axis in axes])


def place(starts, shape: tuple, part: tuple):
    """Where a dynamic slice begins, (axes,) int32: the part lies within the array."""
    sizes = zip(starts, shape, part, strict=True)
    found = [clipped(start, n - m) for start, n, m in sizes]
    if all(isinstance(start, np.ndarray) for start in found):
        return np.array(found, np.int32)
    return lax.concatenate([lax.expand_dims(start, (0,)) for start in found], 0)


def clipped(start, last: int):
    """A start, or an array of starts, between 0 and `last`, as int32."""
    if isinstance(start, (int, np.ndarray, np.generic)):
        return np.asarray(np.clip(start, 0, last), np.int32)
    return placed(start, last)[0]


def placed(start, last: int) -> tuple:
    """Starts between 0 and `last`, as int32, and which of them lay there before."""
    if start.dtype.itemsize < 4:  # `last` may be more than it counts to
        start = lax.convert_element_type(start, np.int32)
    inside = lax.clamp(start.dtype.type(0), start, start.dtype.type(last))
    return lax.convert_element_type(inside, np.int32), lax.eq(start, inside)


def zero_after(part):
    """0 as an integer, which a compiler knows only when it has read `part`."""
    first = lax.reshape(lax.slice(part, [0] * part.ndim, [1] * part.ndim), ())
    if np.issubdtype(first.dtype, np.complexfloating):
        first = lax.real(first)
    zero = np.zeros((), first.dtype)
    none = lax.min(lax.abs(first), zero)
    none = lax.select(lax.eq(none, none), none, zero)
    return lax.convert_element_type(none, np.int32)


def zeros_after(part, dtype):
    """Zeros in the shape of `part`, known only when it was read."""
    zero = lax.convert_element_type(zero_after(part), dtype)
    return lax.broadcast(zero, part.shape)


def cleared(x, starts, part):
    """`x` with zeros where `part` was read, by `read`."""
    return write(x, zeros_after(part, x.dtype), starts)


def window(x, starts, shape: tuple):
    """`lax.dynamic_slice` from where one began: starts are not looked at again."""
    return dynamic_slice_p.bind(x, *_numbers(starts), slice_sizes=tuple(shape))


def write(x, part, starts):
    """`lax.dynamic_update_slice` at starts as those of `window`."""
    return dynamic_update_slice_p.bind(x, part, *_numbers(starts))


def _numbers(starts) -> list:
    return [np.int32(s) if isinstance(s, int) else s for s in starts]


def after(x, parts):
    """`x`, to be written only when `parts` were read: 0 is added to an element."""
    axes = tuple(range(x.ndim))
    numbers = lax.ScatterDimensionNumbers((), axes, axes)
    zeros = [zero_after(part) for part in parts if part is not None]
    at = lax.broadcast(functools.reduce(lax.add, zeros), (2, x.ndim))
    mode = lax.GatherScatterMode.PROMISE_IN_BOUNDS
    return lax.scatter_add(x, at, lax.full((2,), 0, x.dtype), numbers, mode=mode)


class Window(NamedTuple):
    """The one part that a scatter writes: where it begins, its shape in the operand,
    and whether it lies inside, so that it is written (None: it does)."""

    starts: list
    shape: tuple
    inside: Any

    def inside_alone(self, part, shape: tuple):
        """`part` in another shape; 0 where nothing is written."""
        return lax.reshape(
            self.chosen(part, lax.full(self.shape, 0, part.dtype)), shape
        )

    def chosen(self, part, other):
        """`part` where it is written, else `other`."""
        return part if self.inside is None else lax.select(self.inside, part, other)


def window_of(shape: tuple, indices, update: tuple, params) -> Window | None:
    """The part of an array of `shape` that a scatter writes, if it is one."""
    numbers = params["dimension_numbers"]
    if math.prod(indices.shape[:-1]) != 1 or numbers.operand_batching_dims:
        return None
    kept = iter(numbers.update_window_dims)
    removed = numbers.inserted_window_dims
    sizes = [1 if a in removed else update[next(kept)] for a in range(len(shape))]
    at = lax.reshape(indices, indices.shape[-1:])
    starts: list[Any] = [0] * len(shape)
    inside = []
    for i, axis in enumerate(numbers.scatter_dims_to_operand_dims):
        start, last = lax.index_in_dim(at, i, keepdims=False), shape[axis] - sizes[axis]
        starts[axis], is_inside = placed(start, last)
        inside.append(is_inside)
    if params["mode"] != lax.GatherScatterMode.FILL_OR_DROP or not inside:
        return Window(starts, tuple(sizes), None)
    return Window(starts, tuple(sizes), functools.reduce(lax.bitwise_and, inside))
