"""What rounding does to an exact derivative, measured and not assumed.

A gradient small by cancellation (a saturated unit, a trained network, the minimum of
a least-squares fit) keeps the rounding of the terms that cancelled. These cannot be
seen from the gradient, but they show when the arguments are moved by a few of their
last digits: every right program for the gradient then answers differently by about as
much as two right programs differ from each other.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from .closeness import epsilon, inner, norm, quantum, wide

SHAKES = 4
SAFETY = 8.0  # a few shakes show less than the largest error


def lost(dtype):
    """What sums and products of a leaf may lose of its largest entry: 64 epsilon, or
    half of the digits where that is less, as in bfloat16."""
    return min(64 * epsilon(dtype), epsilon(dtype) ** 0.5)


def shaken(x, rng):
    """`x` with every element moved by a few units in its last place, by one at least:
    what a rule says at the point alone, it says nowhere else."""
    draw = 2 * rng.normal(size=x.shape)
    draw = epsilon(x.dtype) * (draw + np.where(draw < 0, -1, 1))
    with np.errstate(invalid="ignore", over="ignore"):  # inf times 0
        return np.asarray(wide(x) * (1 + draw)).astype(x.dtype)


@dataclass(frozen=True)
class Allowance:
    """What rounding may do to a gradient, by leaf.

    Attributes:
      of: list of float64 arrays: to each element.
      floor: list of float64 arrays: what there is of it where nothing moved.
      runs: of each witness the list of its gradients as they were moved, lists of
        arrays by leaf.
    """

    of: list
    floor: list
    runs: list

    def across(self, direction, j):
        """What it may do to <x_bar, direction> in leaf number `j`: the 2-norm."""
        return norm(self.of[j] * np.abs(direction))

    def at_kink(self, direction, j, low, high):
        """The same at a kink, where a right gradient moves from one of the one-sided
        slopes, `low` and `high`, to the other: how far it moves beyond is rounding."""
        moved = 0.0
        for several in self.runs:
            slopes = np.array([inner(run[j], direction) for run in several])
            slopes = slopes[np.isfinite(slopes)]
            beyond = slopes - slopes.clip(low, high)
            moved = max(moved, float(np.ptp(beyond)) if beyond.size else 0.0)
        return norm(self.floor[j] * np.abs(direction)) + SAFETY * moved

    def beside(self, before):
        """The same, and what rounding did before, by element of each leaf."""
        of, floor = (_each(np.add, each, before) for each in (self.of, self.floor))
        return Allowance(of, floor, self.runs)

    def or_more(self, other):
        """The larger of two, of every element."""
        of = _each(np.maximum, self.of, other.of)
        floor = _each(np.maximum, self.floor, other.floor)
        return Allowance(of, floor, self.runs + other.runs)


def _each(operation, arrays, others):
    return [operation(a, b) for a, b in zip(arrays, others, strict=True)]


def slack(bars, moved_bars, dtypes, alone=False):
    """What rounding may do to each element of the gradient.

    How far the moved gradients are apart is rounding. Of shaken arguments, how far they
    all are from the gradient at the point is not: a rule may be wrong there alone.

    Args:
      bars: list of gradients at the point, from several witnesses: lists of arrays.
      moved_bars: for each of them the list of its gradients where rounding differs.
      dtypes: the precision of each leaf.
      alone: what was seen at the element itself; otherwise no less than what is typical
        of its leaf, and than what sums lose of the leaf's largest entry.

    Returns:
      Allowance.
    """
    of, floor = [], []
    for j, dtype in enumerate(dtypes):
        moved = np.zeros(bars[0][j].shape)
        for several in moved_bars:
            moved = np.maximum(moved, _spread([run[j] for run in several]))
        least = 4 * quantum(dtype)
        if not alone:
            moved = np.maximum(moved, _typical(moved))
            least += lost(dtype) * max(_largest(bar[j]) for bar in bars)
        floor.append(np.full(moved.shape, least))
        of.append(SAFETY * moved + least)
    return Allowance(of, floor, list(moved_bars))


def _spread(arrays):
    """How far each element is from itself in several arrays, where it is finite."""
    found = np.zeros(arrays[0].shape)
    for one, other in itertools.combinations(map(wide, arrays), 2):
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.abs(one - other)
        found = np.maximum(found, np.where(np.isfinite(gap), gap, 0.0))
    return found


def _typical(moved):
    scale = moved.max(initial=0.0) or 1.0
    return scale * np.sqrt(np.mean((moved / scale) ** 2)) if moved.size else 0.0


def _largest(bar):
    bar = wide(bar)
    return np.abs(bar[np.isfinite(bar)]).max(initial=0.0)
