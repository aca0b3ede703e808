"""Which segments are taped, which states are kept: the least time within some bytes.

A chain of segments i .. j, its start at hand and m bytes free, is gone through
backwards in one of these ways (Beaumont et al. 2024, "rotor"):

    tape i      tape segment i, then i + 1 .. j with what is left, then pull i
    keep k      run i .. k - 1 without a tape, keep the state before k, go through
                k .. j with what is left, then through i .. k - 1 again with m

By dynamic programming over (i, j, m), m in steps of a hundredth or so.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEVELS = 300


class Segment(NamedTuple):
    """What a segment takes.

    Fields:
      state_bytes: of the state at its start.
      tape_bytes: of its tape with the state at its end, that at its start apart.
      pull_bytes: cotangents and what else lives while it is pulled back.
      run_bytes: what lives while it is run, its ends apart.
      seconds: of one run; any unit.
    """

    state_bytes: int
    tape_bytes: int
    pull_bytes: int
    run_bytes: int
    seconds: float


class Schedules:
    """The least extra time of every part of a chain within every number of bytes."""

    def __init__(self, segments: Sequence[Segment], most_bytes: int):
        self.segments = segments
        self.step = max(1.0, most_bytes / LEVELS)
        count = len(segments)
        shape = count, count, LEVELS + 1
        self.least = np.full(shape, np.inf)  # extra seconds
        self.way = np.full(shape, -1, np.int32)  # -1: tape; k: keep the state of k
        self._at = {
            "tape": self._levels([s.tape_bytes for s in segments]),
            "state": self._levels([s.state_bytes for s in segments]),
        }
        self._fits = np.array([s.tape_bytes + s.pull_bytes for s in segments])
        self._runs = np.array([s.run_bytes for s in segments])
        self._seconds = np.cumsum([0.0, *[s.seconds for s in segments]])
        for span in range(count):
            for first in range(count - span):
                self._solve(first, first + span)

    def _levels(self, sizes) -> np.ndarray:
        return np.round(np.array(sizes, float) / self.step).astype(int)

    def _left(self, row: np.ndarray, used: int) -> np.ndarray:
        """Costs by bytes, where `used` levels are taken already."""
        found = np.full(LEVELS + 1, np.inf)
        if used <= LEVELS:
            found[used:] = row[: LEVELS + 1 - used]
        return found

    def _solve(self, i: int, j: int) -> None:
        level = np.arange(LEVELS + 1) * self.step
        pulls = level >= self._fits[i]
        if i == j:
            self.least[i, j] = np.where(pulls, 0.0, np.inf)
            return
        taped = self._left(self.least[i + 1, j], self._at["tape"][i])
        best = np.where(pulls, taped, np.inf)
        way = np.full(LEVELS + 1, -1, np.int32)
        for k in range(i + 1, j + 1):
            again = self._seconds[k] - self._seconds[i]
            kept = self._left(self.least[k, j], self._at["state"][k])
            cost = again + kept + self.least[i, k - 1]
            runs = level >= self._runs[i:k].max() + self.segments[k].state_bytes
            better = (cost < best) & runs
            best, way[better] = np.where(better, cost, best), k
        self.least[i, j], self.way[i, j] = best, way

    def seconds(self) -> np.ndarray:
        """Extra seconds of the whole chain by level."""
        return self.least[0, -1]

    def tree(self, level: int, i: int = 0, j: int | None = None):
        """How the chain i .. j is gone through: nested tuples ("tape", i, rest) and
        ("keep", k, left, right); None: nothing is left."""
        j = len(self.segments) - 1 if j is None else j
        if i > j:
            return None
        k = int(self.way[i, j, level])
        if k < 0:
            rest = None
            if i < j:
                rest = self.tree(level - self._at["tape"][i], i + 1, j)
            return "tape", i, rest
        right = self.tree(level - self._at["state"][k], k, j)
        return "keep", k, self.tree(level, i, k - 1), right


def peak(segments: Sequence[Segment], tree, held: int = 0, i: int = 0) -> int:
    """The most bytes that live at a time, with `held` before segment `i` starts."""
    if tree is None:
        return held
    if tree[0] == "tape":
        it = segments[i]
        rest = peak(segments, tree[2], held + it.tape_bytes, i + 1)
        return max(rest, held + it.tape_bytes + it.pull_bytes)
    _, k, left, right = tree
    run = max(it.run_bytes for it in segments[i:k])
    found = peak(segments, right, held + segments[k].state_bytes, k)
    return max(held + run, found, peak(segments, left, held, i))


def runs(tree) -> list[int]:
    """How often a gradient runs each segment: [number of the segment, ...], sorted."""
    return sorted(_runs(tree, 1))


def _runs(tree, times: int) -> list[int]:
    if tree is None:
        return []
    if tree[0] == "tape":
        return [tree[1]] * times + _runs(tree[2], times)
    return _runs(tree[2], times + 1) + _runs(tree[3], times)
