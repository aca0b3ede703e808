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
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from ..errors import InvalidArgument
from .applied import Applied
from .base import Edge, LinearMap, add, filled
from .program import LinearProgram, Structure


class LoopOptions(NamedTuple):
    """How loops keep what their derivatives need: see `loops`."""

    residuals: str = "auto"
    stack_limit_bytes: int = 1 << 30


_options = [LoopOptions()]


def loop_options() -> LoopOptions:
    """The options in force."""
    return _options[-1]


@contextlib.contextmanager
def loops(residuals: str = "auto", stack_limit_bytes: int = 1 << 30):
    """Sets how the derivative of a scan keeps what it needs, where it is traced.

    Args:
      residuals: "stack": every residual of a step that changes is stacked. "recompute":
        only the carries are, and the step is run again. "auto" (the default): recompute
        where the body is made of elementwise and structural operations alone and its
        carries take fewer bytes than its residuals; else stack.
      stack_limit_bytes: going back, the cotangent behind a weight gradient is stacked,
        to be contracted once after the loop, if the stack takes no more than this;
        above it the gradient is accumulated step by step. 0 always accumulates.

    Raises:
      InvalidArgument: another word for `residuals`.
    """
    if residuals not in ("auto", "stack", "recompute"):
        raise InvalidArgument(
            f'`residuals` must be "auto", "stack" or "recompute", but is {residuals!r}.'
        )
    _options.append(LoopOptions(residuals, stack_limit_bytes))
    try:
        yield
    finally:
        _options.pop()


@dataclass(slots=True, unsafe_hash=True)
class Taped:
    """A step whose residuals are kept, in the order of its tape."""

    structure: Structure
    stacked: tuple[bool, ...]  # per place of the step's tape: does it change by step

    def slices(self, residuals) -> list:
        return [r for r, moves in zip(residuals, self.stacked, strict=True) if moves]

    def program(self, residuals, slices) -> LinearProgram:
        slices = iter(slices)
        pairs = zip(self.stacked, residuals, strict=True)
        tape = [next(slices) if moves else held for moves, held in pairs]
        return LinearProgram(self.structure, tape)


@dataclass(slots=True, unsafe_hash=True)
class Loop(LinearMap):
    """A scan of a step's linear program.

    The step's inputs are ordered invariants, carries, elements; its outputs carries,
    elements. A step says what of the residuals it needs slice by slice, and makes its
    linear program from a slice: `Taped`, or one that runs the step again.
    """

    step: Any
    held_avals: tuple  # types of the invariants' tangents
    carry_avals: tuple
    length: int
    reverse: bool
    unroll: int | bool
    kind = "loop"
    many = True

    def _scan(self, step, carry, xs, reverse):
        return lax.scan(
            step, carry, xs, length=self.length, reverse=reverse, unroll=self.unroll
        )

    def push(self, residuals, x_dots):
        first = len(self.held_avals)
        last = first + len(self.carry_avals)
        held = x_dots[:first]

        def step(carry, xs):
            slices, element_dots = xs
            program = self.step.program(residuals, slices)
            outs = program.push([*held, *carry, *element_dots])
            count = len(carry)
            return filled(outs[:count], self.carry_avals), outs[count:]

        carry, ys = self._scan(
            step,
            filled(x_dots[first:last], self.carry_avals),
            (self.step.slices(residuals), list(x_dots[last:])),
            self.reverse,
        )
        return [*carry, *ys]

    def pull(self, residuals, y_bars):
        first, carries = len(self.held_avals), len(self.carry_avals)
        last = first + carries
        deferred, in_loop = self._deferral()
        totals = [
            filled([None], [aval])[0] if accumulates else None
            for aval, accumulates in zip(self.held_avals, in_loop, strict=True)
        ]
        sources: list = []  # per deferred edge: its place among the stacked cotangents

        def step(carry, xs):
            carry_bars, totals = carry
            slices, element_bars = xs
            program = self.step.program(residuals, slices)
            bars, later = _pull_but(program, deferred, [*carry_bars, *element_bars])
            sources[:], later = _distinct(later)
            totals = [
                add(t, b) if a else t
                for t, b, a in zip(totals, bars[:first], in_loop, strict=True)
            ]
            carry_bars = filled(bars[first:last], self.carry_avals)
            return (carry_bars, totals), (bars[last:], later)

        (carry_bars, totals), (element_bars, later) = self._scan(
            step,
            (filled(y_bars[:carries], self.carry_avals), totals),
            (self.step.slices(residuals), list(y_bars[carries:])),
            not self.reverse,
        )
        for edge, source in zip(deferred, sources, strict=True):
            if source is not None:
                place = self.step.structure.ins.index(edge.ins[0])
                x_bar = _pull_steps(edge, residuals, later[source])
                totals[place] = add(totals[place], x_bar)
        return [*totals, *carry_bars, *element_bars]

    def _deferral(self) -> tuple[list[Edge], list[bool]]:
        """Edges that wait until after the loop; invariants with others beside them."""
        if not isinstance(self.step, Taped):
            return [], [True] * len(self.held_avals)
        structure = self.step.structure
        held = structure.ins[: len(self.held_avals)]
        waiting = {
            edge.outs[0]
            for edge in structure.edges
            if edge.ins[0] in held and self._contracts(edge) and self._fits(edge)
        }
        # The cotangent of a sum is that of its terms: a bias beside a contraction is
        # summed from the same stack.
        sums = _equal_cotangents(structure.edges, waiting)
        deferred, in_loop = [], set()
        for edge in structure.edges:
            bias = not edge.map.many and not edge.residuals and edge.outs[0] in sums
            if edge.ins[0] in held and (
                bias or edge.outs[0] in waiting and self._contracts(edge)
            ):
                deferred.append(edge)
            else:
                in_loop.update(edge.ins)
        in_loop.update(slot for slot in structure.outs if slot is not None)
        return deferred, [slot in in_loop for slot in held]

    def _contracts(self, edge) -> bool:
        return (
            isinstance(edge.map, Applied)
            and edge.map.primitive.name == "dot_general"
            and self.step.stacked[edge.residuals[0]]
        )

    def _fits(self, edge) -> bool:
        aval = self.step.structure.avals[edge.outs[0]]
        size = math.prod(aval.shape) * aval.dtype.itemsize
        return self.length * size <= loop_options().stack_limit_bytes


def _pull_but(program: LinearProgram, deferred: list[Edge], y_bars):
    """Cotangents of the inputs, but for some edges, and those of their outputs."""
    if not deferred:
        return program.pull(y_bars), []
    structure = program.structure
    kept = tuple(edge for edge in structure.edges if edge not in deferred)
    outs = tuple(edge.outs[0] for edge in deferred)
    partial = structure._replace(edges=kept, ins=(*structure.ins, *outs))
    bars = LinearProgram(partial, program.tape).pull(y_bars)
    return bars[: len(structure.ins)], bars[len(structure.ins) :]


def _pull_steps(edge: Edge, residuals, y_bars):
    """The sum over steps of edge.map.pull, from cotangents stacked by step."""
    if not edge.residuals:
        return edge.map.pull((), lax.reduce_sum(y_bars, (0,)))
    return contract_steps(edge.map, residuals[edge.residuals[0]], y_bars)


def contract_steps(edge_map, others, y_bars):
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
