"""Reads and writes of a mutable array (`jax.new_ref`), as linear maps of its content.

The tangent program has no state: what a ref holds is an array that each write replaces
by another. A read takes a part of it, a write puts a new part in and gives the old one
back, and so is its own transpose. A map does its work in a ref of its own, with the
indices that JAX recorded.
"""

from dataclasses import dataclass
from typing import Any

import jax
from jax.extend.core.primitives import get_p, swap_p

from .. import ir
from .base import LinearMap, Params, SimpleMap, filled
from .labels import Form

MOVES, ADDS = Form("moves"), Form("moves", scatters=True)


def _holding(content, aval):
    """A ref with `content` (None: zeros of type `aval`)."""
    return jax.new_ref(*filled([content], [aval]))


@dataclass(slots=True, unsafe_hash=True)
class Read(SimpleMap):
    """content -> its part; residuals: the indices."""

    params: Params
    aval: Any  # of the content
    form = MOVES

    def push_one(self, residuals, x_dot):
        ref = _holding(x_dot, self.aval)
        return get_p.bind(ref, *residuals, **self.params)

    def pull_one(self, residuals, y_bar):
        ref = _holding(None, self.aval)
        ir.addupdate().bind(ref, y_bar, *residuals, **self.params)
        return jax.freeze(ref)


@dataclass(slots=True, unsafe_hash=True)
class Write(LinearMap):
    """(content, new part) -> (content, old part); residuals: the indices.

    `moving` says which of the two inputs carry tangents.
    """

    params: Params
    aval: Any
    part_aval: Any
    moving: tuple[bool, bool]
    form = MOVES

    def push(self, residuals, x_dots):
        return self._exchanged(residuals, *_spread(x_dots, self.moving))

    def pull(self, residuals, y_bars):
        return _picked(self._exchanged(residuals, *y_bars), self.moving)

    def _exchanged(self, residuals, content, part):
        (part,) = filled([part], [self.part_aval])
        ref = _holding(content, self.aval)
        old = swap_p.bind(ref, part, *residuals, **self.params)
        return [jax.freeze(ref), old]


@dataclass(slots=True, unsafe_hash=True)
class Addition(LinearMap):
    """(content, part) -> content with the part added; residuals: the indices.

    `moving` says which of the two inputs carry tangents.
    """

    params: Params
    aval: Any
    moving: tuple[bool, bool]
    form = ADDS

    def push(self, residuals, x_dots):
        content, part = _spread(x_dots, self.moving)
        if part is None:
            return [content]
        ref = _holding(content, self.aval)
        ir.addupdate().bind(ref, part, *residuals, **self.params)
        return [jax.freeze(ref)]

    def pull(self, residuals, y_bars):
        ref = _holding(y_bars[0], self.aval)
        part = get_p.bind(ref, *residuals, **self.params)
        return _picked([y_bars[0], part], self.moving)


def _spread(values, moving) -> list:
    """`values` at the places that move, None at the others."""
    given = iter(values)
    return [next(given) if moves else None for moves in moving]


def _picked(values, moving) -> list:
    return [value for value, moves in zip(values, moving, strict=True) if moves]
