"""The derivative of a choice between programs: the linear program of the one chosen."""

from dataclasses import dataclass

from jax import lax

from .. import ir
from .base import LinearMap, filled
from .program import LinearProgram, Structure


@dataclass(slots=True, unsafe_hash=True)
class Branches(LinearMap):
    """One linear program per branch, with the same inputs and outputs.

    Residuals: the index of the branch, then a pool of arrays that the branches share:
    `tapes` says, per branch, which of them make up its tape.
    """

    structures: tuple[Structure, ...]
    tapes: tuple[tuple[int, ...], ...]
    in_avals: tuple
    out_avals: tuple

    def _switch(self, residuals, dots, apply, avals):
        index, *pool = residuals

        def branch(structure, places):
            def walk(pool, dots):
                program = LinearProgram(structure, [pool[i] for i in places])
                return filled(apply(program, dots), avals)

            return walk

        pairs = zip(self.structures, self.tapes, strict=True)
        return lax.switch(index, [branch(s, p) for s, p in pairs], pool, list(dots))

    def push(self, residuals, x_dots):
        return self._switch(residuals, x_dots, LinearProgram.push, self.out_avals)

    def pull(self, residuals, y_bars):
        return self._switch(residuals, y_bars, LinearProgram.pull, self.in_avals)

    def opened(self, residuals):
        index, *pool = residuals
        if ir.is_tracer(index):
            return None
        chosen = int(index)
        tape = [pool[i] for i in self.tapes[chosen]]
        return LinearProgram(self.structures[chosen], tape)
