"""A scan of known length in blocks, forward and back: static.

A block is a scan of its own, taped as any: its residuals are shared, and what waits is
contracted once a block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ... import ir, settings
from ...linear.base import Params, add, filled
from ...linear.program import LinearProgram
from ...walkers.linearize import record
from ...walkers.primal import Primal, has_rules
from ..activity import Moving, moving_carries
from ..later import behind
from .scan import Scan
from .starts import Starts
from .treeverse import Layout, first_starts, layout


@dataclass(slots=True, unsafe_hash=True)
class Segmented:
    """A scan, and what of it moves: static.

    Fields:
      params: of the equation.
      active: per constant, carry and element: does it carry a tangent at a step.
      outs: per carry and stacked output: does it.
      ins: operands that carry a tangent.
    """

    primitive: Any
    params: Any
    active: tuple[bool, ...]
    outs: tuple[bool, ...]
    ins: tuple[int, ...]
    layout: Layout
    options: settings.Options

    @classmethod
    def of(cls, primitive, params, dots, options) -> "Segmented":
        """In one block."""
        jaxpr, _ = ir.inner(params["jaxpr"])
        held, starts, elements = ir.scan_split([d is not None for d in dots], params)
        consts, carries, rows = ir.scan_split(jaxpr.invars, params)
        pairs = zip([*consts, *rows], [*held, *elements], strict=True)
        known = {var for var, moves in pairs if moves}
        moving, outs = moving_carries(jaxpr, known, carries, starts)
        return cls(
            primitive,
            Params(params),
            (*held, *moving.flags, *elements),
            tuple(outs),
            tuple([i for i, d in enumerate(dots) if d is not None]),
            Layout(params["length"], 0, params["length"], 0),
            options,
        )

    def planned(self, values: Sequence, budget: int) -> "Segmented":
        """With the layout that a budget gives."""
        types = [ir.struct(ir.typeof(value)) for value in values]
        found = layout(self.params["length"], *self.measured(types), budget)
        return Segmented(
            self.primitive, self.params, self.active, self.outs, self.ins, found,
            self.options,
        )  # fmt: skip

    def measured(self, types: Sequence) -> tuple[int, int]:
        """Bytes of what a step starts from, and of its tape."""
        _, carry, _ = ir.scan_split(types, self.params)
        state = sum(it.size * it.dtype.itemsize for it in carry)
        return state, self._tape_bytes(types)

    def _tape_bytes(self, types: Sequence) -> int:
        """Of a step: what is stacked going forward, and what waits going back."""
        length = self.params["length"]

        def gradient(*values):
            outs, program = self.block(values, length)
            bars = [ir.zeros(ir.tangent_aval(ir.typeof(y))) for y in outs]
            chosen = zip(bars, self.outs, strict=True)
            return outs, program.pull([y if on else None for y, on in chosen])

        jaxpr, _ = ir.inner(jax.make_jaxpr(gradient)(*types))
        return max(1, _stacked(jaxpr, length) // length)

    # Going forward ----------------------------------------------------------------

    def forward(self, values):
        """The loop's outputs, the last block's linear program, and states kept."""
        with settings.using(self.options):
            consts, carry, xs = ir.scan_split(values, self.params)
            where, length = self.layout, self.params["length"]
            starts = first_starts(where.blocks, where.slots)
            ends = [*starts[1:], where.blocks]
            step = self._step(consts, xs)
            ys = [lax.full((length, *a.shape), 0, a.dtype) for a in self._rows()]

            def part(state, span):
                carry, _ = state

                def one(number, state):
                    row = self._row(number)
                    carry, found = step(state[0], row)
                    return carry, _written(state[1], found, row)

                first, last = (end * where.steps for end in span)
                return lax.fori_loop(first, last, one, state), carry

            spans = jnp.array(starts, jnp.int32), jnp.array(ends, jnp.int32)
            (carry, ys), states = lax.scan(part, (list(carry), ys), spans)
            row = 0 if self.params["reverse"] else where.blocks * where.steps
            rows = [_rows_of(x, row, where.last) for x in xs]
            outs, program = self.block([*consts, *carry, *rows], where.last)
            found = outs[len(carry) :]
            ys = _written_rows(ys, found, row)
            return [*outs[: len(carry)], *ys], program, states

    def out_types(self, operands: Sequence) -> list:
        """Types of the outputs that carry tangents."""
        _, carry, _ = ir.scan_split(operands, self.params)
        length = self.params["length"]
        rows = [a.update(shape=(length, *a.shape)) for a in self._rows()]
        return _chosen([*carry, *rows], self.outs)

    def _rows(self) -> list:
        """Types of what a step stacks."""
        jaxpr, _ = ir.inner(self.params["jaxpr"])
        _, carries = ir.scan_counts(self.params)
        return [atom.aval for atom in jaxpr.outvars[carries:]]

    def _row(self, number):
        """Where in its elements a step's are."""
        return self.params["length"] - 1 - number if self.params["reverse"] else number

    def _step(self, consts, xs):
        """(carry, row) -> carry, ys: evaluated as where it is differentiated."""
        program, carries = self.params["jaxpr"], ir.scan_counts(self.params)[1]
        rules = has_rules(program)

        def step(carry, row):
            given = [*consts, *carry, *[_element(x, row) for x in xs]]
            if rules:
                outs = Primal().values(program, given, self.active)
            else:
                outs = ir.evaluate_program(program, given)
            return outs[:carries], outs[carries:]

        return step

    def block(self, values, length: int):
        """Outputs and the linear program of so many steps; one output per `outs`."""
        params = {**self.params, "length": length}

        def run(recorder, values, dots):
            return Scan(recorder, values, dots, params).record()

        with settings.using(self.options):
            return record(run, list(values), self.active)

    # Going back -------------------------------------------------------------------

    def backward(self, values, states, last: LinearProgram, y_bars) -> list:
        """One cotangent per operand of `ins`."""
        consts, start, xs = ir.scan_split(values, self.params)
        held, moving, elements = self._split(self.active)
        where, carries = self.layout, Moving(moving)
        types = carries.of([ir.typeof(v) for v in start])
        first = len(moving)
        whole = Moving(self.outs).whole(y_bars)
        carry_bars, element_bars = whole[:first], whole[first:]
        count = sum(held)

        def pulled(program, carry_bars, row, length):
            bars = [y if y is None else _rows_of(y, row, length) for y in element_bars]
            found = program.pull([*carry_bars, *bars])
            last = count + sum(moving)
            return found[:count], filled(found[count:last], types), found[last:]

        size = where.steps
        row = 0 if self.params["reverse"] else where.blocks * size
        held_bars, bars, rows = pulled(last, carry_bars, row, where.last)
        totals = filled(held_bars, _chosen([ir.typeof(v) for v in consts], held))
        x_types = _chosen([ir.typeof(x) for x in xs], elements)
        x_bars = _written_rows(filled([None] * len(x_types), x_types), rows, row)
        step = self._step(consts, xs)

        def advance(carry, first, blocks):
            start = first * size
            one = lambda i, c: step(c, self._row(i))[0]  # noqa: E731
            return lax.fori_loop(start, start + blocks * size, one, list(carry))

        def block(state):
            number, starts, totals, bars, x_bars = state
            starts = starts.filled(number, advance)
            first, place = starts.before(number)
            carry = advance(starts.state(place), first, number - first)
            end = (number + 1) * size
            row = self.params["length"] - end if self.params["reverse"] else end - size
            given = [*consts, *carry, *[_rows_of(x, row, size) for x in xs]]
            _, program = self.block(given, size)
            held_bars, bars, rows = pulled(program, carries.whole(bars), row, size)
            totals = [add(t, b) for t, b in zip(totals, held_bars, strict=True)]
            return number - 1, starts, totals, bars, _written_rows(x_bars, rows, row)

        starts = jnp.array(first_starts(where.blocks, where.slots), jnp.int32)
        kept = Starts(starts, jnp.int32(1), list(states))
        # Not to be known before the last block is done, or its loop might be unrolled.
        (left,) = behind([jnp.int32(where.blocks)], [*totals, *bars])
        start = left - 1, kept, totals, bars, x_bars
        _, _, totals, bars, x_bars = lax.while_loop(lambda s: s[0] >= 0, block, start)
        found = iter([*totals, *bars, *x_bars])
        whole = [next(found) if moves else None for moves in self.active]
        return [whole[place] for place in self.ins]

    def _split(self, flags):
        return ir.scan_split(flags, self.params)


