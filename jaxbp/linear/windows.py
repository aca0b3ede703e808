"""Cotangents of arrays that are read by parts: all parts are added at once.

Every read of x[i] alone would bring a cotangent as large as x, zero but for one
element, and n reads would cost n passes over x. Instead the parts wait until the
cotangent of x is asked for. Then parts of one shape are added by a single scatter, its
places constants where the reads were at constant places.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jax import lax

from .. import ir
from . import in_place
from .base import add

# A part this many times smaller than the whole waits; of larger ones a compiler writes
# the sum in one pass.
MANY_PARTS = 8
# Of a smaller array a compiler adds padded parts in one pass, sooner than a scatter
# begins.
LEAST = 2048
FEW = 4  # parts at computed places are added one by one


def is_small_part(part_shape: tuple, whole_shape: tuple) -> bool:
    """Whether a part is added in its place rather than padded to the whole."""
    whole = math.prod(whole_shape)
    return whole >= max(LEAST, MANY_PARTS * math.prod(part_shape))


class Window(NamedTuple):
    """A part of an array: where it starts along each axis, and its cotangent."""

    starts: tuple
    y_bar: Any


class Waiting:
    """Parts that wait to be added to cotangents, by slot."""

    def __init__(self, avals: Sequence):
        self.avals = avals
        self.parts: dict[int, list[Window]] = defaultdict(list)

    def takes(self, edge, residuals, y_bar) -> bool:
        """Whether the pull of `y_bar` waits: a small part of the input was read."""
        find, slot = edge.map.form.window, edge.ins[0]
        if find is None or ir.placed(self.avals[slot]):
            return False
        if (
            y_bar.dtype != self.avals[slot].dtype
        ):  # wider, by a custom rule: it stays so
            return False
        if not is_small_part(y_bar.shape, self.avals[slot].shape):
            return False
        starts = find(edge.map, residuals)
        if starts is not None:
            self.parts[slot].append(Window(tuple(starts), y_bar))
        return starts is not None

    def settle(self, slot: int, env: dict) -> None:
        """Adds the parts that wait for a slot to what stands there."""
        groups = defaultdict(list)
        for part in self.parts.pop(slot, ()):
            groups[part.y_bar.shape].append(part)
        for parts in groups.values():
            env[slot] = _added(env.get(slot), self.avals[slot], parts)


def _added(x_bar, aval, parts: Sequence[Window]):
    """`x_bar` (None: zero) with the parts, all of one shape, added."""
    known = all(isinstance(s, int) for part in parts for s in part.starts)
    if len(parts) == 1 or len(parts) <= FEW and not known:
        for starts, y_bar in parts:
            if x_bar is None:
                x_bar = ir.zeros(ir.tangent_aval(aval))
            else:
                there = lax.dynamic_slice(x_bar, starts, y_bar.shape)
                y_bar = add(there, y_bar)
            x_bar = lax.dynamic_update_slice(x_bar, y_bar, starts)
        return x_bar
    x_bar = ir.zeros(ir.tangent_aval(aval)) if x_bar is None else x_bar
    places = [
        in_place.place(part.starts, aval.shape, part.y_bar.shape) for part in parts
    ]
    places = (
        np.stack(places) if known else lax.concatenate([p[None] for p in places], 0)
    )
    y_bars = lax.concatenate([lax.expand_dims(p.y_bar, (0,)) for p in parts], 0)
    return scatter(x_bar, places, y_bars)


def scatter(x_bar, places, y_bars):
    """`x_bar` with windows added.

    Args:
      places: (k, axes) int: where each starts; inside the array.
      y_bars: (k, *window).
    """
    axes = tuple(range(x_bar.ndim))
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=tuple([axis + 1 for axis in axes]),
        inserted_window_dims=(),
        scatter_dims_to_operand_dims=axes,
    )
    return lax.scatter_add(
        x_bar, places, y_bars, numbers, mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS
    )
