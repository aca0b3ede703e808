"""A disagreement with the differences, looked at again: by other steps, and between.

A wrong verdict is worse than none: what is called a disagreement must stand when f is
looked at along other ladders of steps, and must not be hidden between their ends.
"""

from dataclasses import replace

import numpy as np

from .batch import moved
from .closeness import epsilon, inner, wide
from .differences import SAFETY

SHORTER = (3.0, 48.0)  # further ladders that a disagreement must survive,
SUPPORT = 3  # steps of all ladders, shorter than those taken, put it in doubt
LONGER = 2.0  # and a longer one, where it is so many times longer at least
NODES, DEGREE = 32, 7  # of the gradient between the ends, and of its smooth part
PEAK = 4.0  # times as far is each point to the side of a narrow peak as the one before
SWING = 0.2  # of a disagreement: more is left of the gradient where it swings
EXPLAINED = 8  # leaves that are found wrong: one wrong rule makes many so
INNER = 0.8  # of a step: kinks beyond do not move the difference


class Closer:
    """The looks at one point, as other steps see them.

    Args:
      looker: Looker. gradient: xs -> an exact gradient, list of arrays.
    """

    def __init__(self, looker, gradient):
        self.looker, self.xs, self.gradient = looker, looker.xs, gradient

    def __call__(self, looks):
        """Each look as other steps, and the gradient between their ends, confirm it,
        refute it, or leave it in doubt."""
        return self._resolved(self.heard(looks))

    def heard(self, looks):
        """Each look as other steps confirm it, refute it, or leave it in doubt.

        One ladder of steps may straddle kinks beside the point by bad luck, or be too
        short for f's noise. Another is heard if its own error is smaller than the
        disagreement: a look that is refuted by noise alone is in doubt, not refuted.
        So is one beside which the others, or shorter steps, find other slopes: f swings
        between the steps.
        """
        asked = [self._other_steps(look.probe) for look in looks]
        found = iter(self.looker.look([probe for probes in asked for probe in probes]))
        return [
            self._heard(look, [next(found) for _ in probes])
            for look, probes in zip(looks, asked, strict=True)
        ]

    def _other_steps(self, probe):
        """The direction of a probe shorter, and as long as the leaf's size or 1."""
        x = self.xs[probe.leaf]
        largest = float(np.abs(wide(x)[np.isfinite(wide(x))]).max(initial=1.0))
        longer = abs(probe.scale) / largest
        factors = [*SHORTER, longer] if longer * LONGER < 1 else SHORTER
        other = [probe.shorter(factor, x.dtype) for factor in factors]
        return [probe for probe in other if probe.direction.any()]

    def _heard(self, look, others):
        """The look itself or the one of `others` that decides on its disagreement."""
        allowed = {id(k): self.looker.allowed(k) / abs(k.probe.scale) for k in others}
        gap = _gap(look) / abs(look.probe.scale)
        heard = [other for other in others if allowed[id(other)] < gap / 2]
        best = min([look, *heard], key=self.looker.excess)
        slope = look.found.value / look.probe.scale
        far = [
            abs(other.found.value / other.probe.scale - slope) - allowed[id(other)]
            for other in heard
        ]
        swings = any(distance > gap / 2 for distance in far)
        rounded = SAFETY * self.looker.sight.largest_rounding(unknown=np.inf)
        every = [look, *others]
        swings |= any(k.found.unrest > rounded for k in every)  # no noise of f's then
        steps = sum(_supports(k, gap, slope, rounded) for k in every)
        swings |= steps >= SUPPORT
        if self.looker.excess(best) <= 1:
            return best
        return replace(look, doubted=True) if swings or not heard else look

    def _resolved(self, looks):
        """`looks`, in doubt where the gradient between the ends of the steps explains
        them: of a leaf, those that disagree most, until one is not."""
        looks = list(looks)
        excesses = [0.0 if look.doubted else self.looker.excess(look) for look in looks]
        certain: set = set()
        for k in np.argsort(-np.array(excesses), kind="stable") if looks else ():
            leaf = looks[k].probe.leaf
            if excesses[k] <= 1 or leaf in certain or len(certain) == EXPLAINED:
                continue
            if self._explains(looks[k]):
                looks[k] = replace(looks[k], doubted=True)
            else:
                certain.add(leaf)
        return looks

    def _explains(self, look):
        """Whether the gradient between the ends of a step accounts for the difference
        of these ends, and the step is too long to tell the slope in its middle.

        It swings by as much as it disagrees: a sine whose periods are shorter than any
        step that stands out of f's noise is averaged out by all of these. Or its mean
        is the difference, and it goes to its value in the middle without a jump.
        """
        gap = _gap(look)
        if self._is_rounding(look):
            return True
        at, weights = np.polynomial.legendre.leggauss(NODES)
        between = self._between(look, at)
        if not np.isfinite(between).all():
            return False
        near = np.abs(at) < INNER
        smooth = np.polynomial.polynomial.polyfit(at[near], between[near], DEGREE)
        left = between - np.polynomial.polynomial.polyval(at, smooth)
        if np.sqrt(np.sum(left[near] ** 2) / (near.sum() - DEGREE - 1)) > SWING * gap:
            return True
        if abs(weights @ between / 2 - look.found.central) >= gap / 4:
            return False
        return abs(smooth[0] - look.value) < SWING * gap or self._is_narrow(look)

    def _is_rounding(self, look):
        """Whether f's rounding at the ends of the step is as large as what is missing
        between them: it may be much larger there than at the ends of longer steps, as
        of the inverse of what is almost singular at the point."""
        ends = [self._beside(look, sign * look.found.step) for sign in (1, -1)]
        runs = [self.looker.sight.rounded(xs) for xs in ends]
        known = [np.abs(run).max() for run in runs if run is not None]
        return bool(known) and _gap(look) * look.found.step <= max(known)

    def _is_narrow(self, look):
        """Whether the gradient goes from its value in the middle to the other slope
        without a jump, to one side at least: a peak narrower than a step."""
        dtype = self.looker.dtypes[look.probe.leaf]
        count = int(-np.log(epsilon(dtype)) / np.log(PEAK))  # to the last places of x
        distances = PEAK ** -np.arange(count, dtype=float)[::-1]
        for side in (distances, -distances):
            way = np.array([look.value, *self._between(look, side), look.found.value])
            if np.abs(np.diff(way)).max() < _gap(look) / 2:
                return True
        return False

    def _between(self, look, at):
        """The gradient along the look's direction at parts of its step."""
        j, d = look.probe.leaf, look.probe.direction
        points = [self._beside(look, t) for t in at * look.found.step]
        return np.array([inner(self.gradient(xs)[j], d) for xs in points])

    def _beside(self, look, step):
        """The point a step away along the look's direction."""
        xs, j = list(self.xs), look.probe.leaf
        xs[j] = moved(xs[j], look.probe.direction, step)
        return xs


