"""The derivative of a loop gone through step by step: which steps give birth to what
is not finite, and what of it reaches the loop's ends.

As in `births.Walk`, a step gives birth where it brings what is not finite of finite
numbers. Of the births those of chosen steps are kept and go on, all others are set to
zero on the spot; so each step is seen by itself, and what reaches an end is known.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import ir
from ..linear.base import filled
from ..walkers.linearize import linearize_program
from .loops import Loop, Step, in_order, loop_of, not_finite
from .recording import Equation

FEW = 4  # steps that are opened


class Swept(NamedTuple):
    """What a sweep leaves.

    Fields:
      norms: (steps,) the 2-norm of what comes to each step's carries, by the order in
        which the steps run.
      births: (steps,) whether a step gives birth.
      ends: for each end of the loop where what is not finite arrives, or None.
      at: what comes to the step asked for.
    """

    norms: np.ndarray
    births: np.ndarray
    ends: list
    at: list


class Sweep:
    """Goes through the derivative of a loop.

    Args:
      equation: the loop, on its values.
      given: pull: the cotangents of its outputs; push: the tangents of its operands;
        None for zero.
      direction: "pull" or "push".
      looks: whether births are looked for; else all goes on as it is.
    """

    def __init__(
        self, equation: Equation, given: list, direction: str, looks: bool = True
    ):
        self.loop = loop_of(equation)
        self.direction, self.looks = direction, looks
        loop = self.loop
        count, carried = len(loop.held), len(loop.init)
        types = [ir.tangent_aval(ir.typeof(x)) for x in loop.init]
        outs = [atom.aval for atom in ir.inner(loop.program)[0].outvars]
        self.out_moves = [ir.differentiable(aval) for aval in outs]
        self.types = types
        if direction == "pull":
            self.fixed: list = []
            self.seeds = filled(given[:carried], [ir.typeof(x) for x in loop.init])
            stacks, moves = given[carried:], self.out_moves[carried:]
        else:
            if len(given) > count + carried + len(loop.xs):  # those of the condition
                given = given[len(given) - count - carried :]
            self.fixed = given[:count]
            self.seeds = filled(
                given[count : count + carried], [ir.typeof(x) for x in loop.init]
            )
            stacks, moves = given[count + carried :], [True] * len(loop.xs)
        self.stacks = [
            bar if bar is not None and on else None
            for bar, on in zip(stacks, moves, strict=True)
        ]
        self._compiled = jax.jit(self._sweep)

    def run(self, kept=(), at: int = -1) -> Swept:
        """One sweep.

        Args:
          kept: numbers of the steps whose births go on. at: the step of which is wanted
            what comes to it, or -1.
        """
        loop, back = self.loop, self.direction == "pull"
        goes_on = np.zeros(loop.length, bool)
        goes_on[list(kept)] = True
        norms, births = np.zeros(loop.length), np.zeros(loop.length, bool)
        state = self._start()
        stacked: list = []
        for block in loop.blocks(backwards=back):
            first, last = block.first, block.first + self._length(block.first)
            turns = jnp.arange(first, last)
            given = [self._elements(s, first, last) for s in self.stacks]
            state, (norm, born, bad) = self._compiled(
                loop.held, self.fixed, state, block.carries, block.elements, given,
                jnp.asarray(goes_on[first:last]), turns, at,
            )  # fmt: skip
            norms[first:last], births[first:last] = norm, born
            stacked.append([None if b is None else np.asarray(b) for b in bad])
        bars, held, captured = state
        ends = [not_finite(b) for b in bars]
        if back:
            ends = [*held, *ends]
        return Swept(norms, births, [*ends, *self._stacked(stacked)], list(captured))

    def _length(self, first: int) -> int:
        return min(self.loop.block, self.loop.length - first)

    def _elements(self, stack, first, last):
        if stack is None:
            return None
        return in_order(stack, first, last, self.loop.length, self.loop.reverse)

    def _start(self):
        held = []
        if self.direction == "pull":
            for x, on in zip(self.loop.held, self.loop.active, strict=False):
                held.append(jnp.zeros(np.shape(x), bool) if on else None)
        return list(self.seeds), held, list(self.seeds)

    def _stacked(self, blocks: list) -> list:
        """Of each stacked end where it is not finite, in the order of its elements."""
        if self.direction == "pull":
            blocks = blocks[::-1]
        if not blocks:
            return []
        found: list[Any] = []
        for parts in zip(*blocks, strict=True):
            if any(part is None for part in parts):
                found.append(None)
            else:
                whole = np.concatenate(parts)
                found.append(whole[::-1] if self.loop.reverse else whole)
        return found

    def _sweep(self, held, fixed, state, carries, xs, stacks, kept, turns, at):
        def step(state, given):
            bars, marks, captured = state
            carry, x, element, keep, turn = given
            values = [*held, *carry, *x]
            captured = [
                jnp.where(turn == at, b, c) for b, c in zip(bars, captured, strict=True)
            ]
            seeds, after, new_marks, ends, born = self._step(
                values, fixed, bars, element, keep
            )
            marks = [
                m if m is None or n is None else m | n
                for m, n in zip(marks, new_marks or marks, strict=True)
            ]
            return (after, marks, captured), (norm_of(seeds), born, ends)

        given = carries, xs, stacks, kept, turns
        return lax.scan(step, state, given, reverse=self.direction == "pull")

    def _step(self, values, fixed, bars, element, keep):
        """(what comes to the carries, what goes on, marks of the held operands and of
        the stacked ends, whether it gives birth) of a step, traced."""
        loop = self.loop
        count, carried = len(loop.held), len(loop.init)
        _, program, *_ = linearize_program(loop.program, values, loop.active)
        if self.direction == "pull":
            coming = if_moving(bars, self.out_moves)
            before = [*[None] * count, *bars, *[None] * len(loop.xs)]
            before = [b for b, on in zip(before, loop.active, strict=True) if on]
            seeds = [*coming, *element]
            found, born = self._applied(program.pull, seeds, before, keep)
            whole = iter(found)
            brought = [next(whole) if on else None for on in loop.active]
            after = filled(brought[count : count + carried], self.types)
            marks = [_marks(v, on) for v, on in zip(brought, loop.active, strict=True)]
            return coming, after, marks[:count], marks[count + carried :], born
        coming = [*fixed, *bars, *element]
        types = [ir.tangent_aval(ir.typeof(v)) for v in values]
        coming = filled(coming, types)
        seeds = [d for d, on in zip(coming, loop.active, strict=True) if on]
        before = [*bars, *[None] * len(self.out_moves)]
        found, born = self._applied(program.push, seeds, before, keep)
        after = filled(found[:carried], self.types)
        ends = zip(found[carried:], self.out_moves[carried:], strict=True)
        moving = if_moving(bars, [ir.differentiable(ir.typeof(b)) for b in bars])
        return moving, after, [], [_marks(v, on) for v, on in ends], born

    def _applied(self, apply, seeds: list, before: list, keep):
        """(what a map brings, without births that are not kept, where the carry in the
        same place was finite `before`; whether it gives birth)."""
        brought = apply(seeds)
        if not self.looks:
            return brought, jnp.zeros((), bool)
        clean = apply([_clean(v) for v in seeds])
        found, flags = [], [jnp.zeros((), bool)]
        for value, own, was in zip(brought, clean, before, strict=False):
            if value is None or not ir.differentiable(ir.typeof(value)):
                found.append(value)
                continue
            new = not_finite(value)
            new = new & not_finite(own) if own is not None else new & False
            flags.append(jnp.any(new))
            drop = new & ~keep
            if was is not None:
                drop = drop & ~not_finite(was)
            found.append(jnp.where(drop, jnp.zeros_like(value), value))
        return found, jnp.any(jnp.stack(flags))


def norms_back(equation: Equation, y_bars: list) -> np.ndarray:
    """(steps,) the 2-norm of the cotangent that comes to each step's carries, by the
    order in which the steps run forth.

    Cost: a run of the loop and one of its derivative, compiled.
    """
    return Sweep(equation, y_bars, "pull", looks=False).run().norms


class BornAt(NamedTuple):
    """A step that gives birth, opened, and where in the loop's ends that arrives."""

    step: Step
    ends: list


