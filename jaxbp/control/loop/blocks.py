"""Reverse mode of a loop of unknown length, by taped blocks.

    forward:   run block after block of `steps` steps; starts of some are stored
    backward:  last block first: from its start, the block runs again with a tape, as
               a scan does, and its tape is pulled back
    step runs: one forward, one to find the starts of blocks, one to make tapes

So a loop's memory is that of some states and of one block's tape. The body of a block
is a scan: its residuals are shared, and what waits is contracted once a block.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ... import ir, settings
from ...linear.base import add, filled
from ...walkers.linearize import record
from ...walkers.primal import Primal, has_rules
from ..activity import Moving, mattering, moving_carries
from .counted import CountedScan
from .repetition import Repetition, repetition
from .sizes import Sizes, sizes
from .starts import Starts

SCOPE = "blocks_of_a_loop"  # in the names of its equations: trips are our own


class Blocks(NamedTuple):
    """How a loop is gone through backwards: static.

    Fields:
      loop: its condition and body.
      active: per held operand: does it carry a tangent.
      moving: which of the changed operands do.
      sizes: steps of a block, and slots for starts of blocks.
    """

    loop: Repetition
    active: tuple[bool, ...]
    moving: tuple[bool, ...]
    sizes: Sizes
    options: settings.Options

    def unflattened(self, kept: Sequence) -> tuple:
        """What `forward` kept, from a list of its arrays."""
        steps, number, stride, *states = kept
        return steps, Starts(number, stride, states)

    def forward(self, values: Sequence) -> tuple[list, list]:
        """The loop's outputs; the number of its steps and the starts kept."""
        return _compiled(self.loop.body, _forward, self._key())(list(values))

    def pull(self, values: Sequence, kept, ins, targets, y_bars) -> list:
        """One cotangent per operand of `ins`, from one per output of `targets`."""
        loop = self.loop
        first = sum(loop.counts)
        found = {first + i: y for i, y in zip(targets, y_bars, strict=True)}
        moved = [place for place, m in zip(loop.moved, self.moving, strict=False) if m]
        bars = [found.pop(place, None) for place in moved]
        bars += [None] * (sum(self.moving) - len(bars))
        run = _compiled(loop.body, _backward, self._key())
        held_bars, bars = run(list(values), kept, bars)
        held = [place for place, on in zip(loop.held, self.active, strict=True) if on]
        for place, bar in zip([*held, *moved], [*held_bars, *bars], strict=False):
            found[place] = add(found.get(place), bar)
        return [found.get(place) for place in ins]

    def mattering(self, places: set[int]) -> "Blocks":
        """With tangents of that alone on which outputs depend, those of operands at
        `places`."""
        jaxpr, _ = ir.inner(self.loop.body)
        first = len(self.active)
        pairs = zip(jaxpr.invars, [*self.active, *self.moving], strict=True)
        active = {var for var, on in pairs if on}
        asked = {i for i, place in enumerate(self.loop.moved) if place in places}
        carried = jaxpr.invars[first:]
        needed, wanted = mattering(jaxpr, active, carried, asked)
        held = zip(jaxpr.invars, self.active, strict=False)
        return self._replace(
            active=tuple([on and var in needed for var, on in held]),
            moving=tuple([on and i in wanted for i, on in enumerate(self.moving)]),
        )

    def _key(self) -> "Blocks":
        return self._replace(loop=self.loop._replace(body=None))


def blocks_of(
    params, dots, options: settings.Options, size: Sizes | None = None
) -> Blocks:
    """How the loop of an equation is gone through backwards.

    Args:
      params: of the equation.
      dots: per operand; None: it carries no tangent.
      size: of blocks, if it is known.
    """
    loop = repetition(params)
    jaxpr, _ = ir.inner(loop.body)
    active, starts = loop.flags(dots)
    held, carries = jaxpr.invars[: len(active)], jaxpr.invars[len(active) :]
    known = {var for var, on in zip(held, active, strict=True) if on}
    moving = moving_carries(jaxpr, known, carries, starts)[0].flags
    known |= {var for var, on in zip(carries, moving, strict=True) if on}
    types = [var.aval for var in carries]
    size = size or sizes(jaxpr, known, types, options.loop_bytes)
    return Blocks(loop, tuple(active), moving, size, options)


