"""Which segments are taped, which states are kept: the least time within some bytes.

A chain of segments i .. j, its start at hand and m bytes free, is gone through
backwards in one of these ways (Beaumont et al. 2024, "rotor"):

    tape i      tape segment i, then i + 1 .. j with what is left, then pull i
    keep k      run i .. k - 1 without a tape, keep the state before k, go through
                k .. j with what is left, then through i .. k - 1 again with m

A segment that is a loop can be taped in several ways: as a whole, or within fewer bytes
and in more time. By dynamic programming over (i, j, m), m in steps of a hundredth or
so.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

LEVELS = 250


class Way(NamedTuple):
    """How a segment is taped.

    Fields:
      tape_bytes: of its tape with the state at its end, that at its start apart.
      pull_bytes: cotangents and what else lives while it is pulled back.
      extra: seconds of what it runs again; any unit, that of the segment.
      loop_bytes: what a loop in it may keep; None: a whole tape.
    """

    tape_bytes: int
    pull_bytes: int
    extra: float = 0.0
    loop_bytes: int | None = None


class Segment(NamedTuple):
    """What a segment takes.

    Fields:
      state_bytes: of the state at its start.
      run_bytes: what lives while it is run, its ends apart.
      seconds: of one run; any unit.
      ways: how it can be taped; the first is the fastest.
    """

    state_bytes: int
    run_bytes: int
    seconds: float
    ways: tuple[Way, ...]

    @property
    def least_bytes(self) -> int:
        """Of the tape that takes the fewest."""
        return min(way.tape_bytes + way.pull_bytes for way in self.ways)


class Schedules:
    """The least extra time of every part of a chain within every number of bytes."""

    def __init__(self, segments: Sequence[Segment], most_bytes: int):
        self.segments = segments
        self.step = max(1.0, most_bytes / LEVELS)
        self.level = np.arange(LEVELS + 1) * self.step
        count = len(segments)
        shape = count, count, LEVELS + 1
        self.least = np.full(shape, np.inf)  # extra seconds
        self.way = np.full(shape, -1, np.int32)  # -1 - w: tape by way w; k: keep k
        self._kept = np.full(shape, np.inf)  # `least`, where the first state is kept
        self._seconds = np.cumsum([0.0, *[s.seconds for s in segments]])
        self._runs = np.array([s.run_bytes for s in segments], float)
        self._state = np.array([s.state_bytes for s in segments], float)
        for span in range(count):
            for first in range(count - span):
                self._solve(first, first + span)

    def _levels(self, size: int) -> int:
        return round(size / self.step)

    def _left(self, row: np.ndarray, size: int) -> np.ndarray:
        """Costs by bytes, where `size` bytes are taken already."""
        used, found = self._levels(size), np.full(LEVELS + 1, np.inf)
        if used <= LEVELS:
            found[used:] = row[: LEVELS + 1 - used]
        return found

    def _solve(self, i: int, j: int) -> None:
        best, way = np.full(LEVELS + 1, np.inf), np.full(LEVELS + 1, -1, np.int32)
        nothing = np.zeros(LEVELS + 1)
        for number, it in enumerate(self.segments[i].ways):
            rest = (
                nothing if i == j else self._left(self.least[i + 1, j], it.tape_bytes)
            )
            fits = self.level >= it.tape_bytes + it.pull_bytes
            better = fits & (rest + it.extra < best)
            best, way[better] = np.where(better, rest + it.extra, best), -1 - number
        if i < j:
            k = np.arange(i + 1, j + 1)
            again = self._seconds[k] - self._seconds[i]
            costs = again[:, None] + self._kept[i + 1 : j + 1, j] + self.least[i, i:j]
            runs = np.maximum.accumulate(self._runs[i:j]) + self._state[k]
            costs[self.level < runs[:, None]] = np.inf
            at = np.argmin(costs, 0)
            cost = costs[at, np.arange(LEVELS + 1)]
            better = cost < best
            best, way[better] = np.where(better, cost, best), k[at[better]]
        self.least[i, j], self.way[i, j] = best, way
        self._kept[i, j] = self._left(best, self.segments[i].state_bytes)

    def seconds(self) -> np.ndarray:
        """Extra seconds of the whole chain by level."""
        return self.least[0, -1]

    def tree(self, level: int, i: int = 0, j: int | None = None):
        """How the chain i .. j is gone through: nested tuples ("tape", i, rest, way)
        and ("keep", k, left, right); None: nothing is left."""
        j = len(self.segments) - 1 if j is None else j
        if i > j:
            return None
        k = int(self.way[i, j, level])
        if k < 0:
            way = self.segments[i].ways[-1 - k]
            used = self._levels(way.tape_bytes)
            rest = self.tree(level - used, i + 1, j) if i < j else None
            return "tape", i, rest, way
        right = self.tree(level - self._levels(self.segments[k].state_bytes), k, j)
        return "keep", k, self.tree(level, i, k - 1), right


def peak(segments: Sequence[Segment], tree, held: int = 0, i: int = 0) -> int:
    """The most bytes that live at a time, with `held` before segment `i` starts."""
    if tree is None:
        return held
    if tree[0] == "tape":
        it = tree[3]
        rest = peak(segments, tree[2], held + it.tape_bytes, i + 1)
        return max(rest, held + it.tape_bytes + it.pull_bytes)
    _, k, left, right = tree
    run = max(it.run_bytes for it in segments[i:k])
    found = peak(segments, right, held + segments[k].state_bytes, k)
    return max(held + run, found, peak(segments, left, held, i))


def taped(tree, times: int = 1) -> Iterator[tuple[int, Way, int]]:
    """(segment, way, how often a gradient runs it), one by one."""
    if tree is None:
        return
    if tree[0] == "tape":
        yield tree[1], tree[3], times
        yield from taped(tree[2], times)
    else:
        yield from taped(tree[2], times + 1)
        yield from taped(tree[3], times)


def outline(tree) -> tuple | None:
    """What a schedule does: equal for those that differ by predicted bytes alone."""
    if tree is None:
        return None
    if tree[0] == "tape":
        return tree[1], tree[3].loop_bytes, outline(tree[2])
    return "keep", tree[1], outline(tree[2]), outline(tree[3])


def runs(tree) -> list[int]:
    """How often a gradient runs each segment: [number of the segment, ...], sorted."""
    return sorted([number for number, _, times in taped(tree) for _ in range(times)])
