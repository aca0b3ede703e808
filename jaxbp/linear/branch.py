"""The derivative of a choice between programs: the linear program of the one chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

from jax import lax

from .. import ir
from .base import LinearMap, filled
from .program import LinearProgram, Structure, reaching, taped


@dataclass(slots=True, unsafe_hash=True)
class Branches(LinearMap):
    """One linear program per branch, with the same inputs and outputs.

    Residuals: the index of the branch, then a pool of arrays that the branches share:
    `tapes` says, per branch, which of them make up its tape. With `again`, that of a
    branch computes further ones from the pool; they are behind it.
    """

    structures: tuple[Structure, ...]
    tapes: tuple[tuple[int, ...], ...]
    in_avals: tuple
    out_avals: tuple
    again: tuple = ()

    def _switch(self, residuals, dots, apply, avals):
        index, *pool = residuals

        def branch(number):
            def walk(pool, dots):
                program = LinearProgram(
                    self.structures[number], self._tape(number, pool)
                )
                return filled(apply(program, dots), avals)

            return walk

        branches = [branch(number) for number in range(len(self.structures))]
        return lax.switch(index, branches, pool, dots)

    def _tape(self, number: int, pool) -> list:
        computed = self.again[number](pool) if self.again else []
        whole = [*pool, *computed]
        return [whole[place] for place in self.tapes[number]]

    def push(self, residuals, x_dots):
        return self._switch(residuals, list(x_dots), LinearProgram.push, self.out_avals)

    def pull(self, residuals, y_bars):
        return self._switch(residuals, list(y_bars), LinearProgram.pull, self.in_avals)

    def pull_onto(self, residuals, y_bars, x_bars):
        """What the branch taken adds; the others hand on what stands there."""

        def apply(program, given):
            return program.pull_onto(*given)

        given = list(y_bars), list(x_bars)
        return self._switch(residuals, given, apply, self.in_avals)

    def narrowed(self, edge, needed):
        wanted = [slot in needed for slot in edge.outs]
        ends = [tuple(_those(s.outs, wanted)) for s in self.structures]
        found = [reaching(*pair) for pair in zip(self.structures, ends, strict=True)]
        pairs = list(zip(self.structures, found, strict=True))
        read = [[slot in used for slot in s.ins] for s, (_, used) in pairs]
        ins = [any(flags) for flags in zip(*read, strict=True)]
        programs = [
            taped(edges, s.avals, _those(s.ins, ins), outs)
            for (s, (edges, _)), outs in zip(pairs, ends, strict=True)
        ]
        tapes: list[list[int]] = [
            [tape[place] for place in program.tape]
            for program, tape in zip(programs, self.tapes, strict=True)
        ]
        count = len(edge.residuals) - 1
        kept = {place for tape in tapes for place in tape}
        kept = range(count) if self.again else sorted(kept)
        at: dict[int, int] = {place: i for i, place in enumerate(kept)}
        fewer = Branches(
            tuple([program.structure for program in programs]),
            tuple([tuple([at.get(p, p) for p in tape]) for tape in tapes]),
            tuple(_those(self.in_avals, ins)),
            tuple(_those(self.out_avals, wanted)),
            self.again,
        )
        index, *pool = edge.residuals
        return edge._replace(
            map=fewer,
            residuals=(index, *[pool[place] for place in kept]),
            ins=tuple(_those(edge.ins, ins)),
            outs=tuple(_those(edge.outs, wanted)),
        )

    def opened(self, residuals):
        index, *pool = residuals
        if ir.is_tracer(index):
            return None
        chosen = int(index)
        return LinearProgram(self.structures[chosen], self._tape(chosen, pool))


def _those(values: Sequence, flags: Sequence[bool]) -> list:
    return [value for value, on in zip(values, flags, strict=True) if on]
