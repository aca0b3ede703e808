"""The derivative of a compiled inner program."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import jax

from .base import Edge, LinearMap
from .program import LinearProgram, Structure, restricted


class CompiledWalks:
    """Both walks of a linear program as compiled functions, shared by all its calls.

    Each is traced once per pattern of zeros. Equal are only the same: what calls a
    program twice shares its walks.

    Args:
      name: of the inner program.
    """

    def __init__(self, structure: Structure, name: str):
        self.structure, self.name = structure, name
        self._compiled: dict[Hashable, Callable] = {}
        self._parts: dict[tuple[bool, ...], tuple] = {}

    def walk(self, direction: str, residuals: Sequence, dots: Sequence) -> list:
        """`push` or `pull` of the program with these residuals."""
        if direction not in self._compiled:
            self._compiled[direction] = self._compile(direction)
        return self._compiled[direction](residuals, dots)

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
            walks = CompiledWalks(structure, self.name)
            self._parts[wanted] = walks, ins, tape
        return self._parts[wanted]


@dataclass(slots=True, unsafe_hash=True)
class Call(LinearMap):
    """A linear program inside another, compiled on its own; residuals: its tape."""

    walks: CompiledWalks

    @property
    def structures(self):
        return (self.walks.structure,)

    def push(self, residuals, x_dots):
        return self.walks.walk("push", residuals, x_dots)

    def pull(self, residuals, y_bars):
        return self.walks.walk("pull", residuals, y_bars)

    def opened(self, residuals):
        return LinearProgram(self.walks.structure, residuals)

    def narrowed(self, edge: Edge, needed) -> Edge:
        wanted = tuple([slot in needed for slot in edge.outs])
        walks, ins, tape = self.walks.part(wanted)
        return edge._replace(
            map=Call(walks),
            residuals=tuple([edge.residuals[i] for i in tape]),
            ins=tuple([edge.ins[i] for i in ins]),
            outs=tuple([slot for slot, w in zip(edge.outs, wanted, strict=True) if w]),
        )
