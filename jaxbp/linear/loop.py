"""The derivative of a loop: one linear program, applied at every step.

Residuals that do not change from step to step are held once; the others are stacked.

Going back, the cotangent of an invariant is a sum over the steps. Where it comes out of
a contraction (the weight gradient of a recurrent net, sum_t x_t^T y_bar_t), the step's
y_bar is stacked instead and one contraction runs after the loop: one large matrix
product for many small ones, and no accumulator is read and written at every step.
"""

import contextlib
import math
from dataclasses import dataclass

import jax.numpy as jnp
from jax import lax

from .applied import Applied
from .base import Edge, LinearMap, add, filled
from .program import LinearProgram, Structure

_limits = [1 << 30]


@contextlib.contextmanager
def stack_limit(limit_bytes: int):
    """Bounds what a reverse loop stacks to contract after the loop.

    Args:
      limit_bytes: the most bytes one stacked cotangent may take; above it, the cotangent
        of the invariant is accumulated step by step. 0 always accumulates. The default
        is 1 GiB.
    """
    _limits.append(limit_bytes)
    try:
        yield
    finally:
        _limits.pop()


@dataclass(slots=True, unsafe_hash=True)
class Loop(LinearMap):
    """A scan of a step's linear program.

    The step's inputs are ordered invariants, carries, elements; its outputs carries,
    elements. Residuals come in the order of the step's tape.
    """

    structure: Structure
    stacked: tuple[bool, ...]  # per place of the step's tape: does it change by step
    invariants: int
    carries: int
    length: int
    reverse: bool
    unroll: int | bool
    kind = "loop"
    many = True

    def _scan(self, step, carry, xs, reverse):
        return lax.scan(
            step, carry, xs, length=self.length, reverse=reverse, unroll=self.unroll
        )

    def _slices(self, residuals) -> list:
        return [r for r, moves in zip(residuals, self.stacked, strict=True) if moves]

    def _program(self, structure, residuals, slices) -> LinearProgram:
        slices = iter(slices)
        pairs = zip(self.stacked, residuals, strict=True)
        tape = [next(slices) if moves else held for moves, held in pairs]
        return LinearProgram(structure, tape)

    def _avals(self, start, stop) -> list:
        return [self.structure.avals[s] for s in self.structure.ins[start:stop]]

    def push(self, residuals, x_dots):
        first, last = self.invariants, self.invariants + self.carries
        held, carry_avals = x_dots[:first], self._avals(first, last)

        def step(carry, xs):
            slices, element_dots = xs
            program = self._program(self.structure, residuals, slices)
            outs = program.push([*held, *carry, *element_dots])
            return filled(outs[: self.carries], carry_avals), outs[self.carries :]

        carry, ys = self._scan(
            step,
            filled(x_dots[first:last], carry_avals),
            (self._slices(residuals), list(x_dots[last:])),
            self.reverse,
        )
        return [*carry, *ys]

    def pull(self, residuals, y_bars):
        first, last = self.invariants, self.invariants + self.carries
        kept, deferred = self._deferral()
        structure = self.structure._replace(
            edges=tuple(kept),
            ins=(*self.structure.ins, *(edge.outs[0] for edge in deferred)),
        )
        carry_avals = self._avals(first, last)
        in_loop = {slot for edge in kept for slot in edge.ins}
        totals = [
            filled([None], [self.structure.avals[slot]])[0] if slot in in_loop else None
            for slot in self.structure.ins[:first]
        ]
        sources: list = []  # per deferred edge: its place among the stacked cotangents

        def step(carry, xs):
            carry_bars, totals = carry
            slices, element_bars = xs
            program = self._program(structure, residuals, slices)
            bars = program.pull([*carry_bars, *element_bars])
            held, carry_bars = bars[:first], filled(bars[first:last], carry_avals)
            count = len(self.structure.ins)
            sources[:], later = _distinct(bars[count:])
            totals = [add(t, b) for t, b in zip(totals, held, strict=True)]
            return (carry_bars, totals), (bars[last:count], later)

        (carry_bars, totals), (element_bars, later) = self._scan(
            step,
            (filled(y_bars[: self.carries], carry_avals), totals),
            (self._slices(residuals), list(y_bars[self.carries :])),
            not self.reverse,
        )
        for edge, source in zip(deferred, sources, strict=True):
            if source is not None:
                place = self.structure.ins.index(edge.ins[0])
                x_bar = self._pull_steps(edge, residuals, later[source])
                totals[place] = add(totals[place], x_bar)
        return [*totals, *carry_bars, *element_bars]

    def _deferral(self) -> tuple[list[Edge], list[Edge]]:
        """The step's edges, and those of invariants that wait until after the loop."""
        held = set(self.structure.ins[: self.invariants])
        waiting = {
            edge.outs[0]
            for edge in self.structure.edges
            if edge.ins[0] in held and self._contracts(edge) and self._fits(edge)
        }
        # The cotangent of a sum is that of its terms: a bias beside a contraction is
        # summed from the same stack.
        sums = _equal_cotangents(self.structure.edges, waiting)
        kept, deferred = [], []
        for edge in self.structure.edges:
            waits = edge.ins[0] in held and (
                edge.outs[0] in waiting
                and self._contracts(edge)
                or edge.outs[0] in sums
                and not edge.map.many
                and not edge.residuals
            )
            (deferred if waits else kept).append(edge)
        return kept, deferred

    def _contracts(self, edge) -> bool:
        return (
            isinstance(edge.map, Applied)
            and edge.map.primitive.name == "dot_general"
            and self.stacked[edge.residuals[0]]
        )

    def _fits(self, edge) -> bool:
        aval = self.structure.avals[edge.outs[0]]
        size = math.prod(aval.shape) * aval.dtype.itemsize
        return self.length * size <= _limits[-1]

    def _pull_steps(self, edge, residuals, y_bars):
        """The sum over steps of edge.map.pull, from cotangents stacked by step."""
        if not edge.residuals:
            return edge.map.pull((), lax.reduce_sum(y_bars, (0,)))
        return contract_steps(edge.map, residuals[edge.residuals[0]], y_bars)


