"""Whole Jacobians within a number of bytes, as XLA plans them.

the way planned                  if it fits with all its seeds
the modes, in chunks             the one that is predicted to take the least time
forward mode without a tape      where none fits: the function runs again for each chunk
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from ..errors import JaxbpError
from ..transforms import chunks
from .report import Plan, Way

NEAR = 1.25  # times as fast must another way be predicted as the better mode


class Fit(NamedTuple):
    """A way that keeps within a budget.

    Fields:
      function: of the arguments that are arrays.
      way: a mode or an order.
      again: the function runs again for each chunk, and no tape is kept.
      size: seeds a sweep.
      peak: bytes by XLA's plan, and kernels.
    """

    function: Callable
    way: Way
    again: bool
    size: int
    peak: chunks.Peak


def fit(point: Any, plan: Plan, budget: int, taken: list, at: Callable) -> Fit:
    """The way that is planned if it keeps within a budget, else the mode that is
    predicted to take the least time in chunks that do.

    Args:
      point: the function at its arguments, recorded: a `door.Point`.
      budget: bytes.
      taken: the arguments that are arrays.
      at: at(arrays) -> the point at them.

    Raises:
      InvalidArgument: none keeps within it; the least that was found is named.
    """
    fits, least, refused = [], [], JaxbpError("no mode is there")
    for place, (way, again) in enumerate(_ways(point, plan)):
        count, whole = point.count(way), not place
        if again and not whole and fits:
            break
        if fits and way.time_s > NEAR * min(map(_predicted_s, fits)):
            continue
        made = partial(_made, at, point.holomorphic, way, again)
        peak = lambda size, made=made: chunks.peak_bytes(made(size), (taken,))  # noqa: E731
        try:
            found = {count: peak(count)} if whole else chunks.tried(budget, peak, count)
        except JaxbpError as error:  # a map has one direction alone
            refused = error
            continue
        size = chunks.quickest(budget, found)
        if size or found[count].total <= budget:
            fits.append(Fit(made(size), way, again, size, found[size]))
            if whole:
                return fits[0]
        least += [one.total for one in found.values()]
    if fits:
        doubt = lambda one: 1.0 if one.way.name == plan.mode else NEAR  # noqa: E731
        return min(fits, key=lambda one: _predicted_s(one) * doubt(one))
    raise chunks.too_little(budget, min(least)) if least else refused


def _predicted_s(one: Fit) -> float:
    return one.way.time_s + one.peak.extra_s


def _ways(point, plan: Plan) -> Iterator[tuple[Way, bool]]:
    """Ways in the order in which they are tried, and whether each has no tape; the
    first with all its seeds alone."""
    modes = [way for way in plan.ways if not way.order]
    loops = point.whole().loops  # then forward mode with all seeds keeps no tape anyway
    yield plan.chosen, loops and plan.chosen.name == "forward"
    yield from [(way, False) for way in sorted(modes, key=lambda way: way.time_s)]
    yield from [(way, True) for way in modes if way.name == "forward"]


def _made(at: Callable, holomorphic: bool, way: Way, again: bool, size: int):
    """A function of the arguments that are arrays, by one way."""

    def of(given):
        point = at(given)
        point.holomorphic = holomorphic
        point.record()
        return point.assembled(point.by(way, point.whole(), size, again))

    return of


def told_within(point, plan: Plan, budget: int, taken: list, at: Callable) -> str:
    """In words, what a budget makes of the plan; arguments and errors as of `fit`."""
    if point.is_plain:
        return "A budget is not looked at: these Jacobians are taken by rows alone."
    found = fit(point, plan, budget, taken, at)
    count, forward = point.count(found.way), found.way.name == "forward"
    chunked = not found.way.order and found.size < count
    what = "columns" if forward else "rows"
    pieces = f", {found.size:,} of {count:,} {what} at a time" if chunked else ""
    again = ", the function run again for each" if found.again and chunked else ""
    tape = "" if found.again else "tape, "
    return (
        f"Within {budget:,} bytes: {found.way.name}{pieces}{again}; by XLA's plan "
        f"{found.peak.total:,} bytes for arguments, {tape}Jacobian and what stands "
        "between."
    )
