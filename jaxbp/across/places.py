"""Where entries stand along an axis, as a function of labels.

An entry of a structured Jacobian is told by its labels, small counters 0 .. size - 1.
Along each axis of output and input it stands at

    position = start + sum of step x label + index[labels],

so that a slice, a padding, a reversal, a reshape and a concatenation are numbers alone,
and a gather is an array of positions. Labels of length 1 do not exist.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from .made import turned

_counter = itertools.count()


class Label:
    """A counter; equal are only the same."""

    __slots__ = ("size", "number")

    def __init__(self, size: int):
        self.size, self.number = size, next(_counter)

    def __repr__(self):
        return f"i{self.number}:{self.size}"


class Index(NamedTuple):
    """Positions by an array.

    Fields:
      labels: one per axis of it.
      array: int; None where only the plan is made.
    """

    labels: tuple[Label, ...]
    array: Any


class Axis(NamedTuple):
    """The positions along an axis of length `size`."""

    size: int
    start: int = 0
    steps: tuple[tuple[Label, int], ...] = ()
    index: Index | None = None

    @property
    def labels(self) -> tuple[Label, ...]:
        own: tuple[Label, ...] = ()
        for label, _ in self.steps:
            own += (label,)
        return (*own, *self.index.labels) if self.index else own

    @property
    def whole(self) -> Label | None:
        """The label that runs along all of the axis, if that is all there is."""
        if self.index is None and len(self.steps) == 1 and self.start == 0:
            label, step = self.steps[0]
            if step == 1 and label.size == self.size:
                return label
        return None

    def same(self, other: "Axis") -> bool:
        """Whether these are the same positions, of the same labels."""
        if self[:3] != other[:3]:
            return False
        one, two = self.index, other.index
        if one is None or two is None:
            return one is two
        return one.labels == two.labels and one.array is two.array is not None

    def put(self, label: Label, at: "Axis") -> "Axis":
        """With `at` in the place of a label."""
        index = self.index
        if index is not None and label in index.labels:
            index = Index(*_taken(index.array, index.labels, label, at))
        elif not any_is(label, self.steps):
            return self
        elif len(self.steps) == 1 == len(at.steps) and index is at.index is None:
            ((_, step),), ((other, length),) = self.steps, at.steps
            start = self.start + step * at.start
            return Axis(self.size, start, ((other, step * length),))
        steps = dict(self.steps)
        step = steps.pop(label, 0)
        if not step:
            return self._replace(index=index)
        for other, length in at.steps:
            steps[other] = steps.get(other, 0) + step * length
        if at.index is not None:
            index = _sum(index, at.index, step)
        kept = tuple([(other, length) for other, length in steps.items() if length])
        return Axis(self.size, self.start + step * at.start, kept, index)

    def positions(self, labels: Sequence[Label], held: bool = True):
        """As an int array that broadcasts against the grid of `labels`; `held`: known
        now, else a compiled program counts."""
        found: Any = np.asarray(self.start, np.int32)
        for label, step in self.steps:
            numbers = np.arange(label.size, dtype=np.int32) if held else None
            if numbers is None:
                numbers = lax.iota(np.int32, label.size)
            found = found + _along(numbers * np.int32(step), [label], labels)
        if self.index is not None:
            found = found + _along(self.index.array, self.index.labels, labels)
        if isinstance(found, np.ndarray | np.generic):
            return np.asarray(found, np.int32)
        return jnp.asarray(found, np.int32)


def any_is(label: Label, steps: Sequence[tuple[Label, int]]) -> bool:
    """Whether a label is among those of an axis's steps."""
    for own, _ in steps:  # as a loop: most of planning passes here
        if own is label:
            return True
    return False


def along(size: int) -> Axis:
    """All of an axis, with a label of its own."""
    return Axis(size, 0, ((Label(size), 1),)) if size != 1 else Axis(1)


def _along(array, own: Sequence[Label], labels: Sequence[Label]):
    """`array`, whose axes are `own`, against the grid of `labels`."""
    order = sorted(range(len(own)), key=lambda i: labels.index(own[i]))
    moved = turned(array, order) if order != list(range(len(own))) else array
    grid = tuple([label.size if label in own else 1 for label in labels])
    return moved if moved.shape == grid else moved.reshape(grid)


