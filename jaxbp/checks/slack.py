"""What rounding may do to the gradients at one point: shaken, and then measured.

Shaking the arguments is cheap, but shows too little of 1 - p with p almost 1, and too
much where the arguments have an offset, which would let a wrong gradient pass. Rounding
every operation shows what there is; it compiles anew, and so is asked in doubt only.
"""

import functools

import numpy as np

from . import rounding
from .closeness import wide
from .rows import YOURS


class Slack:
    """Of each gradient at a point, by leaf.

    Args:
      check: the comparison under way.
      xs: list of arrays by leaf. y_bar: list of arrays by output.
      bars: name -> list of arrays by leaf: the gradients by the reverse modes; the
        first is the one judged.

    `allowed` is a rounding.Allowance.
    """

    def __init__(self, check, xs, y_bar, bars):
        self.check, self.xs, self.y_bar, self.bars = check, xs, y_bar, bars
        self.judged, self.dtypes = next(iter(bars)), check.dtypes
        self._before = self._rounded_before()
        self._measured: dict = {}
        self.allowed = self._shaken().beside(self._before)

    @property
    def of(self):
        """What is allowed to each element: a float64 array like each leaf."""
        return self.allowed.of

    @functools.cached_property
    def louder(self):
        """`allowed`, and no less than what rounding does to the judged gradient, and to
        one of the engines' where that is a user's: the two are compared."""
        allowed = self.allowed
        for name, bars in self.bars.items():
            runs = self.check.rounded(name, self.xs, self.y_bar)
            if runs:
                found = rounding.slack([bars], [[bars, *runs]], self.dtypes)
                allowed = allowed.or_more(found.beside(self._before))
                if name != YOURS:
                    break
        return allowed

    def measured(self, other, j):
        """What rounding every operation does to the judged gradient and to another in
        leaf `j`: by leaf and by element; and whether it was seen in both: a gradient of
        numpy's cannot be run so."""
        if other not in self._measured:
            self._measured[other] = self._measure((self.judged, other))
        slacks, own, is_certain = self._measured[other]
        return slacks[j], own[j], is_certain

    def _measure(self, names):
        runs = [self.check.rounded(name, self.xs, self.y_bar) for name in names]
        known = [n for n, run in zip(names, runs, strict=True) if run]
        bars = [self.bars[n] for n in known]
        runs = [[bar, *run] for bar, run in zip(bars, filter(None, runs), strict=True)]
        if not known:
            return self.of, self.of, False
        slacks = (
            rounding.slack(bars, runs, self.dtypes, alone) for alone in (False, True)
        )
        seen = [slack.beside(self._before).of for slack in slacks]
        return *seen, len(known) == len(names)

    def _shaken(self):
        """What a few units of the arguments' last places do."""
        points = [
            [rounding.shaken(x, self.check.rng) for x in self.xs]
            for _ in range(rounding.SHAKES)
        ]
        shaken = [
            [self.check.again(name, xs, self.y_bar) for xs in points]
            for name in self.bars
        ]
        return rounding.slack(list(self.bars.values()), shaken, self.dtypes)

    def _rounded_before(self):
        """What rounding did to the judged gradient where it was computed before, by
        element; 0 of what is not known to be so."""
        runs = self.check.rounded_before(self.judged, self.xs, self.y_bar) or []
        bars = list(map(wide, self.bars[self.judged]))
        moved = [np.zeros(bar.shape) for bar in bars]
        for run in runs:
            with np.errstate(invalid="ignore", over="ignore"):
                gaps = [np.abs(wide(a) - b) for a, b in zip(run, bars, strict=True)]
            pairs = zip(moved, gaps, strict=True)
            moved = [np.fmax(*pair) for pair in pairs]
        return [rounding.SAFETY * gap for gap in moved]
