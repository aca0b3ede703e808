"""What rounding does to an exact derivative, measured and not assumed.

A gradient small by cancellation (a saturated unit, a trained network, the minimum of
a least-squares fit) keeps the rounding of the terms that cancelled. These cannot be
seen from the gradient, but they show when the arguments are moved by a few of their
last digits: every right program for the gradient then answers differently by about as
much as two right programs differ from each other.
"""

import numpy as np

from .closeness import epsilon, norm, quantum, wide

SHAKES = 4
SAFETY = 8.0  # a few shakes show less than the largest error


def lost(dtype):
    """What sums and products of a leaf may lose of its largest entry: 64 epsilon, or
    half of the digits where that is less, as in bfloat16."""
    return min(64 * epsilon(dtype), epsilon(dtype) ** 0.5)


def shaken(x, rng):
    """`x` with every element moved by a few units in its last place."""
    draw = 2 * epsilon(x.dtype) * rng.normal(size=x.shape)
    with np.errstate(invalid="ignore", over="ignore"):  # inf times 0
        return np.asarray(wide(x) * (1 + draw)).astype(x.dtype)


def slack(bars, shaken_bars, dtypes, alone=False):
    """What rounding may do to each element of the gradient.

    Args:
      bars: list of gradients at the point, from several witnesses: lists of arrays.
      shaken_bars: for each of them the list of its gradients at shaken points.
      dtypes: the precision of each leaf.
      alone: what was seen at the element itself; otherwise no less than what is typical
        of its leaf, and than what sums lose of the leaf's largest entry.

    Returns:
      list of float64 arrays by leaf.
    """
    return [
        _leaf_slack(
            [bar[j] for bar in bars],
            [[shaken[j] for shaken in several] for several in shaken_bars],
            dtype,
            alone,
        )
        for j, dtype in enumerate(dtypes)
    ]


def _leaf_slack(bars, shaken_bars, dtype, alone):
    moved = np.zeros(bars[0].shape)
    largest = 0.0
    for bar, several in zip(bars, shaken_bars, strict=True):
        bar = wide(bar)
        largest = max(largest, np.abs(bar[np.isfinite(bar)]).max(initial=0.0))
        for other in several:
            with np.errstate(invalid="ignore", over="ignore"):
                gap = np.abs(wide(other) - bar)
            moved = np.maximum(moved, np.where(np.isfinite(gap), gap, 0.0))
    if alone:
        return SAFETY * moved + 4 * quantum(dtype)
    scale = moved.max(initial=0.0) or 1.0
    typical = scale * np.sqrt(np.mean((moved / scale) ** 2)) if moved.size else 0.0
    moved = np.maximum(moved, typical)
    return SAFETY * moved + lost(dtype) * largest + 4 * quantum(dtype)


def across(slacks, direction, j):
    """What rounding may do to <x_bar, direction> in leaf number `j`: the 2-norm."""
    return norm(slacks[j] * np.abs(direction))
