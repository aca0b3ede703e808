"""Whole Jacobians within a number of bytes: the first way that XLA's plan fits.

the way planned                      with all its seeds, else as many as fit
the modes, the faster one first      the same
forward mode without a tape          the function runs again for each chunk
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from ..errors import JaxbpError
from ..transforms import chunks
from .report import Plan, Way


class Fit(NamedTuple):
    """A way that keeps within a budget.

    Fields:
      function: of the arguments that are arrays.
      way: a mode or an order.
      again: the function runs again for each chunk, and no tape is kept.
      size: seeds a sweep.
      total: bytes, by XLA's plan.
    """

    function: Callable
    way: Way
    again: bool
    size: int
    total: int


def fit(point: Any, plan: Plan, budget: int, taken: list, at: Callable) -> Fit:
    """The first way that keeps within a budget.

    Args:
      point: the function at its arguments, recorded: a `door.Point`.
      budget: bytes.
      taken: the arguments that are arrays.
      at: at(arrays) -> the point at them.

    Raises:
      InvalidArgument: none keeps within it; the least that was found is named.
    """
    least, refused = [], JaxbpError("no mode is there")
    for way, again in dict.fromkeys(_ways(point, plan)):
        made = partial(_made, at, point.holomorphic, way, again)
        peak = lambda size, made=made: chunks.peak_bytes(made(size), (taken,))  # noqa: E731
        try:
            size, total = chunks.seeds_within(budget, peak, point.count(way))
        except JaxbpError as error:  # a map has one direction alone
            refused = error
            continue
        if size or not point.count(way):
            return Fit(made(size), way, again, size, total)
        least.append(total)
    raise chunks.too_little(budget, min(least)) if least else refused


def _ways(point, plan: Plan) -> Iterator[tuple[Way, bool]]:
    """Ways in the order in which they are tried, and whether each has no tape."""
    modes = [way for way in plan.ways if not way.order]
    loops = point.whole().loops  # then forward mode keeps no tape anyway
    for way in [plan.chosen, *sorted(modes, key=lambda way: way.time_s)]:
        yield way, loops and way.name == "forward"
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
        f"{found.total:,} bytes for arguments, {tape}Jacobian and what stands between."
    )
