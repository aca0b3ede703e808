"""Places on a line that keep their distance, as near as can be to wanted ones."""

from collections.abc import Sequence
from itertools import accumulate


def spread(
    wanted: Sequence[float], gaps: Sequence[float], weights: Sequence[float]
) -> list[float]:
    """The nearest places, by weighted least squares, in order and `gaps` apart.

    Args:
      wanted: n places, in the order that they shall have.
      gaps: n - 1 distances at least to be kept between neighbours.
      weights: n positive weights: how much a place counts.

    Places that would collide form a block around their mean; blocks merge until none
    overlaps: isotonic regression of the places less the gaps before them.
    """
    offsets = [0.0, *accumulate(gaps)][: len(wanted)]
    blocks: list[tuple[float, float, int]] = []  # weighted sum, weight, length
    for place, offset, weight in zip(wanted, offsets, weights, strict=True):
        block = (weight * (place - offset), weight, 1)
        while blocks and blocks[-1][0] * block[1] > block[0] * blocks[-1][1]:
            total, mass, length = blocks.pop()
            block = (total + block[0], mass + block[1], length + block[2])
        blocks.append(block)
    level = [total / mass for total, mass, length in blocks for _ in range(length)]
    return [at + offset for at, offset in zip(level, offsets, strict=True)]
