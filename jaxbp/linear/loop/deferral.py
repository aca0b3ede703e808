"""Which cotangents of a loop's invariants wait until after the reverse loop.

    h = tanh(h @ w + x[t])           of a step; w is an invariant
    step by step:   w_bar += h_old[t]^T @ a_bar[t]      n products, n passes over w_bar
    waiting:        a_bar[t] is stacked, and after the loop
                    w_bar = h_old^T @ a_bar             one product over all steps

The cotangent of an invariant is a sum over the steps. Where it comes out of a
contraction (the weight gradient of a recurrent net, sum_t x_t^T y_bar_t), the step's
y_bar is stacked and one contraction runs after the loop: one large matrix product for
many small ones, and no accumulator is read and written at every step.

What is stacked for it is counted, each cotangent once, and where it is large beside the
sum, the products stay in the loop. A cotangent that is put together
from parts (that of the gates that `split` cut) is stacked by its parts where several
contractions share these.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
from jax import lax

from ... import ir
from ..base import Edge, LinearMap
from ..diagonal import Scaled
from ..program import LinearProgram, Structure

SMALL_PART = 4  # times smaller than the sum: then its stack takes less than it spares
# Bytes of a step. On a CPU a stack's memory is new, which takes longer than to add to a
# sum that stays in the cache: fewer than these are stacked in the time of an operation
# (0.4 ns a byte, 2 us), and sums beyond the cache take 0.2 ns a byte to be added to.
_FEW = 5 << 10
_IN_CACHE = 1 << 18


class Waiting(NamedTuple):
    """An edge that waits, and the slots whose cotangents are stacked for it.

    Fields:
      edge: from an invariant; its output's cotangent is wanted.
      slots: one with that cotangent, or the outputs of `joint`.
      joint: the map that puts it together from those of `slots`, or None.
    """

    edge: Edge
    slots: tuple[int, ...]
    joint: LinearMap | None = None

    def pull(self, tape, stack: dict):
        """The invariant's cotangent, from what was stacked by slot."""
        y_bars = [stack[slot] for slot in self.slots]
        if all(y_bar is None for y_bar in y_bars):
            return None
        y_bar, joint = y_bars[0], self.joint
        if joint is not None:
            y_bar = jax.vmap(lambda bars: joint.pull((), bars)[0])(y_bars)
        edge = self.edge
        if not edge.residuals:
            return edge.map.pull((), [lax.reduce_sum(y_bar, (0,))])[0]
        return edge.map.pull_steps([tape[place] for place in edge.residuals], y_bar)


def deferral(
    structure: Structure,
    moves: Sequence[bool],
    waits: Sequence[bool],
    derived: Sequence[int],
    held: int,
    limit: int,
    length: int,
):
    """What waits, and which invariants have other cotangents, summed in the loop.

    Args:
      structure: of one step; its first `held` inputs are the invariants.
      moves: per place of the tape: does the residual change from step to step.
      waits: per place: is the residual there for all steps at once.
      derived: per place: bytes of a residual that is computed again for all steps,
        where something that waits asks for it.
      limit: how many bytes a step may stack for it; beside these, all steps may stack a
        small part of the sum that the loop does not keep then.
      length: the number of steps.
    """
    invariants = structure.ins[:held]
    graph = _Cotangents(structure)
    leaving = [edge for edge in structure.edges if edge.ins[0] in invariants]
    products = [edge for edge in leaving if _contracts(edge, moves, waits)]
    choices = [[Waiting(e, graph.whole(e.outs[0])) for e in products]]
    choices.append([graph.parted(waiting) for waiting in choices[0]])
    waiting, stacked, again, copied = [], set(), set(), 0
    for candidate in min(choices, key=lambda found: graph.size(_slots(found))):
        asked = again.union(candidate.edge.residuals)
        needed = graph.size(stacked.union(candidate.slots))
        needed += sum(derived[r] for r in asked)
        whole = ir.nbytes(structure.avals[candidate.edge.ins[0]])
        own = graph.size(candidate.slots) + sum(
            derived[r] for r in candidate.edge.residuals
        )
        new = graph.size(set(candidate.slots) - stacked)
        # One product at a time lays rows of all steps out anew: where there is little
        # to be had, that counts.
        lone = all(len(structure.avals[s].shape) < 2 for s in candidate.slots)
        copy = copied if lone or whole >= _IN_CACHE else max(copied, own)
        fits = needed + copy <= limit or own * length * SMALL_PART <= whole
        if fits and _pays(new, whole):
            waiting.append(candidate)
            stacked.update(candidate.slots)
            again, copied = asked, copy
    # A bias beside a product: the sum of what is stacked already.
    for edge in leaving:
        if len(edge.ins) == len(edge.outs) == 1 and not edge.residuals:
            whole = Waiting(edge, graph.whole(edge.outs[0]))
            for candidate in (whole, graph.parted(whole)):
                if stacked.issuperset(candidate.slots):
                    waiting.append(candidate)
                    break
    apart = {id(candidate.edge) for candidate in waiting}
    in_loop = {s for e in structure.edges if id(e) not in apart for s in e.ins}
    in_loop.update(slot for slot in structure.outs if slot is not None)
    return waiting, [slot in in_loop for slot in invariants]


