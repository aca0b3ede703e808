"""The cotangent of what is read along a ramp of indices: it is read, too.

    y = x[clip(k - arange(m), 0, n - 1)]       a reversal about k, held at the ends
    x_bar[j] = y_bar[k - j]                    where that is one of y's places
    x_bar[0] += sum of y_bar[i] for i > k;  x_bar[n - 1] += sum for k - i > n - 1

A scatter adds number after number, each to what the one before may have written; what
is read is done for many at once, in one kernel with what uses it. So where every place
but the ends is read at most once, and it follows from the indices which elements of y
read it, nothing is scattered.

On CPUs that is sooner where the whole is small, as in loops that are one function: of
a large one the sums at the ends, and all places at which nothing is read, take longer
than to add one by one.
"""

import math

import numpy as np
from jax import lax

from .. import ir
from .ramps import Ramp, ramp

LEAST = 16  # elements read; fewer are added in no time
MOST = 1024  # elements of the whole, unless all places are known
MOST_TIMES = 4  # as many elements as are read; a larger array is rather added to
_MODES = lax.GatherScatterMode


def read_back(y_bar, x, indices, *, dimension_numbers, mode, slice_sizes):
    """The cotangent of the operand of a gather with these parameters; None where it
    does not read elements or rows at places that are a ramp, or is better scattered.

    Args:
      y_bar: cotangent of what was read.
      x: the type of the array read.
    """
    numbers = dimension_numbers
    if not ir.is_tracer(y_bar) or ir.placed(x) or ir.typeof(indices).ndim != 2:
        return None
    if len(numbers.start_index_map) != 1 or numbers.operand_batching_dims:
        return None
    (axis,), count = numbers.start_index_map, indices.shape[0]
    whole = [1 if a == axis else n for a, n in enumerate(x.shape)]
    if numbers.collapsed_slice_dims != (axis,) or list(slice_sizes) != whole:
        return None
    n = x.shape[axis]
    dtype = np.dtype(ir.typeof(indices).dtype)
    if count < LEAST or n > MOST_TIMES * count or 8 * (n + count) > _most(dtype):
        return None
    found = ramp(indices)
    if found is None or not _is_told(found, n, count, mode):
        return None
    (own,) = set(range(y_bar.ndim)).difference(numbers.offset_dims)
    if found.is_plain() and not found.terms:
        placed = _placed(y_bar, own, axis, n, found)
        if placed is not None:
            return placed
    if abs(found.step) != 1 or math.prod(x.shape) > MOST:
        return None
    if mode == _MODES.CLIP:
        low = 0 if found.low is None else found.low
        found = found.replace(low=low, high=n - 1 if found.high is None else found.high)
    return _Reading(found, dtype, count, n).pulled(y_bar, own, axis)


def _most(dtype) -> int:
    return np.iinfo(dtype).max if dtype.kind in "iu" else 0


def _is_told(found: Ramp, n: int, count: int, mode) -> bool:
    """Whether it is known of every index where it reads."""
    if mode not in (_MODES.PROMISE_IN_BOUNDS, _MODES.FILL_OR_DROP, _MODES.CLIP):
        return False
    low, high = (end or 0 for end in (found.low, found.high))
    wraps = not found.wraps or (found.wraps == n and count <= n)
    return 0 <= low < n and 0 <= high < n and wraps


def _placed(y_bar, own: int, axis: int, n: int, found: Ramp):
    """What is read at places that are all known, with zeros around and between."""
    count = y_bar.shape[own]
    first, last = sorted([found.number, found.number + (count - 1) * found.step])
    if first < 0 or last >= n or not found.step:
        return None
    order = [a for a in range(y_bar.ndim) if a != own]
    order.insert(axis, own)
    rows = lax.transpose(y_bar, order) if own != axis else y_bar
    rows = lax.rev(rows, (axis,)) if found.step < 0 else rows
    around = [(0, 0, 0)] * rows.ndim
    around[axis] = first, n - 1 - last, abs(found.step) - 1
    return lax.pad(rows, np.zeros((), rows.dtype), around)


class _Reading:
    """Which of m elements of y an element of x, of n, is read by.

    Args:
      found: where the elements of y read, a step of 1 or -1 apart.
    """

    def __init__(self, found: Ramp, dtype, m: int, n: int):
        self.found, self.number, self.m, self.n = found, dtype.type, m, n
        self.dtype = dtype
        self.start = found.start(dtype, 2 * (n + m))
        self.step = self.number(found.step)

    def pulled(self, y_bar, own: int, axis: int):
        """The cotangent of x along `axis`, y's elements being along `own`."""
        j = lax.iota(self.dtype, self.n)
        i, inside = self._readers(j)
        order = tuple([a for a in range(y_bar.ndim) if a != axis])
        numbers = lax.GatherDimensionNumbers(order, (own,), (own,))
        sizes = [1 if a == own else size for a, size in enumerate(y_bar.shape)]
        at = lax.expand_dims(i, (1,))
        read = lax.gather(y_bar, at, numbers, sizes, mode=_MODES.PROMISE_IN_BOUNDS)
        x_bar = _where(inside, read, axis)
        for end, beyond in ((self.found.low, lax.lt), (self.found.high, lax.gt)):
            if end is not None:
                held = beyond(self._wrapped_places(), self.number(end))
                total = lax.reduce_sum(_where(held, y_bar, own), (own,))
                others = [a for a in range(read.ndim) if a != axis]
                total = lax.broadcast_in_dim(total, read.shape, others)
                here = lax.eq(j, self.number(end))
                x_bar = lax.add(x_bar, _where(here, total, axis))
        return x_bar

    def _readers(self, j):
        """Per element of x the one of y that reads it, and whether there is one."""
        i = lax.mul(self.step, lax.sub(j, self.start))
        if self.found.wraps:  # as j - n it is read by another, n or more away
            turn = self.number(self.found.step * self.n)
            i = lax.select(self._is_reader(i), i, lax.sub(i, turn))
        inside = self._is_reader(i)
        low, high = self.found.low, self.found.high
        if low is not None or high is not None:
            ends = low or 0, self.n - 1 if high is None else high
            inside = lax.bitwise_and(inside, self._between(j, *ends))
        return lax.clamp(self.number(0), i, self.number(self.m - 1)), inside

    def _is_reader(self, i):
        return self._between(i, 0, self.m - 1)

    def _places(self, i):
        return lax.add(self.start, lax.mul(self.step, i))

    def _wrapped_places(self):
        """Where the elements of y read, before they are held."""
        at = self._places(lax.iota(self.dtype, self.m))
        if not self.found.wraps:
            return at
        negative = lax.lt(at, self.number(0))
        return lax.select(negative, lax.add(at, self.number(self.n)), at)

    def _between(self, x, low: int, high: int):
        above, below = lax.ge(x, self.number(low)), lax.le(x, self.number(high))
        return lax.bitwise_and(above, below)


def _where(mask, x, axis: int):
    """`x` where a mask along an axis is true, else 0."""
    whole = lax.broadcast_in_dim(mask, x.shape, (axis,))
    return lax.select(whole, x, lax.full_like(x, 0))
