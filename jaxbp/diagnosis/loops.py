"""The step of a loop at which something goes wrong, found without looking at each.

One compiled loop goes forth and stacks the carries; another comes back with the
cotangents and flags, and keeps what it was given at the first step at which finite
cotangents came in and others went out. That step alone is then opened.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import ir
from ..control.activity import moving_outputs
from ..linear.base import filled
from ..walkers.linearize import linearize_program
from .recording import Equation

LOOPS = ("scan", "while")


class Step(NamedTuple):
    """One step of a loop, to be opened.

    Fields:
      kind: of the loop.
      number, length: which step, in the order in which they run, counted from 0.
      program: its body, closed.
      values: its operands.
      active: which of them move.
      y_bars: the cotangents of its outputs, None for zero.
    """

    kind: str
    number: int
    length: int
    program: Any
    values: list
    active: tuple[bool, ...]
    y_bars: list


class Loop:
    """A loop whose operands are known, as a scan of known length.

    Args:
      kind: "scan" or "while". values: its operands. moving: which of them move.
      params: as its equation has them.
    """

    def __init__(self, kind: str, values, moving, params: dict):
        self.kind = kind
        split = ir.scan_split if kind == "scan" else ir.while_split
        values = split(values, params)
        moves = split(moving, params)
        if self.kind == "scan":
            self.program, self.reverse = params["jaxpr"], params["reverse"]
            self.length = params["length"]
            (self.held, self.init, self.xs) = values
            starts = moves
        else:
            tests, self.held, self.init = values
            self.program, self.reverse, self.xs = params["body_jaxpr"], False, []
            self.length = _trips(params["cond_jaxpr"], tests, self)
            starts = moves[1], moves[2], []
        self.active = _moving(self.program, *starts)

    def carries(self):
        """The carries before each step, stacked by step as elements are."""

        def step(carry, x):
            outs = ir.evaluate_program(self.program, [*held, *carry, *x])
            return outs[: len(carry)], list(carry)

        held = self.held
        run = jax.jit(
            lambda init, xs: lax.scan(step, init, xs, self.length, self.reverse)
        )
        return run(list(self.init), list(self.xs))[1]

    def operands(self, carries, place: int) -> list:
        """The body's operands at the step whose elements stand at a place."""
        at = [stack[place] for stack in (*carries, *self.xs)]
        return [*self.held, *at]

    def number(self, place: int) -> int:
        """In which turn the element at a place comes."""
        return self.length - 1 - place if self.reverse else place


def _trips(condition, tests, loop) -> int:
    """How many steps a while loop takes."""

    def goes_on(state):
        return ir.evaluate_program(condition, [*tests, *state[1]])[0]

    def step(state):
        count, carry = state
        outs = ir.evaluate_program(loop.program, [*loop.held, *carry])
        return count + 1, outs

    run = jax.jit(lambda init: lax.while_loop(goes_on, step, (0, init)))
    return int(run(list(loop.init))[0])


def _moving(program, held, carried, elements) -> tuple[bool, ...]:
    """Which operands of the body move: carries that do at some step among them."""
    flags = list(carried)
    while True:
        active = (*held, *flags, *elements)
        outs = set(moving_outputs(program, active))
        grown = [flag or i in outs for i, flag in enumerate(flags)]
        if grown == flags:
            return active
        flags = grown


def _loop(equation: Equation) -> Loop:
    moving = [dot is not None for dot in equation.dots]
    return Loop(equation.name, equation.values, moving, equation.params)


class Backward(NamedTuple):
    """A loop gone through backwards.

    Fields:
      norms: (steps,) the 2-norm of the cotangent that comes to each step's carries, by
        the order in which the steps run forth.
      guilty: the first step seen coming back that makes what is not finite of finite
        cotangents; None if there is none.
    """

    norms: np.ndarray
    guilty: Step | None


