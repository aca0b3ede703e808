"""Loops of a few numbers: the Jacobians of all steps at once, then small products.

    c[t + 1] = step_t(c[t]), c of n numbers       J[t] = d c[t + 1] / d c[t], (n, n)
    step by step:  the pull of a step is tens of operations on a few numbers, one after
                   the other, and each of them is a call of its own
    at once:       J of many steps by n pulls of all these steps together; then
                   c_bar[t] = c_bar[t + 1] @ J[t], a single operation; then what
                   invariants and elements get, by one more pull of all steps together

By the chain rule the pull of c_bar by a step is c_bar @ J plus the pull of what its
other outputs were given, so that both ways give the same. A step is pulled n + 2 times,
yet many steps together take far less time than each by itself. Steps are taken in
blocks: what is computed for all of a block's steps at once stays in cache.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jax import lax

from ..base import add, filled
from ..program import LinearProgram
from .loop import Loop

MOST = 12  # numbers that are carried: a step is pulled once for each of them
_AT_ONCE = 1024  # steps times numbers carried


@dataclass(slots=True, unsafe_hash=True)
class AtOnce(Loop):
    """A scan whose carries are a few real numbers of one type.

    Its step also gives the linear program of many steps, by `all_at_once`: inputs and
    outputs have a leading axis of steps, but for the invariants.
    """

    def pull(self, residuals, y_bars):
        carries = len(self.carry_avals)
        bar = _flat(filled(y_bars[:carries], self.carry_avals))
        state = bar, filled([None] * len(self.held_avals), self.held_avals)
        xs = self.step.slices(residuals), list(y_bars[carries:])

        def block(state, xs):
            return self._block(self.step.all_at_once(residuals, xs[0]), state, xs[1])

        size, stretches = _stretches(self.length, bar.size)
        found = []
        for begin, end in stretches if self.reverse else stretches[::-1]:
            part = _between(xs, begin, end)
            if end - begin <= size:
                state, bars = block(state, part)
            else:
                part = _shaped(part, (end - begin) // size, size)
                state, bars = lax.scan(block, state, part, reverse=not self.reverse)
                bars = _shaped(bars, end - begin, axes=2)
            found.append(bars)
        found = found if self.reverse else found[::-1]
        bars = found[0]
        if len(found) > 1:
            bars = jax.tree.map(lambda *x: lax.concatenate(x, 0), *found)
        bar, totals = state
        return [*totals, *_parts(bar, self.carry_avals), *bars]

    def _block(self, program: LinearProgram, state, others: Sequence):
        """Goes back through the steps of `program`.

        Args:
          state: the cotangents of the carries, in one array, and of the invariants.
          others: of the steps' other outputs.

        Returns:
          The state before these steps; cotangents of the steps' elements.
        """
        bar, totals = state
        first, last = len(totals), len(totals) + len(self.carry_avals)
        steps = program.structure.avals[program.structure.ins[first]].shape[0]

        def carried(bars):
            found = program.pull([*bars])[first:last]
            return _flat(filled(found, self._many(steps)), 1)

        def row(unit):
            bars = _parts(lax.broadcast(unit, (steps,)), self.carry_avals)
            return carried([*bars, *[None] * len(others)])

        rows = jax.vmap(row, out_axes=1)(np.eye(bar.size, dtype=bar.dtype))
        driven = None
        if any(other is not None for other in others):
            driven = carried([*[None] * len(self.carry_avals), *others])

        def step(bar, xs):
            rows, driven = xs
            product = lax.mul(rows, lax.broadcast_in_dim(bar, rows.shape, (0,)))
            return add(lax.reduce_sum(product, (0,)), driven), bar

        bar, bars = lax.scan(step, bar, (rows, driven), reverse=not self.reverse)
        found = program.pull([*_parts(bars, self.carry_avals), *others])
        totals = [add(*pair) for pair in zip(totals, found[:first], strict=True)]
        return (bar, totals), found[last:]

    def _many(self, steps: int) -> list:
        """The types of the carries' tangents at so many steps."""
        return [aval.update(shape=(steps, *aval.shape)) for aval in self.carry_avals]


def _stretches(length: int, carried: int) -> tuple[int, list[tuple[int, int]]]:
    """How many steps are a block, and from where to where there are whole ones."""
    most = _AT_ONCE // carried
    if length <= most:
        return length, [(0, length)]
    for size in range(most, most // 2, -1):
        if length % size == 0:
            return size, [(0, length)]
    rest = length % most
    return most, [(0, rest), (rest, length)]


def _between(xs, begin: int, end: int):
    def part(x):
        whole = (begin, end) == (0, x.shape[0])
        return x if whole else lax.slice_in_dim(x, begin, end)

    return jax.tree.map(part, xs)


def _shaped(xs, *shape: int, axes: int = 1):
    """The leading axes of all arrays in another shape."""
    return jax.tree.map(lambda x: lax.reshape(x, (*shape, *x.shape[axes:])), xs)


def _flat(arrays: Sequence, axes: int = 0):
    """One array of what they hold, behind so many leading axes."""
    flat = [
        lax.reshape(x, (*x.shape[:axes], math.prod(x.shape[axes:]))) for x in arrays
    ]
    return lax.concatenate(flat, axes)


def _parts(whole, avals: Sequence) -> list:
    """Arrays of these types, but for leading axes, from their numbers in the last."""
    found, begin = [], 0
    for aval in avals:
        end = begin + math.prod(aval.shape)
        part = lax.slice_in_dim(whole, begin, end, axis=-1)
        found.append(lax.reshape(part, (*whole.shape[:-1], *aval.shape)))
        begin = end
    return found