def birth_steps(equation: Equation, given: list, direction: str) -> list[BornAt]:
    """The steps of a loop whose births reach its ends, in the order in which they are
    met, at most `FEW`: the last stands for all further ones. A step is given what it is
    in truth, though births of others are in it.

    Args:
      given: pull: the cotangents of the outputs; push: the tangents of the operands;
        finite.

    Cost: two runs of the loop and of its derivative, compiled, and two of each for
    every further step.
    """
    sweep = Sweep(equation, given, direction)
    if not sweep.loop.length:
        return []
    left = every = list(map(int, np.flatnonzero(sweep.run().births)))
    if direction == "pull":
        left = left[::-1]
    found: list[BornAt] = []
    while left and len(found) < FEW:
        number, rest = left[0], left[1:]
        swept = sweep.run((number,), number)
        if not _reaches(swept):
            place = _first_reaching(sweep, left)
            if place is None:
                break
            number, rest = left[place], left[place + 1 :]
            swept = sweep.run((number,), number)
        ends, more = swept.ends, 0
        if rest and len(found) == FEW - 1:
            ends, more = sweep.run((number, *rest)).ends, len(rest)
        at = sweep.run(every, number).at if len(every) > 1 else swept.at
        step = _opened_at(sweep, number, at, more)
        found.append(BornAt(step, ends))
        left = rest
    return found


