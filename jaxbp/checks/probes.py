"""Which directions to look along, and how to find the one element that is wrong.

A leaf of at most `count` elements is looked at one element at a time. A larger one is
cut at random into `count` groups, each with a random direction, so that every element
is in exactly one probe and one wrong element of many shows in its group (group
testing; Dorfman 1943, doi:10.1214/aoms/1177731363). A group that disagrees is halved
until the element stands alone: 17 halvings for 10^5 elements.
"""

import numpy as np

from .closeness import wide


def groups(size, count, rng):
    """Index arrays that cut range(size) into at most `count` parts at random."""
    if size <= count:
        return [np.array([i]) for i in range(size)]
    return np.array_split(rng.permutation(size), count)


def direction(x, sizes, members, rng):
    """A random direction over the elements `members` of x, zero elsewhere.

    Magnitudes are drawn from [1/2, 3/2] of the element's size, with random sign (or
    phase), so that two equal errors do not cancel.

    Args:
      x: array. sizes: float64 of its shape. members: flat indices.

    Returns:
      float64 or complex128 of x's shape, of values that x's dtype holds exactly.
    """
    flat = np.zeros(x.size, wide(x).dtype)
    draw = rng.uniform(0.5, 1.5, len(members)) * rng.choice([-1.0, 1.0], len(members))
    if np.iscomplexobj(x):
        draw = draw * np.exp(2j * np.pi * rng.uniform(size=len(members)))
    flat[members] = draw * sizes.ravel()[members]
    return wide(flat.reshape(x.shape).astype(x.dtype))


def steepest(x, sizes, x_bar):
    """The direction of `x_bar` itself, where the signal over the noise is largest.

    Returns:
      As `direction`; None for a gradient that is zero or not finite.
    """
    x_bar = np.conj(wide(x_bar))
    largest = np.abs(x_bar).max(initial=0.0)
    if not np.isfinite(largest) or largest == 0:
        return None
    moved = np.where(sizes > 0, x_bar / largest * sizes[sizes > 0].mean(), 0)
    return wide(moved.astype(x.dtype))


def locate(members, excess):
    """The smallest group within `members` that still disagrees.

    Args:
      members: flat indices. excess: indices -> gap over what is allowed; above 1
        means disagreement.

    Returns:
      Flat indices; one, unless the disagreement sinks into the noise on the way.

    Cost: 2 log2(len(members)) calls of `excess`.
    """
    while len(members) > 1:
        halves = [(excess(half), half) for half in np.array_split(members, 2)]
        worst, half = max(halves, key=lambda pair: pair[0])
        if not worst > 1:
            break
        members = half
    return members
