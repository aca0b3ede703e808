"""How a loop of known length is gone through backwards, in so many slots: counts.

    length 10, 3 slots:   starts kept on the way there: 0, 4 (after ahead(10, 3)), 7
                          15 steps forward to have every one of 10 starts, last first

The least number of steps in all is binomial: with s slots and r repetitions, a loop of
C(s + r, s) steps is gone through, by t = r l - C(s + r, s + 1) steps forward. A step is
here a block of steps, whose tape is made as a whole.

Source: Griewank & Walther, "Algorithm 799: revolve", 2000.
"""

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

_MOST_REPEATS = 10  # states are kept until no step runs more often, by the mean


def advances(length: int, slots: int) -> int:
    """t(l, s): steps forward, so that the start of each of `length` is had.

    >>> [advances(*case) for case in [(10, 3), (100, 5), (1000, 30), (10**6, 20)]]
    [15, 316, 2472, 6815960]
    """
    if length <= 1:
        return 0
    repeats = _repeats(length, slots)
    return repeats * length - math.comb(slots + repeats, slots + 1)


def ahead(length: int, slots: int) -> int:
    """How many steps to go before the next start is kept."""
    if slots == 1:
        return length - 1
    repeats = _repeats(length, slots)
    once_less = math.comb(slots + repeats - 1, slots)
    right = math.comb(slots + repeats - 2, slots - 1)
    return max(1, min(once_less, length - right, length - 1))


def first_starts(length: int, slots: int) -> tuple[int, ...]:
    """Which starts are kept on the way there, from 0 on."""
    found, start = [0], 0
    while len(found) < slots and length - start > 1:
        start += ahead(length - start, slots - len(found) + 1)
        found.append(start)
    return tuple(found)


def _repeats(length: int, slots: int) -> int:
    repeats = 0
    while math.comb(slots + repeats, slots) < length:
        repeats += 1
    return repeats


class Layout(NamedTuple):
    """A loop of known length in blocks; its last block's tape is made on the way there.

    Fields:
      steps: of a block, but for the last.
      blocks: how many, the last apart.
      last: steps of the last block.
      slots: for starts of blocks.
    """

    steps: int
    blocks: int
    last: int
    slots: int

    @property
    def length(self) -> int:
        """Of the loop."""
        return self.steps * self.blocks + self.last

    @property
    def runs(self) -> int:
        """How often a gradient runs the step: once to have the loop's values; to find
        starts again; once more for the tape of each block but the last."""
        if not self.blocks:
            return self.length
        again = advances(self.blocks + 1, self.slots) - self.blocks
        return self.length + self.steps * (again + self.blocks)

    def bytes(self, state: int, tape: int) -> int:
        """Kept: starts, and the larger block's tape."""
        return self.slots * state + max(self.steps, self.last) * tape


@functools.cache
def layout(length: int, state: int, tape: int, budget: int) -> Layout:
    """The layout of the fewest runs within a budget; of the least bytes, if none is.

    Args:
      length: of the loop, 1 or more.
      state: bytes of what a step starts from.
      tape: bytes of a step's tape.
      budget: in bytes.
    """
    found = list(_layouts(length, max(state, 1), max(tape, 1), budget))
    fitting = [it for it in found if it.bytes(state, tape) <= budget]
    if fitting:
        return min(fitting, key=lambda it: (it.runs, it.blocks))
    return min(found, key=lambda it: (it.bytes(state, tape), it.runs))


def _layouts(length: int, state: int, tape: int, budget: int) -> Iterator[Layout]:
    for most in _block_sizes(length, budget // tape):
        blocks = -(-length // most) - 1
        if not blocks:
            yield Layout(most, 0, length, 0)
            continue
        steps = -(-(length - most) // blocks)
        last = length - steps * blocks
        room = (budget - max(steps, last) * tape) // state
        slots = min(max(room, _least_slots(blocks)), blocks)
        yield Layout(steps, blocks, last, slots)


def _block_sizes(length: int, most: int) -> list[int]:
    """Steps of a block worth a try: all that are few, and some of the many."""
    most = max(1, min(length, most))
    found, size = {1, most}, 1.0
    while size < most:
        found.add(int(size))
        size = max(size + 1, size * 1.05)
    # Where one block fewer will do, no larger one is worth its tape.
    return sorted(found | {-(-length // count) for count in range(1, 20)} - {0})


@functools.cache
def _least_slots(blocks: int) -> int:
    slots = 1
    while advances(blocks, slots) > _MOST_REPEATS * blocks:
        slots += 1
    return slots
