"""A scan whose number of steps is known when it runs: buffers hold up to `capacity`.

    capacity 4, count 3        step:   0    1    2
    residuals, one row a step:        [r0,  r1,  r2,  0]
    forward writes rows 0, 1, 2; backward reads rows 2, 1, 0; row 3 is never used

All else is as in a scan: which residuals are stacked, and what waits for one
contraction after the loop, where rows that no step wrote are kept out.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ... import ir
from ...linear.base import Edge, LinearMap
from ...linear.loop.loop import Loop, Taped
from .scan import Scan


def counted_scan(step, carry, xs, capacity: int, count, reverse: bool):
    """`lax.scan` over the first `count` of `capacity` rows; the other rows are 0.

    Args:
      step: step(carry, x) -> carry, y; traced once.
      carry: a pytree.
      xs: a pytree of arrays with `capacity` rows.
      count: () int32.
      reverse: from row `count` - 1 to row 0.
    """
    treedef = jax.tree.structure(carry)
    rows = jax.tree.map(_row, xs)
    types = jax.tree.map(lambda v: ir.struct(ir.typeof(v)), carry)
    program, shapes = jax.make_jaxpr(step, return_shape=True)(types, rows)
    _, y_types = shapes
    leaves, y_tree = jax.tree.flatten(y_types)
    carries = treedef.num_leaves

    def one(state):
        number, carry, stacks = state
        row = count - 1 - number if reverse else number
        x = jax.tree.map(
            lambda a: lax.dynamic_index_in_dim(a, row, 0, keepdims=False), xs
        )
        outs = ir.evaluate_program(program, [*carry, *jax.tree.leaves(x)])
        stacks = [
            lax.dynamic_update_index_in_dim(stack, y, row, 0)
            for stack, y in zip(stacks, outs[carries:], strict=True)
        ]
        return number + 1, outs[:carries], stacks

    stacks = [lax.full((capacity, *y.shape), 0, y.dtype) for y in leaves]
    start = jnp.int32(0), jax.tree.leaves(carry), stacks
    _, carry, stacks = lax.while_loop(lambda s: s[0] < count, one, start)
    return jax.tree.unflatten(treedef, carry), jax.tree.unflatten(y_tree, stacks)


def _row(stack):
    return ir.struct(ir.typeof(stack).update(shape=stack.shape[1:]))


class CountedScan(Scan):
    """The rule of a scan, for a number of steps that is an array.

    Args:
      count: () int32, 1 or more, and at most the scan's length.
    """

    def __init__(self, walker, values, dots, params, count):
        super().__init__(walker, values, dots, params)
        self.count = count

    def _loop(self, step, carry, xs):
        return counted_scan(step, carry, xs, self.params["length"], self.count, False)

    def _edge(self, loop, residuals, ins, outs):
        return Edge(Counted(loop), (self.count, *residuals), ins, outs)


@dataclass(slots=True, unsafe_hash=True)
class Counted(LinearMap):
    """A loop whose number of steps is its first residual."""

    loop: Loop

    @property
    def structures(self):
        return self.loop.structures

    def narrowed(self, edge, needed):
        count, *residuals = edge.residuals
        plain = edge._replace(map=self.loop, residuals=tuple(residuals))
        found = self.loop.narrowed(plain, needed)
        loop: Any = found.map
        return found._replace(map=Counted(loop), residuals=(count, *found.residuals))

    def push(self, residuals, x_dots):
        return self._at(residuals[0]).push(residuals[1:], x_dots)

    def pull(self, residuals, y_bars):
        return self._at(residuals[0]).pull(residuals[1:], y_bars)

    def _at(self, count) -> Loop:
        step = self.loop.step
        if isinstance(step, Taped):
            step = _CountedTaped(**_fields(step), count=count)
        given: dict[str, Any] = _fields(self.loop) | {"step": step}
        return _CountedLoop(**given, count=count)


def _fields(it) -> dict:
    return {f.name: getattr(it, f.name) for f in dataclasses.fields(it)}


@dataclass(slots=True, eq=False)
class _CountedLoop(Loop):
    """A loop with its number of steps at hand; it is never kept."""

    count: Any = field(kw_only=True)

    def _scan(self, step, carry, xs, reverse):
        return counted_scan(step, carry, xs, self.length, self.count, reverse)


@dataclass(slots=True, eq=False)
class _CountedTaped(Taped):
    """A step's tape where rows from `count` on hold nothing."""

    count: Any = field(kw_only=True)

    def ahead(self, residuals, reverse):
        places = [place for place in self.follows if place is not None]
        return [
            lax.dynamic_update_index_in_dim(
                jnp.concatenate([residuals[place][1:], last[None]]),
                last,
                self.count - 1,
                0,
            )
            for place, last in zip(places, self.last(residuals), strict=True)
        ]

    def tape(self, residuals, reverse):
        """Rows that hold nothing get what the first holds: 0 times it is 0."""
        tape = Taped.tape(self, residuals, reverse)
        return [
            _guarded(stack, self.count) if moves else stack
            for stack, moves in zip(tape, self.moves(), strict=True)
        ]


def _guarded(stack, count):
    within = jnp.arange(stack.shape[0], dtype=jnp.int32) < count
    within = lax.broadcast_in_dim(within, stack.shape, (0,))
    return lax.select(within, stack, jnp.broadcast_to(stack[:1], stack.shape))