def _reaches(swept: Swept) -> bool:
    return any(np.any(end) for end in swept.ends if end is not None)


def _first_reaching(sweep: Sweep, numbers: list[int]) -> int | None:
    """The place of the first step whose births reach an end of the loop; the very
    first does not."""
    if len(numbers) == 1 or not _reaches(sweep.run(numbers)):
        return None
    low, high = 1, len(numbers)  # the first `low` reach nothing, the first `high` do
    while high - low > 1:
        middle = (low + high) // 2
        if _reaches(sweep.run(numbers[:middle])):
            high = middle
        else:
            low = middle
    return high - 1


def _opened_at(sweep: Sweep, number: int, at: list, more: int) -> Step:
    loop: Loop = sweep.loop
    place = loop.length - 1 - number if loop.reverse else number
    stacked = [None if s is None else s[place] for s in sweep.stacks]
    if sweep.direction == "pull":
        given = [*if_moving(at, sweep.out_moves), *stacked]
    else:
        given = [*sweep.fixed, *at, *stacked]
    return loop.step(number, given, more)


def norm_of(values):
    """The 2-norm of all floating arrays of a list, traced; no square overflows."""
    sizes = [jnp.abs(v).ravel() for v in values if v is not None and v.size]
    sizes = [s.astype(jnp.zeros((), float).dtype) for s in sizes]
    if not sizes:
        return jnp.zeros(())
    whole = jnp.concatenate(sizes)
    largest = jnp.max(whole)
    scale = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    return scale * jnp.sqrt(jnp.sum((whole / scale) ** 2))


def if_moving(bars, moves):
    """None for what does not move."""
    return [b if on else None for b, on in zip(bars, moves, strict=False)]


def _marks(value, on: bool):
    if value is None or not on or not ir.differentiable(ir.typeof(value)):
        return None
    return not_finite(value)


def _clean(value):
    if value is None or not ir.differentiable(ir.typeof(value)):
        return value
    return jnp.where(not_finite(value), jnp.zeros_like(value), value)