def _gap(look):
    return abs(look.value - look.found.value)


def _supports(look, gap, slope, rounded):
    """How many steps shorter than the one taken say what the gradient says.

    They do so to a quarter of the disagreement: on both sides, or between them where
    they are those of a kink, or one after another on one side, as where f jumps on the
    other; or they lean to the gradient by more than twice their noise, as where each
    shorter step leaves some of many kinks behind; or they change nothing where the
    slope in dispute would, by more than f is rounded: the stairs of a round or a floor
    seen from afar.

    Args:
      gap, slope: the disagreement, and the slope in dispute, per unit of the leaf.
      rounded: the least change of f's value that is not its rounding.
    """
    unit, found, value = look.probe.scale, look.found, look.value
    near, finer = gap / 4 * abs(unit), found.finer
    is_near = np.abs(finer - value) < near
    sided = int(is_near.sum(axis=0).max(initial=0))
    sided = sided if sided >= SUPPORT else 0
    low, high = finer.min(axis=1) - near, finer.max(axis=1) + near
    within = found.bent & (low < value) & (value < high)
    central = finer.mean(axis=1)
    lean = np.abs(central - slope * unit) - np.abs(central - value)
    still = found.still[np.abs(slope * unit) * found.still > rounded]
    resting = len(still) if abs(value) < near else 0
    told = is_near.all(axis=1) | within | (lean > 2 * found.level)
    return max(int(np.sum(told)), sided) + resting