def _chosen(values, flags) -> list:
    return [value for value, on in zip(values, flags, strict=True) if on]


def _element(x, row):
    return lax.dynamic_index_in_dim(x, row, 0, keepdims=False)


def _rows_of(x, row, count: int):
    return lax.dynamic_slice_in_dim(x, row, count, 0)


def _written(stacks, ys, row) -> list:
    """Stacks with one row each; None: there is none."""
    return [
        stack if y is None else lax.dynamic_update_index_in_dim(stack, y, row, 0)
        for stack, y in zip(stacks, ys, strict=True)
    ]


def _written_rows(stacks, ys, row) -> list:
    return [
        stack if y is None else lax.dynamic_update_slice_in_dim(stack, y, row, 0)
        for stack, y in zip(stacks, ys, strict=True)
    ]


def _stacked(jaxpr, length: int) -> int:
    """Bytes that scans of so many steps stack: a block's rows of outputs are copied
    into those of the loop."""
    found = 0
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "scan" and eqn.params["length"] == length:
            carries = ir.scan_counts(eqn.params)[1]
            found += sum(ir.nbytes(v.aval) for v in eqn.outvars[carries:])
        else:
            programs = map(ir.inner, ir.inner_programs(eqn.params))
            found += sum(_stacked(inner, length) for inner, _ in programs)
    return found