@ir.once_per_program
def _compiled(body, run: Callable, key: Blocks) -> Callable:
    weakly = weakref.ref(body)

    def compiled(values, *given):
        whole = key._replace(loop=key.loop._replace(body=weakly()))
        with settings.using(key.options), jax.named_scope(SCOPE):
            return run(whole, values, *given)

    compiled.__name__ = compiled.__qualname__ = f"while{run.__name__}"
    return jax.jit(compiled)


def _forward(plan: Blocks, values):
    loop = plan.loop
    step = _step(plan, values)

    def block(state):
        carries, steps, starts = state
        starts = starts.offered(steps // plan.sizes.steps, carries)

        def goes_on(state):
            return (state[0] < plan.sizes.steps) & loop.goes_on(values, state[1])

        def one(state):
            return state[0] + 1, step(state[1])

        count, carries = lax.while_loop(goes_on, one, (jnp.int32(0), carries))
        return carries, steps + count, starts

    carries = loop.start(values)
    start = carries, jnp.int32(0), Starts.empty(plan.sizes.slots, carries)
    carries, steps, starts = lax.while_loop(
        lambda state: loop.goes_on(values, state[0]), block, start
    )
    return loop.end(values, carries), (steps, starts)


def _step(plan: Blocks, values) -> Callable:
    """The body as a function of what it changes, evaluated as it is differentiated."""
    held = [values[i] for i in plan.loop.held]
    body, active = plan.loop.body, [*plan.active, *plan.moving]
    if not has_rules(body):
        return lambda carries: ir.evaluate_program(body, [*held, *carries])
    return lambda carries: Primal().values(body, [*held, *carries], active)


def _backward(plan: Blocks, values, kept, y_bars):
    steps, starts = kept
    held = [values[i] for i in plan.loop.held]
    step, size = _step(plan, values), jnp.int32(plan.sizes.steps)

    def advance(carries, _, blocks):
        return lax.fori_loop(0, blocks * size, lambda _, c: step(c), carries)

    def block(state):
        number, starts, totals, bars = state
        starts = starts.filled(number, advance)
        first, place = starts.before(number)
        carries = advance(starts.state(place), first, number - first)
        count = jnp.minimum(steps - number * size, size)
        held_bars, bars = _pull_block(plan, [*held, *carries], count, bars)
        pairs = zip(totals, held_bars, strict=True)
        return number - 1, starts, [add(t, bar) for t, bar in pairs], bars

    last = (steps + size - 1) // size - 1
    flags = zip(held, plan.active, strict=True)
    totals = filled([None] * sum(plan.active), [ir.typeof(v) for v, on in flags if on])
    start = last, starts.thinned(last), totals, filled(y_bars, _moving_types(plan))
    state = lax.while_loop(lambda s: s[0] >= 0, block, start)
    return state[2], state[3]


def _pull_block(plan: Blocks, values, count, bars):
    """Cotangents of a block of `count` steps: of held and of changed operands."""
    held = len(plan.active)
    params = {
        "jaxpr": plan.loop.body, "length": plan.sizes.steps, "reverse": False,
        "unroll": 1, "num_consts": held, "num_carry": len(values) - held,
    }  # fmt: skip

    def run(recorder, values, dots):
        outs, dots = CountedScan(recorder, values, dots, params, count).record()
        return outs, [d if m else None for d, m in zip(dots, plan.moving, strict=True)]

    _, program = record(run, values, [*plan.active, *plan.moving])
    whole = program.pull(Moving(plan.moving).whole(bars))
    count = sum(plan.active)
    return whole[:count], filled(whole[count:], _moving_types(plan))


def _moving_types(plan: Blocks) -> list:
    carries = ir.inner(plan.loop.body)[0].invars[len(plan.loop.held) :]
    return Moving(plan.moving).of([var.aval for var in carries])
