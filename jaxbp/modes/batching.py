"""jax.custom_batching.custom_vmap: derivatives keep the function's batching rule.

A derivative may be mapped after it was taken, so each walk of the linear map is itself
a function with a batching rule: mapped, it is the derivative of what the function's own
rule computes. Nothing of the function's inside can be kept for it, since the rule has
an inside of its own; the walks evaluate it again.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from .. import ir
from ..linear.base import Edge, LinearMap, filled
from ..rules.registry import register
from .forward import push_forward
from .linearize import linearize_flat


def custom_vmap_rule(walker, primitive, values, dots, params):
    """The value by the primitive itself, the derivative by a map with a rule."""
    program = ir.closed(params["call"])
    consts = params["in_tree"].children()[0].num_leaves
    if any(type(v) is ir.Hole for v in values) or any(
        dot is not None for dot in dots[:consts]
    ):  # in a tangent it is linear; what it closes over cannot be batched by its rule
        return walker.run(program, values, dots)
    outs = ir.evaluate(primitive, values, params)
    targets = tuple([i for i, y in enumerate(outs) if ir.differentiable(ir.typeof(y))])
    active = tuple([i for i, dot in enumerate(dots) if dot is not None])
    if not targets:
        return outs, [None] * len(outs)
    derivative = _Derivative(
        program, params["rule"], params["in_tree"], active, targets
    )
    edge = Edge(Batched(derivative), tuple(values), active, targets)
    return outs, walker.extend([edge], dots, outs)


@dataclass(slots=True, unsafe_hash=True)
class Batched(LinearMap):
    """The derivative of a function with a batching rule; residuals: its operands."""

    derivative: Any

    def push(self, residuals, x_dots):
        return self.derivative.walk(_push, residuals, x_dots)

    def pull(self, residuals, y_bars):
        return self.derivative.walk(_pull, residuals, y_bars)


@dataclass(frozen=True)
class _Derivative:
    """A function of arrays, what it becomes when batched, and what moves."""

    program: Any
    rule: Callable
    in_tree: Any
    active: tuple[int, ...]  # operands that carry tangents
    targets: tuple[int, ...]  # outputs that do

    def plain(self, *values) -> list:
        outs = ir.evaluate_program(self.program, values)
        return [outs[i] for i in self.targets]

    def batched(self, size: int, flags: Sequence[bool]) -> Callable:
        """The rule's function, where operands with a flag have a leading axis."""

        def function(*values):
            found, batched = self.rule(
                size,
                list(self.in_tree.unflatten(flags)),
                *self.in_tree.unflatten(values),
            )
            pairs = zip(jax.tree.leaves(found), jax.tree.leaves(batched), strict=True)
            outs = [y if b else ir.replicate(y, size) for y, b in pairs]
            return [outs[i] for i in self.targets]

        return function

    def walk(self, direction: Callable, held: Sequence, dots: Sequence) -> list:
        """`direction` of the function at `held`; None among dots is zero."""
        places = [i for i, dot in enumerate(dots) if dot is not None]

        def spread(function, held, given):
            dense: list = [None] * len(dots)
            for place, dot in zip(places, given, strict=True):
                dense[place] = dot
            return direction(function, self.active, held, dense)

        return self._ruled(spread)(list(held), [dots[i] for i in places])

    def _ruled(self, walk: Callable) -> Callable:
        """(held, given) -> walk(function, held, given), with a batching rule."""

        @custom_vmap
        def ruled(held, given):
            return walk(self.plain, held, given)

        @ruled.def_vmap
        def mapped(size, flags, held, given):
            on, moving = flags
            if not any(on):  # a Jacobian's rows or columns: one point, many directions
                found = self._ruled(_along(walk, moving))(held, _last(given, moving))
                return [jnp.moveaxis(y, -1, 0) for y in found], [True for _ in found]
            wanted = [o or i in self.active for i, o in enumerate(on)]
            held = _batched(held, wanted, on, size)
            given = _batched(given, [True] * len(given), moving, size)
            found = walk(self.batched(size, wanted), held, given)
            return found, [True for _ in found]

        return ruled


def _along(walk: Callable, moving: Sequence[bool]) -> Callable:
    """`walk` for many directions, along a last axis: leading ones are the rule's."""
    axes = [-1 if m else None for m in moving]

    def many(function, held, given):
        one = functools.partial(walk, function, held)
        return jax.vmap(one, (axes,), -1)(given)

    return many


def _last(given, moving) -> list:
    pairs = zip(given, moving, strict=True)
    return [jnp.moveaxis(x, 0, -1) if m else x for x, m in pairs]


def _batched(values, wanted, flags, size) -> list:
    """`values` with a leading axis where it is wanted and not there."""
    triples = zip(values, wanted, flags, strict=True)
    return [ir.replicate(v, size) if w and not f else v for v, w, f in triples]


def _push(function, active, held, x_dots) -> list:
    dots: list = [None] * len(held)
    for place, x_dot in zip(active, x_dots, strict=True):
        dots[place] = x_dot
    outs, y_dots, _ = push_forward(lambda *xs: (function(*xs), []), held, dots)
    return filled(y_dots, map(ir.typeof, outs))


def _pull(function, active, held, y_bars) -> list:
    moves = [i in active for i in range(len(held))]
    _, program, _ = linearize_flat(lambda *xs: (function(*xs), []), held, moves)
    return filled(program.pull(y_bars), [ir.typeof(held[i]) for i in active])


register("custom_vmap_call", custom_vmap_rule)
