"""A linear program known by types alone: what its walks cost, what it keeps."""

from collections.abc import Sequence
from typing import NamedTuple

from .. import ir
from ..linear.program import LinearProgram
from .amount import Amount
from .count import NOTHING, Given, flat_amount, traced_amount
from .flat import Flat
from .memory import Tape, tape_of


class Linearized(NamedTuple):
    """A function as it writes its tape.

    Fields:
      flat: the function's program; its last outputs are the tape.
      program: the linear program, with types for arrays.
    """

    flat: Flat
    program: LinearProgram

    def tape(self) -> Tape:
        first = len(self.flat.outs) - len(self.program.tape)
        return tape_of(self.flat, self.flat.outs[first:])

    def recorded(self, given: Given = NOTHING) -> Amount:
        """Cost of evaluating the function with the tape written."""
        return flat_amount(self.flat, given)

    def pushed(self, given: Given = NOTHING) -> Amount:
        """Cost of one pushforward, the tape given."""
        seeds = self.seeds(self.program.structure.ins)
        return traced_amount(LinearProgram.push, self.program, seeds, **given._asdict())

    def pulled(self, given: Given = NOTHING) -> Amount:
        """Cost of one pullback, the tape given."""
        seeds = self.seeds(self.program.structure.outs)
        return traced_amount(LinearProgram.pull, self.program, seeds, **given._asdict())

    def seeds(self, slots: Sequence[int | None]) -> list:
        """Types of tangents or cotangents for some slots; None where there is none."""
        avals = self.program.structure.avals
        return [
            None if slot is None else ir.struct(ir.tangent_aval(avals[slot]))
            for slot in slots
        ]