def _sum(index: Index | None, other: Index, step: int) -> Index:
    scaled = None if other.array is None else other.array * step
    if index is None:
        return Index(other.labels, scaled)
    labels = tuple(dict.fromkeys((*index.labels, *other.labels)))
    if scaled is None or index.array is None:
        return Index(labels, None)
    parts = (
        _along(index.array, index.labels, labels),
        _along(scaled, other.labels, labels),
    )
    return Index(labels, parts[0] + parts[1])


def taken(array, labels: tuple[Label, ...], label: Label, at: Axis) -> tuple:
    """The labels and the array that come of putting `at` in the place of a label.

    Cost: a slice or a reshape where the labels of `at` are new and in order; else a
    gather.
    """
    found = _taken(array, labels, label, at)
    return found[0], found[1]


def _taken(array, labels, label, at: Axis) -> tuple:
    place = labels.index(label)
    others = (*labels[:place], *labels[place + 1 :])
    fresh = at.labels
    if at.index is not None and at.index.array is None:
        array = None
    if not set(fresh) & set(others) and len(set(fresh)) == len(fresh):
        wanted = (*labels[:place], *fresh, *labels[place + 1 :])
        if array is None:
            return wanted, None
        if at.index is None and (cut := window(at)) is not None:
            return wanted, _cut(array, place, cut, [x.size for x in fresh])
        positions = at.positions(fresh).reshape(-1)
        rows = jnp.take(jnp.asarray(array), positions, axis=place, mode="clip")
        shape = [x.size for x in wanted]
        return wanted, rows.reshape(shape)
    wanted = (*others, *[x for x in dict.fromkeys(fresh) if x not in others])
    if array is None:
        return wanted, None
    places = [
        at.positions(wanted)
        if own is label
        else _along(np.arange(own.size), [own], wanted)
        for own in labels
    ]
    grid = [x.size for x in wanted]
    return wanted, jnp.broadcast_to(jnp.asarray(array)[tuple(places)], grid)


class Window(NamedTuple):
    """Every `step`-th position from `start` on, `count` of them."""

    start: int
    step: int
    count: int


def window(at: Axis) -> Window | None:
    """The positions of `at` in the order of its labels as one window, if they are."""
    if not at.steps:
        return Window(at.start, 1, 1)
    step, count = at.steps[-1][1], 1
    for label, length in reversed(at.steps):
        if length != step * count:
            return None
        count *= label.size
    return Window(at.start, step, count)


def _cut(array, place: int, cut: Window, sizes: list[int]):
    """The window of an axis, which becomes axes of these sizes."""
    shape = (*array.shape[:place], *sizes, *array.shape[place + 1 :])
    start, step, count = cut
    if (start, step, count) != (0, 1, array.shape[place]):
        last = start + step * (count - 1)
        low, high = min(start, last), max(start, last) + 1
        if count == 0:
            low = high = 0
        slices = [slice(None)] * array.ndim
        slices[place] = slice(low, high, abs(step))
        if isinstance(array, np.ndarray):
            array = array[tuple(slices)]
            array = np.flip(array, place) if step < 0 else array
        else:
            array = lax.slice_in_dim(array, low, high, abs(step), place)
            array = lax.rev(array, (place,)) if step < 0 else array
    return array if array.shape == shape else array.reshape(shape)


class Crossing(NamedTuple):
    """Where two progressions meet: the labels as functions of one counter."""

    count: int
    first: tuple[int, int]  # start and step of the first's label
    second: tuple[int, int]


def crossing(first: Window, second: Window) -> Crossing:
    """Where two windows stand at one position."""
    (s, t, n), (u, v, m) = first, second
    if n <= 0 or m <= 0:
        return Crossing(0, (0, 1), (0, 1))
    common = math.gcd(t, v)
    if (u - s) % common:
        return Crossing(0, (0, 1), (0, 1))
    modulus = abs(v) // common
    inverse = pow(t // common, -1, modulus) if modulus > 1 else 0
    a = ((u - s) // common * inverse) % modulus
    b, step = (s + t * a - u) // v, t * modulus // v
    low, high = 0, (n - 1 - a) // modulus
    if step > 0:
        low, high = max(low, -(b // step)), min(high, (m - 1 - b) // step)
    else:
        low, high = max(low, -((m - 1 - b) // -step)), min(high, b // -step)
    count = max(0, high - low + 1)
    return Crossing(count, (a + modulus * low, modulus), (b + step * low, step))
