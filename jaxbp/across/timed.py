"""The ways of a plan on the clock: each is run, compared, then timed in turn."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import numpy as np

from .. import settings
from ..errors import InvalidArgument, JaxbpError
from .modes import MODES
from .report import Plan, Way

if TYPE_CHECKING:
    from .door import Point

ROUNDS = 7
BUDGET_S = 5.0  # of sampling all ways; three rounds in any case,
LEAST_S = 0.3  # and so many of short ones
PAIRED = "Measured: medians of runs taken in turn; tracing and compiling apart."


def timed(plan: Plan, at: Callable[..., "Point"], given: list, options) -> Plan:
    """The plan with the time of each way.

    Args:
      plan: of the point `at(given)`.
      at: leaves -> a new point.
      given: arrays.
      options: that it was planned with.

    Raises:
      InvalidArgument: there are types in the place of arrays.

    Cost: a compilation of each way, and its samples.
    """
    from ..timing import stages, time_calls

    if any(isinstance(x, jax.ShapeDtypeStruct) for x in given):
        raise InvalidArgument(
            "measuring needs arrays, but there are types (`jax.ShapeDtypeStruct`). "
            "Give arrays, or plan without `measure=True`."
        )
    built, notes, wanted = {}, [], None
    for way in _distinct(plan):
        try:
            built[way.name] = stages(_by(way, at, options), *given)
        except JaxbpError as error:
            notes.append(f"{way.name}: not measured, {str(error).splitlines()[0]}")
            continue
        found = jax.tree.leaves(built[way.name].output)
        wanted = found if wanted is None else wanted
        if not all(map(_is_near, found, wanted)):
            del built[way.name]
            notes.append(f"{way.name}: not measured, it differs from {_first(built)}")
    calls = {name: (one.compiled, tuple(given)) for name, one in built.items()}
    if not calls:
        return _with_times(plan, {}, notes)
    times = time_calls(calls, rounds=ROUNDS, budget_s=BUDGET_S, least_s=LEAST_S)
    return _with_times(plan, times, notes)


def _distinct(plan: Plan) -> list[Way]:
    """One way an order; of those too, that are not taken for the size of an array."""
    orders = {way.key: way for way in reversed(plan.ways)}
    orders[plan.chosen.key] = plan.chosen
    return [way for way in plan.ways if way in orders.values()]


def _by(way: Way, at: Callable[..., "Point"], options) -> Callable:
    def whole_of(*given):
        point = at(given)
        with settings.using(options):
            point.record()
            return point.assembled(point.by(way, point.whole()))

    return whole_of


def _is_near(found, wanted) -> bool:
    found, wanted = np.asarray(found), np.asarray(wanted)
    if not np.issubdtype(wanted.dtype, np.inexact):
        return True
    finite = np.isfinite(wanted)  # a mode spreads NaN to entries that are zero
    size = np.abs(wanted[finite]).max(initial=0)
    off = np.abs(found[finite] - wanted[finite]).max(initial=0)
    return bool(off <= 2 * np.finfo(wanted.dtype).eps ** (2 / 3) * size)


def _first(built: dict) -> str:
    return f"{next(iter(built))} mode"


def _with_times(plan: Plan, times: dict, notes: list[str]) -> Plan:
    from ..timing import paired

    names = {way.key: way.name for way in _distinct(plan)}
    medians = {name: timing.median_s for name, timing in times.items()}
    ways = [
        way._replace(measured_s=medians.get(names.get(way.key, "")))
        for way in plan.ways
    ]
    chosen = ways[plan.ways.index(plan.chosen)]
    told = []
    if times and chosen.measured_s is not None:
        best = min(medians, key=lambda name: medians[name])
        named = f"{best} mode" if best in MODES else best
        own = names[chosen.key]
        over = paired(times[own], times[best])
        told.append(
            "Measured: the way taken is the fastest." if own == best else
            f"Measured: the way taken needs {over.median:.3g} times the time of {named}"
            f" (quartiles {over.lower:.3g} to {over.upper:.3g}"
            + (", far apart: measure it again)." if over.unstable else ").")
        )  # fmt: skip
        told.append(PAIRED)
    return dataclasses.replace(
        plan, ways=tuple(ways), chosen=chosen, notes=(*told, *notes)
    )
