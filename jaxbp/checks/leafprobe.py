"""One leaf at one point, looked at along chosen directions.

Every witness that works direction by direction (forward modes, differences) is set
beside the judged gradient here.
"""

from dataclasses import replace

import numpy as np

from . import probes
from .closeness import difference_rtol, inner
from .differences import difference, noise_level, step_sizes
from .judge import judge_slope, over, rounding_of_sum
from .rows import KINK

DIFFERENCES = "differences"
FINER = (3, 8, 24)  # how much finer the ladders are that a disagreement must survive


class LeafProbe:
    """The judged gradient of one leaf, ready to be compared along directions.

    Args:
      where: dict of leaf, point and judged, for the rows.
      x: the leaf. x_bar: the judged gradient, of its shape.
      phi: array like x -> float: the function whose gradient x_bar is, or None to do
        without differences.
      forwards: name -> (direction -> slope), the witnesses in forward mode.
      relative: allowed relative disagreement between exact derivatives.
    """

    def __init__(self, where, x, x_bar, phi, forwards, relative):
        self.where, self.x, self.x_bar = where, x, x_bar
        self.phi, self.forwards, self.relative = phi, forwards, relative
        self.sizes = step_sizes(x)
        if phi is not None:
            self.centre = phi(x)
            self.sigma = noise_level(phi, x, self.sizes)

    def rows(self, count, rng, narrow=True):
        """The worst row beside each witness, over `count` groups of elements and the
        gradient's own direction; with `narrow`, at one element where it fails."""
        worst = {}
        for members, direction in self._candidates(count, rng):
            for row in self.compare(members, direction):
                old = worst.get(row.witness, (row, members))[0]
                if (row.failed, row.excess) >= (old.failed, old.excess):
                    worst[row.witness] = row, members
        if not narrow:
            return [row for row, _ in worst.values()]
        return [self._narrow(row, members, rng) for row, members in worst.values()]

    def _candidates(self, count, rng):
        movable = np.flatnonzero(self.sizes)
        for chosen in probes.groups(movable.size, count, rng):
            members = movable[chosen]
            yield members, probes.direction(self.x, self.sizes, members, rng)
        along = probes.steepest(self.x, self.sizes, self.x_bar)
        if along is not None and movable.size > 1:
            yield np.flatnonzero(along), along

    def compare(self, members, direction, only=None):
        """One row for each witness (or `only` one) along `direction`."""
        kink = None
        rows = []
        if self.phi is not None and (only in (None, DIFFERENCES) or self.forwards):
            kink = self.slope(direction)
            if only in (None, DIFFERENCES) and np.isfinite(kink.slope):
                rows.append(self._beside_differences(members, direction, kink))
        for name, push in self.forwards.items():
            if only in (None, name):
                rows.append(self._beside_forward(name, push, members, direction, kink))
        return rows

    def slope(self, direction):
        """The differences along `direction`."""
        return difference(self.phi, self.x, direction, self.sigma, self.centre)

    def allowed(self, found):
        """The gap to the differences `found` that rounding and noise explain."""
        value = inner(self.x_bar, found.direction)
        relative = difference_rtol(self.x.dtype) * (abs(value) + abs(found.slope))
        rounding = rounding_of_sum(self.x_bar, found.direction)
        return relative + 3 * found.noise + rounding

    def _beside_differences(self, members, direction, found):
        """Disagreement must show on every ladder of steps: one alone may straddle
        kinks beside the point, which its error estimate cannot know of."""
        first = direction
        for shrink in FINER:
            if self._excess(found) <= 1:
                break
            finer = self.slope(first / shrink)
            if self._excess(finer) < self._excess(found):
                found, direction = finer, first / shrink
        value = inner(self.x_bar, found.direction)
        inside = found.kink and self._excess(found) <= 1
        return judge_slope(
            self.where | {"witness": DIFFERENCES}, self._index(members),
            self._scale(direction), value, found.slope, self.allowed(found),
            found.noise, inside,
        )  # fmt: skip

    def _gap(self, found):
        return found.gap(inner(self.x_bar, found.direction))

    def _excess(self, found):
        gap, allowed = self._gap(found), self.allowed(found)
        return over(gap, allowed)

    def _beside_forward(self, name, push, members, direction, found):
        value, other = inner(self.x_bar, direction), push(direction)
        allowed = self.relative * (abs(value) + abs(other))
        allowed += rounding_of_sum(self.x_bar, direction)
        inside = False
        if found is not None and found.kink:
            inside = max(map(found.gap, (value, other))) <= self.allowed(found)
        return judge_slope(
            self.where | {"witness": name}, self._index(members),
            self._scale(direction), value, other, allowed, kinked=inside,
        )  # fmt: skip

    def _narrow(self, row, members, rng):
        """The row of the one element that makes a group's row fail.

        Where several elements are at kinks of their own, the sum of their one-sided
        slopes need not enclose the sum of the subgradients chosen. A disagreement that
        is gone in both halves is of that kind, if there is a kink at all.
        """
        if not row.failed or len(members) == 1:
            return row

        def look(part):
            direction = probes.direction(self.x, self.sizes, part, rng)
            return next(iter(self.compare(part, direction, row.witness)), row)

        part = probes.locate(members, lambda part: look(part).excess)
        if len(part) > 1 and self.phi is not None:
            if self.slope(probes.direction(self.x, self.sizes, part, rng)).kink:
                return replace(row, verdict=KINK, excess=0.0)
        found = look(part)
        return found if found.failed else row

    def _index(self, members):
        if len(members) != 1:
            return None
        return tuple(int(i) for i in np.unravel_index(members[0], self.x.shape))

    def _scale(self, direction):
        """The largest entry of `direction`, with its sign where it is real."""
        largest = direction.ravel()[np.argmax(np.abs(direction))]
        return abs(largest) if np.iscomplexobj(largest) else float(largest)
