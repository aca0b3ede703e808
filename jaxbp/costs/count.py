"""What does a traced program cost? Its steps summed, nothing run.

The body of a scan counts once a step, a branch as the range from the cheapest to the
dearest, a `while` as any number of trips unless told how many.
"""

from collections.abc import Callable
from functools import reduce
from typing import NamedTuple

import jax

from ..control.loop.blocks import SCOPE
from ..timing import Roofs
from ..timing.roofs import Steps
from .amount import UNBOUNDED, Amount, exactly
from .collectives import moved_bytes, written
from .factorizations import FACTORIZATIONS
from .flat import Flat, Step, flatten, where
from .traffic import Pass, passes_of, transposed_bytes
from .work import work

# Steps that run at the rate of matrix products.
PRODUCTS = {
    "dot_general",
    "conv_general_dilated",
    "ragged_dot_general",
    *FACTORIZATIONS,
}
LOOPS = ("scan", "while")


class Given(NamedTuple):
    """What is known beside the program: trips of each `while`, the device's roofs."""

    while_trips: int | None = None
    roofs: Roofs | None = None


NOTHING = Given()


def amount_of(program, given: Given = NOTHING) -> Amount:
    """The cost of a closed program, calls inlined and dead code dropped."""
    return flat_amount(flatten(program), given)


def traced_amount(
    f: Callable, *args, while_trips: int | None = None, roofs: Roofs | None = None
) -> Amount:
    """The cost of `f(*args)`; arguments are arrays or types, f is traced, not run."""
    return amount_of(jax.make_jaxpr(f)(*args), Given(while_trips, roofs))


def flops(f: Callable, *args) -> float:
    """Flops of `f(*args)`, of branches the dearest; inf for a `while` in it."""
    return traced_amount(f, *args).flops.high


def flat_amount(flat: Flat, given: Given, looped: bool = False) -> Amount:
    """The cost of a flattened program, which may be a loop's body."""
    costs = given.roofs and StepCosts.of(given.roofs, looped)
    moved = sum((_pass_amount(p, costs) for p in passes_of(flat)), Amount())
    if costs and not looped:
        late_s = sum(costs.steps.pass_s(2 * size) for size in transposed_bytes(flat))
        moved += Amount(time_s=exactly(late_s))
    return sum((_step_amount(step, given, looped) for step in flat.steps), moved)


class StepCosts(NamedTuple):
    """The roofs, and which of their curves hold where a program runs."""

    roofs: Roofs
    steps: Steps

    @classmethod
    def of(cls, roofs: Roofs, looped: bool) -> "StepCosts":
        return cls(roofs, roofs.looped if looped else roofs.straight)


def _pass_amount(each: Pass, costs: StepCosts | None) -> Amount:
    """The traffic of a pass, and its time where there are roofs to read it from."""
    time_s = _pass_s(each, costs) if costs else 0.0
    return Amount(
        read_bytes=exactly(each.read_bytes),
        written_bytes=exactly(each.written_bytes),
        time_s=exactly(time_s),
    )


def _pass_s(each: Pass, costs: StepCosts) -> float:
    """The longer of moving its bytes and computing on them."""
    moving_s = costs.steps.pass_s(each.read_bytes + each.written_bytes)
    return max(moving_s, sum(_computing_s(step, costs) for step in each.steps))


def _computing_s(step: Step, costs: StepCosts) -> float:
    """Seconds that the arithmetic of a step takes by itself."""
    flops, transcendentals, _ = work(step)
    if step.name in PRODUCTS:
        return costs.steps.product_s(flops)
    elementwise_s = flops / costs.roofs.elementwise_flops_per_s
    return elementwise_s + transcendentals / costs.roofs.transcendentals_per_s


def _step_amount(step: Step, given: Given, looped: bool) -> Amount:
    """The arithmetic of a step; of loops and branches everything."""
    looped = looped or step.name in LOOPS
    inner = [flat_amount(program, given, looped) for program in step.inner]
    if step.name == "scan":
        return inner[0].times(exactly(step.params["length"]))
    if step.name == "cond":
        return reduce(Amount.either, inner)
    if step.name == "while":
        return _while_amount(step, inner, given.while_trips)
    flops, transcendentals, assumed = work(step)
    return Amount(
        flops=exactly(flops),
        transcendentals=exactly(transcendentals),
        collective_bytes=exactly(moved_bytes(written(step))),
        assumed=frozenset([step.name]) if assumed else frozenset(),
    )


def _while_amount(step: Step, inner, while_trips: int | None) -> Amount:
    """The condition is asked once more than the body runs."""
    condition, body = inner
    ours = SCOPE in str(step.equation.source_info.name_stack)
    if while_trips is not None and not ours:
        trips = exactly(while_trips)
        return condition + condition.times(trips) + body.times(trips)
    trip = condition.times(UNBOUNDED) + body.times(UNBOUNDED)
    return condition + trip + Amount(unknown_loops=frozenset([where(step.equation)]))
