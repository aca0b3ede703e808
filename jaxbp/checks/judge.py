"""From two values to a verdict: one row for one leaf beside one witness."""

import numpy as np

from .closeness import allowance, closeness, epsilon, quantum, wide
from .rows import AGREE, DIFFER, KINK, NOT_FINITE, Row


def elements_that_differ(x_bar, other, allowed):
    """Flat indices where |x_bar - other| exceeds `allowed`, worst first."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(wide(x_bar) - wide(other)).ravel()
    order = np.argsort(-gap, kind="stable")
    return order[gap[order] > allowed]


def judge_elements(where, x_bar, other, relative, across):
    """The row of two gradients of one leaf, at the element where they differ most.

    Args:
      where: dict of the row's leaf, point, judged and witness.
      x_bar, other: arrays of one shape, the judged one first.
      relative: allowed disagreement, of the leaf's largest entry.
      across: largest entry over all leaves.
    """
    bad = ~(np.isfinite(wide(x_bar)) & np.isfinite(wide(other)))
    if bad.any():
        one_sided = np.isfinite(wide(x_bar)) != np.isfinite(wide(other))
        at = np.argwhere(one_sided if one_sided.any() else bad)[0]
        return _row(where, tuple(at), x_bar, other, np.inf, NOT_FINITE)
    if x_bar.size == 0:
        return _row(where, None, np.zeros(()), np.zeros(()), 0.0, AGREE)
    gap = np.abs(wide(x_bar) - wide(other))
    at = np.unravel_index(int(np.argmax(gap)), gap.shape)
    allowed = allowance(x_bar, other, relative, x_bar.dtype, across)
    excess = over(gap[at], allowed)
    verdict = DIFFER if excess > 1 else AGREE
    worst = np.unravel_index(int(np.argmax(closeness(x_bar, other))), gap.shape)
    return _row(where, at if excess > 1 else worst, x_bar, other, excess, verdict)


def _row(where, at, x_bar, other, excess, verdict):
    x, y = (wide(a)[() if at is None else at] for a in (x_bar, other))
    index = None if at is None else tuple(int(i) for i in at)
    gap = float(closeness(x, y))
    return Row(
        **where, closeness=gap, index=index, value=x.item(), other=y.item(), noise=0.0,
        excess=float(excess), verdict=verdict,
    )  # fmt: skip


def judge_slope(where, index, scale, value, other, allowed, noise=0.0, kinked=False):
    """The row of two slopes along one direction.

    Args:
      where: dict of the row's leaf, point, judged and witness.
      index: of the one element the direction moves, or None.
      scale: both slopes are divided by it, so that they are per unit of the leaf.
      value, other: floats, the judged one first.
      allowed: the gap that rounding and noise explain; the gap is |value - other|.
      kinked: whether both are one-sided slopes of a kink, and so no disagreement.
    """
    gap = abs(value - other)
    if not (np.isfinite(value) and np.isfinite(other)):
        excess, verdict = np.inf, NOT_FINITE
    else:
        excess = over(gap, allowed)
        verdict = KINK if kinked else DIFFER if excess > 1 else AGREE
    value, other, noise = value / scale, other / scale, noise / abs(scale)
    return Row(
        **where, closeness=float(closeness(value, other)), index=index,
        value=float(value), other=float(other), noise=float(noise),
        excess=0.0 if kinked else float(excess), verdict=verdict,
    )  # fmt: skip


def over(gap, allowed):
    """gap / allowed, where nothing over nothing is agreement."""
    return float(gap / allowed) if allowed else (np.inf if gap else 0.0)


def rounding_of_sum(x_bar, direction):
    """What rounding may do to <x_bar, direction>: 64 eps of its terms' 2-norm, and
    where x_bar is subnormal the spacing of its numbers."""
    terms, dtype = np.abs(wide(x_bar) * direction), x_bar.dtype
    spacing = 4 * quantum(dtype) * np.sqrt(np.sum(np.abs(direction) ** 2))
    return 64 * epsilon(dtype) * float(np.sqrt(np.sum(terms**2))) + float(spacing)