def backward(equation: Equation, y_bars: list) -> Backward:
    """A loop's steps backwards, from the cotangents of its outputs.

    Cost: a run of the loop and one of its derivative, compiled; carries are stacked.
    """
    loop = _loop(equation)
    count, carried = len(loop.held), len(loop.init)
    if not loop.length:
        return Backward(np.zeros(0), None)
    out_avals = [atom.aval for atom in ir.inner(loop.program)[0].outvars]
    moves = [ir.differentiable(aval) for aval in out_avals]
    types = [ir.tangent_aval(aval) for aval in out_avals]
    stacks = [
        None if bar is None or not on else bar
        for bar, on in zip(y_bars[carried:], moves[carried:], strict=True)
    ]
    carry_bars = filled(y_bars[:carried], [ir.typeof(x) for x in loop.init])

    def step(state, given):
        bars, found, kept, place = state
        at, carry, x, bar_of_y = given
        values = [*loop.held, *carry, *x]
        _, program, *_ = linearize_program(loop.program, values, loop.active)
        seeds = [*_if_moving(bars, moves), *bar_of_y]
        x_bars = program.pull(seeds)
        whole = iter(x_bars)
        whole = [next(whole) if on else None for on in loop.active]
        after = filled(whole[count : count + carried], types[:carried])
        new = _finite(seeds) & ~_finite(x_bars) & ~found
        kept = jax.tree.map(lambda k, b: jnp.where(new, b, k), kept, list(bars))
        state = after, found | new, kept, jnp.where(new, at, place)
        return state, _norm(_if_moving(bars, moves))

    @jax.jit
    def run(carry_bars, carries, xs, stacks):
        places = jnp.arange(loop.length)
        state = carry_bars, jnp.zeros((), bool), carry_bars, jnp.zeros((), int)
        given = places, carries, xs, stacks
        state, norms = lax.scan(step, state, given, loop.length, not loop.reverse)
        return *state[1:], norms

    carries = loop.carries()
    found, kept, place, norms = run(carry_bars, carries, list(loop.xs), stacks)
    norms = np.asarray(norms)[:: -1 if loop.reverse else 1]
    if not found:
        return Backward(norms, None)
    at = int(place)
    bars = [None if bar is None else bar[at] for bar in stacks]
    guilty = Step(
        loop.kind, loop.number(at), loop.length, loop.program,
        loop.operands(carries, at), loop.active, [*_if_moving(kept, moves), *bars],
    )  # fmt: skip
    return Backward(norms, guilty)


def _norm(values):
    """The 2-norm of all floating arrays of a list, traced; no square overflows."""
    sizes = [jnp.abs(v).ravel() for v in values if v is not None and v.size]
    sizes = [s.astype(jnp.zeros((), float).dtype) for s in sizes]
    if not sizes:
        return jnp.zeros(())
    whole = jnp.concatenate(sizes)
    largest = jnp.max(whole)
    scale = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    return scale * jnp.sqrt(jnp.sum((whole / scale) ** 2))


def _if_moving(bars, moves):
    return [b if on else None for b, on in zip(bars, moves, strict=False)]


def _finite(values):
    """Whether all floating arrays of a list are finite, traced."""
    flags = [
        jnp.all(jnp.isfinite(v))
        for v in values
        if v is not None and ir.differentiable(ir.typeof(v))
    ]
    return jnp.all(jnp.stack(flags)) if flags else jnp.ones((), bool)


def first_bad_step(equation: Equation) -> Step | None:
    """The first step of a loop, going forth, that gives what is not finite of finite
    operands; None if there is none."""
    loop = _loop(equation)
    if not loop.length:
        return None

    def good(carry, x):
        values = [*loop.held, *carry, *x]
        outs = ir.evaluate_program(loop.program, values)
        return _finite([*carry, *x]) & ~_finite(outs)

    carries = loop.carries()
    flags = jax.jit(jax.vmap(good))(carries, list(loop.xs))
    places = [int(i) for i in jnp.flatnonzero(flags)]
    if not places:
        return None
    at = max(places) if loop.reverse else min(places)
    values = loop.operands(carries, at)
    return Step(
        loop.kind, loop.number(at), loop.length, loop.program, values, loop.active, []
    )
