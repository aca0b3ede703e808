"""From two values to a verdict: one row for one leaf beside one witness."""

import numpy as np

from .closeness import closeness, wide
from .rows import AGREE, DIFFER, KINK, NOT_FINITE, UNDECIDED, Row

TELLING = 2.0  # values so many times the noise: none, twice or minus them would be seen


def judge_elements(where, x_bar, other, allowed):
    """The row of two gradients of one leaf, at the element where they differ most.

    Args:
      where: dict of the row's leaf, point, judged and witness.
      x_bar, other: arrays of one shape, the judged one first.
      allowed: array of that shape: the gaps that rounding explains.
    """
    x, y = wide(x_bar), wide(other)
    bad = ~(np.isfinite(x) & np.isfinite(y))
    if bad.any():
        one_sided = np.isfinite(x) != np.isfinite(y)
        at = tuple(np.argwhere(one_sided if one_sided.any() else bad)[0])
        return _row(where, at, x, y, np.inf, NOT_FINITE)
    gap = np.abs(x - y)
    excess = np.divide(
        gap, allowed, where=allowed > 0, out=np.where(gap > 0, np.inf, 0.0)
    )
    at = np.unravel_index(int(np.argmax(excess)), gap.shape)
    if excess[at] > 1:
        return _row(where, at, x, y, excess[at], DIFFER)
    worst = np.unravel_index(int(np.argmax(closeness(x, y))), gap.shape)
    return _row(where, worst, x, y, excess[at], AGREE)


def _row(where, at, x, y, excess, verdict):
    return Row(
        **where, closeness=float(closeness(x[at], y[at])),
        index=tuple(int(i) for i in at), value=x[at].item(), other=y[at].item(),
        noise=0.0, excess=float(excess), verdict=verdict,
    )  # fmt: skip


def judge_slope(where, index, scale, value, other, allowed, **more):
    """The row of two slopes along one direction.

    Args:
      where: dict of the row's leaf, point, judged and witness.
      index: of the one element the direction moves, or None.
      scale: both slopes are divided by it, so that they are per unit of the leaf.
      value, other: floats, the judged one first.
      allowed: the gap that rounding and noise explain.
      more: `noise`, and the verdict's circumstances as in `verdict`.
    """
    noise = more.pop("noise", 0.0)
    excess = over(abs(value - other), allowed) if np.isfinite(value + other) else np.inf
    given = verdict(value, other, allowed, **more)
    value, other, noise = value / scale, other / scale, noise / abs(scale)
    return Row(
        **where, closeness=float(closeness(value, other)), index=index,
        value=float(value), other=float(other), noise=float(noise),
        excess=float(excess), verdict=given,
    )  # fmt: skip


def verdict(value, other, allowed, kinked=False, hidden=0.0):
    """Agree, differ, or cannot tell.

    Args:
      kinked: whether both lie between the one-sided slopes of a kink.
      hidden: noise; of values that hardly stand out of it nobody can tell.
    """
    if not (np.isfinite(value) and np.isfinite(other)):
        return NOT_FINITE
    if kinked:
        return KINK
    if max(abs(value), abs(other)) < TELLING * hidden:
        return UNDECIDED
    return DIFFER if abs(value - other) > allowed else AGREE


def over(gap, allowed):
    """gap / allowed, where nothing over nothing is agreement."""
    return float(gap / allowed) if allowed else (np.inf if gap else 0.0)
