"""What does a traced program cost? Its steps summed, nothing run.

The body of a scan counts once a step, a branch as the range from the cheapest to the
dearest, a `while` as any number of trips unless told how many.
"""

from collections.abc import Callable
from functools import reduce

import jax

from .amount import UNBOUNDED, Amount, exactly
from .flat import Flat, Step, flatten, where
from .flops import work
from .traffic import traffic


def amount_of(program, while_trips: int | None = None) -> Amount:
    """The cost of a closed program, calls inlined and dead code dropped."""
    return flat_amount(flatten(program), while_trips)


def traced_amount(f: Callable, *args, while_trips: int | None = None) -> Amount:
    """The cost of `f(*args)`; arguments are arrays or types, f is traced, not run."""
    return amount_of(jax.make_jaxpr(f)(*args), while_trips)


def flops(f: Callable, *args) -> float:
    """Flops of `f(*args)`, of branches the dearest; inf for a `while` in it."""
    return traced_amount(f, *args).flops.high


def flat_amount(flat: Flat, while_trips: int | None) -> Amount:
    """The cost of a flattened program."""
    read, written = traffic(flat)
    moved = Amount(read_bytes=exactly(read), written_bytes=exactly(written))
    return sum((_step_amount(step, while_trips) for step in flat.steps), moved)


def _step_amount(step: Step, while_trips: int | None) -> Amount:
    """The arithmetic of a step; of loops and branches everything."""
    inner = [flat_amount(program, while_trips) for program in step.inner]
    if step.name == "scan":
        return inner[0].times(exactly(step.params["length"]))
    if step.name == "cond":
        return reduce(Amount.either, inner)
    if step.name == "while":
        return _while_amount(step, inner, while_trips)
    flops, transcendentals, assumed = work(step)
    return Amount(
        flops=exactly(flops),
        transcendentals=exactly(transcendentals),
        assumed=frozenset([step.name]) if assumed else frozenset(),
    )


def _while_amount(step: Step, inner, while_trips: int | None) -> Amount:
    """The condition is asked once more than the body runs."""
    condition, body = inner
    if while_trips is not None:
        trips = exactly(while_trips)
        return condition + condition.times(trips) + body.times(trips)
    trip = condition.times(UNBOUNDED) + body.times(UNBOUNDED)
    return condition + trip + Amount(unknown_loops=frozenset([where(step.equation)]))