def contract_steps(edge_map: Applied, others, y_bars):
    """sum_t of the pullbacks of a dot product with others[t], as one dot product.

    The steps become one more axis of the other operand that the product keeps; pulling
    back contracts over all kept axes, so it sums over the steps.
    """
    params = dict(edge_map.params)
    contracted, batch = params["dimension_numbers"]
    other = 1 - edge_map.place
    axes = [list(contracted), list(batch)]
    for pair in axes:
        pair[other] = tuple(axis + 1 for axis in pair[other])
    params["dimension_numbers"] = tuple(map(tuple, axes))
    own_kept = len(edge_map.aval.shape) - len(contracted[edge_map.place])
    before = len(batch[0]) if other == 0 else own_kept  # axes of y before the other's
    y_bar = jnp.moveaxis(y_bars, 0, before)
    operands = [others, edge_map.aval] if other == 0 else [edge_map.aval, others]
    return edge_map.transpose(y_bar, *operands, **params)


def _equal_cotangents(edges, slots) -> set[int]:
    """Slots whose cotangent is, as it stands, that of one of `slots`."""
    found = set(slots)
    for edge in edges:  # y = a + b: whatever is before a sum gets the sum's cotangent
        if edge.map.kind == "scaled" and edge.map.factor == 1 and edge.ins[0] in found:
            found.add(edge.outs[0])
    return found


def _distinct(values) -> tuple[list, list]:
    """Places of `values` among their distinct ones (None stays), and those."""
    places: dict[int, int] = {}
    distinct, where = [], []
    for value in values:
        if value is not None and id(value) not in places:
            places[id(value)] = len(distinct)
            distinct.append(value)
        where.append(None if value is None else places[id(value)])
    return where, distinct
