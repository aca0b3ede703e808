"""f's values at one point: the slopes that they show, and how noisy they are."""

import functools

import numpy as np

from . import rounding
from .batch import moved
from .closeness import epsilon, underflow, wide
from .differences import (
    UNKNOWN,
    ladder,
    moves_at_last,
    noise_level,
    sizes_of,
    slope,
    spread_of_longest,
)

ROUNDED = 4.0  # rounding at random by whole units, at its largest, over its usual size
BESIDE = 2.0**-10, 2.0**-2  # of the size of x: where f rounds anew; 1 - x^2 by the last
ASTRAY = 0.25  # of a step: so far rounding may put its end from where it was to be


class Sight:
    """What f's values say at a point.

    Args:
      values: Values of f; None where nobody is to look at them.
      xs, y_bar: the point and the cotangent, in the types in which f is computed.
      x_bar: the gradient that is judged, list of arrays.
      value_size: 2-norm of the terms of <y_bar, f>.
      dtypes: the coarsest in which f is computed between each leaf and the output.
    """

    def __init__(self, values, xs, y_bar, x_bar, value_size, dtypes):
        self.values, self.xs, self.y_bar = values, xs, y_bar
        self.known = [np.where(np.isfinite(b), b, 0) for b in map(wide, x_bar)]
        self.value_size, self.dtypes = value_size, dtypes
        self.noise = {}
        self.read = {}  # noise of leaves as the ladders showed it, before it was raised

    def slopes(self, probes):
        """Slopes from values, without what rounding x + h d did to the direction."""
        if self.values is None:
            return [UNKNOWN] * len(probes)
        ladders = [ladder(self.xs[probe.leaf].dtype) for probe in probes]
        both = [np.concatenate([h, -h]) for h in ladders]
        asked = [(probe.leaf, probe.direction) for probe in probes]
        found = self.values(self.xs, self.y_bar, asked, both)
        astray = [self._strayed(*pair) for pair in zip(probes, both, strict=True)]
        sides = [np.split(_kept(*pair), 2) for pair in zip(found, astray, strict=True)]
        self._learn_noise(probes, ladders, sides)
        leaves = [probe.leaf for probe in probes]
        most = map(_largest, astray)
        return [
            slope(h, up, down, self._floor(j, h, up, down), self.rounding(j), off)
            for j, h, (up, down), off in zip(leaves, ladders, sides, most, strict=True)
        ]

    def _learn_noise(self, probes, ladders, sides):
        """The least noise of f's values by leaf: what its dtype rounds, and the median
        of all first probes, since one alone may show too little by luck.

        A value that no short step changes may be a staircase, or have its kinks far
        away, as a median has by all its elements but one: such probes are heard only
        where no other is.
        """
        by_leaf = {}
        for probe, h, changes in zip(probes, ladders, sides, strict=True):
            told = moves_at_last(*changes), noise_level(h, *changes)
            by_leaf.setdefault(probe.leaf, []).append(told)
        for leaf, told in by_leaf.items():
            levels = [level for fine, level in told if fine] or [x for _, x in told]
            least = max(self.rounding(leaf), float(np.median(levels)))
            self.noise.setdefault(leaf, least)

    def hear_rounding(self):
        """Raise the noise to what f's own rounding makes of its value, where that is
        known; gives whether any of it was too low."""
        least = self.largest_rounding() / ROUNDED
        low = {leaf: noise for leaf, noise in self.noise.items() if noise < least}
        self.noise |= dict.fromkeys(low, least)
        self.read |= low
        return bool(low)

    def hear_own_rounding(self, leaf):
        """Lower the noise of a leaf to what the operations that depend on it do; gives
        whether it was too high.

        What is computed from other leaves alone rounds alike at x and beside it, and
        does not reach a difference, however coarse it is.
        """
        x, here, own = self.xs[leaf], self.rounded_here, None
        for distance in BESIDE if here is not None else ():
            there = list(self.xs)
            there[leaf] = moved(x, sizes_of(x, one_by_one=True), distance)
            beside = self.rounded(there)
            if beside is not None:
                own = max(own or 0.0, float(np.abs(beside - here).max()) / ROUNDED)
        if own is None:
            return False
        own = max(own, self.read.get(leaf, 0.0))
        is_high = own < self.noise[leaf]
        self.noise[leaf] = min(own, self.noise[leaf])
        return is_high

    def _floor(self, leaf, steps, ahead, behind):
        """The least noise of a value along a ladder: that of its leaf. Where that was
        raised to what rounding at random does, no more than the longest steps show: by
        it they could not agree so well, since f rounds anew at each of their ends."""
        noise = self.noise[leaf]
        if leaf not in self.read:
            return noise
        seen = spread_of_longest(steps, ahead, behind, self.read[leaf])
        return min(noise, max(seen, self.read[leaf]))

    def largest_rounding(self, unknown=0.0):
        """The most that rounding was seen to change f's value when every operation
        rounds at random; `unknown` where it cannot be run so."""
        runs = self.rounded_here
        return unknown if runs is None else float(np.abs(runs).max())

    @functools.cached_property
    def rounded_here(self):
        """What `rounded` says at the point; None without values."""
        return self.rounded(self.xs) if self.values is not None else None

    def rounded(self, xs):
        """Changes of f's value as every operation rounds at random; None if unknown."""
        runs = self.values.rounded(xs, self.y_bar, range(rounding.SHAKES))
        return runs if runs is not None and np.isfinite(runs).all() else None

    def rounding(self, leaf):
        """What the coarsest dtype between the leaf and the output rounds of a value."""
        dtype = self.dtypes[leaf]
        return max(epsilon(dtype) * self.value_size / 8, underflow(dtype))

    def _strayed(self, probe, steps):
        """<x_bar, where rounding put x + h d - (x + h d)>, for each step; NaN where it
        is put too far off for a gradient that may be wrong to tell what that did."""
        arrays = self.xs[probe.leaf], probe.direction, self.known[probe.leaf]
        x, d, x_bar = (a.ravel()[probe.members] for a in arrays)
        with np.errstate(over="ignore", invalid="ignore"):
            h = steps[:, None]
            astray = wide(moved(x, d, h)) - wide(x) - h * d
            off = np.real(np.sum(x_bar * astray, axis=1))
            far = np.abs(astray).sum(axis=1) > ASTRAY * np.abs(h * d).sum(axis=1)
        return np.where(far, np.nan, off)


def _largest(values):
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def _kept(changes, astray):
    """Changes less what came of the rounding of x + h d; NaN where one is no number."""
    finite = np.isfinite(changes) & np.isfinite(astray)
    return np.where(finite, changes, 0) - np.where(finite, astray, np.nan)
