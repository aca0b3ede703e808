"""The derivative of a compiled inner program, and maps known by their code alone."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import jax

from .base import Edge, LinearMap
from .program import LinearProgram, Structure, restricted


class Walks:
    """Both walks of a linear program as compiled functions, shared by all its calls.

    Each is traced once per pattern of zeros and per `switches()` in force.

    Args:
      name: of the inner program.
      switches: gives what the rules of maps depend on beside their operands.
    """

    def __init__(self, structure: Structure, name: str, switches: Callable):
        self.structure, self.name, self.switches = structure, name, switches
        self._compiled: dict[Hashable, Callable] = {}
        self._parts: dict[tuple[bool, ...], tuple] = {}

    def walk(self, direction: str, residuals: Sequence, dots: Sequence) -> list:
        """`push` or `pull` of the program with these residuals."""
        key = direction, self.switches()
        if key not in self._compiled:
            self._compiled[key] = self._compile(direction)
        return self._compiled[key](residuals, dots)

    def _compile(self, direction):
        structure = self.structure

        def walk(residuals, dots):
            return getattr(LinearProgram(structure, residuals), direction)(dots)

        walk.__name__ = walk.__qualname__ = f"{self.name}_{direction}"
        return jax.jit(walk)

    def part(self, wanted: tuple[bool, ...]) -> tuple:
        """The walks to some outputs; the inputs and places of the tape they need."""
        if wanted not in self._parts:
            structure, ins, tape = restricted(self.structure, wanted)
            walks = Walks(structure, self.name, self.switches)
            self._parts[wanted] = walks, ins, tape
        return self._parts[wanted]


@dataclass(slots=True, unsafe_hash=True)
class Call(LinearMap):
    """A linear program inside another, compiled on its own; residuals: its tape."""

    walks: Walks
    kind = "call"
    many = True

    def push(self, residuals, x_dots):
        return self.walks.walk("push", residuals, x_dots)

    def pull(self, residuals, y_bars):
        return self.walks.walk("pull", residuals, y_bars)

    def narrowed(self, edge: Edge, needed) -> Edge:
        wanted = tuple([slot in needed for slot in edge.outs])
        walks, ins, tape = self.walks.part(wanted)
        return Edge(
            Call(walks),
            tuple([edge.residuals[i] for i in tape]),
            tuple([edge.ins[i] for i in ins]),
            tuple([slot for slot, w in zip(edge.outs, wanted, strict=True) if w]),
        )


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
