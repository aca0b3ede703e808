"""The derivative of a compiled inner program, and maps known by their code alone."""

from collections.abc import Callable
from dataclasses import dataclass

import jax

from .base import LinearMap
from .program import LinearProgram, Structure

_push = jax.jit(LinearProgram.push)
_pull = jax.jit(LinearProgram.pull)


@dataclass(slots=True, unsafe_hash=True)
class Call(LinearMap):
    """A linear program inside another, compiled on its own; residuals: its tape."""

    structure: Structure
    kind = "call"
    many = True

    def push(self, residuals, x_dots):
        return _push(LinearProgram(self.structure, residuals), x_dots)

    def pull(self, residuals, y_bars):
        return _pull(LinearProgram(self.structure, residuals), y_bars)


@dataclass(slots=True, unsafe_hash=True)
class Opaque(LinearMap):
    """A map known only by its code: push_with and pull_with(residuals, values)."""

    push_with: Callable
    pull_with: Callable
    kind = "opaque"
    many = True

    def push(self, residuals, x_dots):
        return self.push_with(residuals, x_dots)

    def pull(self, residuals, y_bars):
        return self.pull_with(residuals, y_bars)
