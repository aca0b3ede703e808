"""A loop whose operands are known: its carries before each step, block by block.

One compiled run goes forth and keeps the carries that blocks of steps start from; those
within a block are made again when they are asked for. So a loop of many steps and large
carries is gone through in few bytes.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .. import ir
from ..control.activity import moving_outputs
from ..settings import current
from .recording import Equation

LOOPS = ("scan", "while")
LOOP_BYTES = 64 * 2**20  # of carries, where no option says


class Step(NamedTuple):
    """One step of a loop, to be opened.

    Fields:
      kind: of the loop: "scan", "while_loop", "fori_loop".
      number, length: which step, in the order in which they run, counted from 0.
      program: its body, closed.
      values: its operands.
      active: which of them move.
      given: the cotangents of its outputs, or the tangents of its operands; None for
        zero.
      more: of how many further steps this one stands for all.
    """

    kind: str
    number: int
    length: int
    program: Any
    values: list
    active: tuple[bool, ...]
    given: list
    more: int = 0


class Block(NamedTuple):
    """Steps of a loop that follow one another.

    Fields:
      first: the number of the first. carries: before each step, stacked.
      elements: of the scanned arrays, stacked, in the order in which the steps run.
    """

    first: int
    carries: list
    elements: list


class Loop:
    """A loop whose operands are known, as a scan of known length.

    Args:
      kind: "scan" or "while". values: its operands. moving: which of them move.
      params: as its equation has them.
    """

    def __init__(self, kind: str, values, moving, params: dict):
        split = ir.scan_split if kind == "scan" else ir.while_split
        values = split(values, params)
        moves = split(moving, params)
        if kind == "scan":
            self.program, self.reverse = params["jaxpr"], params["reverse"]
            self.length = params["length"]
            (self.held, self.init, self.xs) = values
            starts = moves
        else:
            tests, self.held, self.init = values
            self.program, self.reverse, self.xs = params["body_jaxpr"], False, []
            self.length = _trips(params["cond_jaxpr"], tests, self)
            starts = moves[1], moves[2], []
        self.kind = name_of(kind, params)
        self.active = _moving(self.program, *starts)
        self.block = self._block_length()
        self._starts: list | None = None

    def _block_length(self) -> int:
        """As many steps as have room, beside the starts of all blocks; where too few
        have, the least that a loop in blocks takes."""
        limit = current().loop_bytes
        room = LOOP_BYTES if limit is None else limit
        size = sum(x.size * x.dtype.itemsize for x in map(ir.typeof, self.init))
        n, states = max(self.length, 1), room // max(size, 1)
        if n <= states:
            return n
        half = states * states - 4 * n
        if half <= 0:
            return math.isqrt(n - 1) + 1
        return max(1, min(n, int((states + math.sqrt(half)) / 2)))

    def elements(self, first: int, last: int) -> list:
        """What steps read of the scanned arrays, in the order in which they run."""
        return [in_order(x, first, last, self.length, self.reverse) for x in self.xs]

    def blocks(self, backwards: bool = False) -> Iterator[Block]:
        """The blocks, one after another."""
        starts = self._all_starts()
        places = range(len(starts))
        for place in reversed(places) if backwards else places:
            first = place * self.block
            elements = self.elements(first, min(first + self.block, self.length))
            yield Block(first, self._run(starts[place], elements, first)[1], elements)

    def _all_starts(self) -> list:
        if self._starts is None:
            carry, self._starts = list(self.init), []
            for first in range(0, self.length, self.block):
                self._starts.append(carry)
                last = min(first + self.block, self.length)
                if last < self.length:
                    carry = self._run(carry, self.elements(first, last), first)[0]
        return self._starts

    def _run(self, carry, elements, first: int):
        """(the carry after a block, the carries before each of its steps)."""
        if not hasattr(self, "_compiled"):

            def step(held, carry, x):
                outs = ir.evaluate_program(self.program, [*held, *carry, *x])
                return outs[: len(carry)], list(carry)

            def run(held, carry, xs, length):
                return lax.scan(lambda c, x: step(held, c, x), carry, xs, length)

            self._compiled = jax.jit(run, static_argnums=3)
        length = min(self.block, self.length - first)
        return self._compiled(self.held, carry, elements, length)

    def operands(self, number: int) -> list:
        """The body's operands at a step."""
        first = number - number % self.block
        start = self._all_starts()[first // self.block]
        elements = self.elements(first, min(first + self.block, self.length))
        carries = self._run(start, elements, first)[1]
        return [*self.held, *(stack[number - first] for stack in (*carries, *elements))]

    def step(self, number: int, given=(), more: int = 0) -> Step:
        """A step, to be opened."""
        return Step(
            self.kind, number, self.length, self.program, self.operands(number),
            self.active, list(given), more,
        )  # fmt: skip


def in_order(x, first: int, last: int, length: int, reverse: bool):
    """Elements of a scanned array in the order in which steps read them."""
    return x[length - last : length - first][::-1] if reverse else x[first:last]


def name_of(kind: str, params: dict) -> str:
    """What the user calls a loop."""
    program = ir.inner(params["jaxpr" if kind == "scan" else "body_jaxpr"])[0]
    told = getattr(getattr(program, "debug_info", None), "traced_for", "")
    if told == "fori_loop":
        return told
    return "scan" if kind == "scan" else "while_loop"


def loop_of(equation: Equation) -> Loop:
    """The loop of an equation on its values."""
    moving = [dot is not None for dot in equation.dots]
    return Loop(equation.name, equation.values, moving, equation.params)


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


def first_bad_step(equation: Equation) -> Step | None:
    """The first step of a loop, going forth, that gives a NaN of none, or before it
    what is not finite of finite operands; None if there is none."""
    loop = loop_of(equation)
    if not loop.length:
        return None

    def step(given):
        carry, x = given
        outs = ir.evaluate_program(loop.program, [*loop.held, *carry, *x])
        before, after = [*carry, *x], outs
        makes_nan = holds(jnp.isnan, after) & ~holds(jnp.isnan, before)
        makes_any = holds(not_finite, after) & ~holds(not_finite, before)
        return makes_nan | makes_any

    look = jax.jit(lambda carries, xs: lax.map(step, (carries, xs)))
    for block in loop.blocks():
        found = jnp.flatnonzero(look(block.carries, block.elements))
        if found.size:
            return loop.step(block.first + int(found[0]))
    return None


def not_finite(x):
    """Where an array is NaN or Inf."""
    return ~jnp.isfinite(x)


def holds(what, values):
    """Whether something holds of an element of some floating array, traced."""
    flags = [
        jnp.any(what(v))
        for v in values
        if v is not None and ir.differentiable(ir.typeof(v))
    ]
    return jnp.any(jnp.stack(flags)) if flags else jnp.zeros((), bool)