def _pays(stacked: int, whole: int) -> bool:
    """Whether it takes less time to stack these bytes at every step than to add to a
    sum of `whole` bytes."""
    if stacked <= _FEW or jax.default_backend() != "cpu":
        return True
    return whole >= _IN_CACHE and 2 * stacked <= whole


def pull_but(program: LinearProgram, waiting: Sequence[Waiting], y_bars, totals):
    """Cotangents of the inputs, but for what waits, and those to be stacked by slot.

    Args:
      totals: of the invariants, the first inputs: what the cotangents are added to.
    """
    rest = [None] * (len(program.structure.ins) - len(totals))
    if not waiting:
        return program.pull_onto(y_bars, [*totals, *rest], in_loop=True), {}
    structure = program.structure
    apart = {id(candidate.edge) for candidate in waiting}
    kept = tuple(edge for edge in structure.edges if id(edge) not in apart)
    slots = tuple(_slots(waiting))
    partial = structure._replace(edges=kept, ins=(*structure.ins, *slots))
    onto = [*totals, *rest, *[None] * len(slots)]
    bars = LinearProgram(partial, program.tape).pull_onto(y_bars, onto, in_loop=True)
    count = len(structure.ins)
    return bars[:count], dict(zip(slots, bars[count:], strict=True))


def _slots(waiting: Sequence[Waiting]) -> list[int]:
    return list(dict.fromkeys(slot for one in waiting for slot in one.slots))


def _contracts(edge: Edge, moves, waits) -> bool:
    there = all(waits[r] for r in edge.residuals)
    return bool(edge.map.waits) and there and any(moves[r] for r in edge.residuals)


_IDENTITY = Scaled(1)


class _Cotangents:
    """Where the cotangents of a step's slots come from."""

    def __init__(self, structure: Structure):
        self.avals = structure.avals
        self.after = structure.readers()

    def _only(self, slot) -> Edge | None:
        after = self.after.get(slot, ())
        return after[0] if len(after) == 1 else None

    def whole(self, slot) -> tuple[int]:
        """The slot whose cotangent that of `slot` is: y = a + b hands its own on."""
        edge = self._only(slot)
        while edge is not None and edge.map == _IDENTITY:
            slot = edge.outs[0]
            edge = self._only(slot)
        return (slot,)

    def parted(self, waiting: Waiting) -> Waiting:
        """The same with its cotangent in parts, if it is put together from some."""
        edge = self._only(waiting.slots[0])
        if edge is None or edge.residuals or len(edge.ins) > 1 or len(edge.outs) < 2:
            return waiting
        slots = tuple(self.whole(slot)[0] for slot in edge.outs)
        return Waiting(waiting.edge, slots, edge.map)

    def size(self, slots) -> int:
        return sum(ir.nbytes(self.avals[slot]) for slot in set(slots))
