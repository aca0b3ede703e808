"""Which directions to look along, and how to find the one element that is wrong.

A leaf of at most `count` elements is looked at one element at a time. A larger one is
cut into `count` groups, each with a random direction, so that every element is in
exactly one probe and one wrong element of many shows in its group (group testing;
Dorfman 1943, doi:10.1214/aoms/1177731363). Those of a group change f by about as much:
a small slope would drown beside one that is a million times as large. A group that
disagrees is halved until the element stands alone: 17 halvings for 10^5 elements.
"""

from dataclasses import dataclass

import numpy as np

from .closeness import largest_number, wide
from .differences import sizes_of

LEAP = 10.0  # times as much as the next do elements change f that are looked at apart
OCTAVES = 1000  # of the 1024 that float64 has, for sums over all directions


@dataclass(frozen=True)
class Probe:
    """A direction in one leaf.

    Attributes:
      leaf: number of the leaf.
      members: flat indices of the elements that move.
      direction: float64 or complex128 of the leaf's shape, of values that its dtype
        holds exactly; entries about the size of the elements.
      drawn: whether another one, drawn at random like it, would show as much.
    """

    leaf: int
    members: np.ndarray
    direction: np.ndarray
    drawn: bool = False

    @property
    def scale(self):
        """The largest entry of the direction, with its sign where it is real."""
        largest = self.direction.ravel()[np.argmax(np.abs(self.direction))]
        return abs(largest) if np.iscomplexobj(largest) else float(largest)

    @property
    def index(self):
        """Of the only element that moves; None if there are several."""
        if len(self.members) != 1:
            return None
        place = np.unravel_index(self.members[0], self.direction.shape)
        return tuple(int(i) for i in place)

    def shorter(self, factor, dtype):
        """The same direction with entries smaller by `factor`."""
        return Probe(self.leaf, self.members, _exact(self.direction / factor, dtype))


def bounded(probe, x_bar, dtype):
    """The direction, so much shorter that its product with the gradient is finite.

    Args:
      x_bar: the gradient of the probe's leaf. dtype: that of the leaf.
    """
    sizes = (x_bar.ravel()[probe.members], probe.direction.ravel()[probe.members])
    largest = [np.abs(a[np.isfinite(a)]).max(initial=0.0) for a in map(wide, sizes)]
    octaves = (
        sum(int(np.frexp(size)[1]) for size in largest)
        + len(probe.members).bit_length()
    )
    excess = octaves - OCTAVES
    return probe.shorter(2.0**excess, dtype) if excess > 0 else probe


def cover(leaf, x, x_bar, count, rng, steep=True):
    """Probes that cover a leaf, and one along its gradient.

    Args:
      leaf: its number. x: its value. x_bar: its gradient.
      count: the most directions, beside the gradient's own.
      rng: numpy Generator.
      steep: whether to look along the gradient.
    """
    movable = np.flatnonzero(np.isfinite(wide(x)).ravel())
    with np.errstate(over="ignore", invalid="ignore"):
        rise = np.abs(wide(x_bar) * sizes_of(x, one_by_one=False)).ravel()
    parts = groups(movable, rise[movable], count, rng)
    probes = [along(leaf, x, part, rng) for part in parts]
    best = steepest(leaf, x, x_bar) if steep and movable.size > 1 else None
    return [*probes, best] if best else probes


def groups(members, rise, count, rng):
    """`members` in at most `count` parts: cut where `rise`, by which each changes f,
    leaps the farthest, and else into equal parts of those that change it alike."""
    if len(members) <= count:
        return [np.array([member]) for member in members]
    drawn = rng.permutation(len(members))
    order = drawn[np.argsort(rise[drawn], kind="stable")]
    sorted_rise = np.maximum(rise[order], np.finfo(float).tiny)
    leaps = np.diff(np.log(sorted_rise))
    far = np.argsort(-leaps, kind="stable")[: count // 2]
    far = far[leaps[far] > np.log(LEAP)] + 1
    even = np.linspace(0, len(members), count - len(far) + 1)[1:-1].astype(int)
    return np.split(members[order], np.unique([*far, *even]).astype(int))


def along(leaf, x, members, rng):
    """A random direction over the elements `members` of x, zero elsewhere.

    Magnitudes are drawn from [1/2, 3/2] of the element's size, with random sign (or
    phase), so that two equal errors do not cancel.
    """
    flat = np.zeros(x.size, wide(x).dtype)
    draw = rng.uniform(0.5, 1.5, len(members)) * rng.choice([-1.0, 1.0], len(members))
    if np.iscomplexobj(x):
        draw = draw * np.exp(2j * np.pi * rng.uniform(size=len(members)))
    sizes = sizes_of(x, one_by_one=len(members) == 1)
    flat[members] = draw * sizes.ravel()[members]
    direction = _exact(flat.reshape(x.shape), x.dtype)
    return Probe(leaf, np.asarray(members), direction, drawn=len(members) > 1)


def one_hot(leaf, x, member):
    """The direction of one element by its own size."""
    flat = np.zeros(x.size, wide(x).dtype)
    flat[member] = sizes_of(x, one_by_one=True).ravel()[member]
    return Probe(leaf, np.array([member]), _exact(flat.reshape(x.shape), x.dtype))


def steepest(leaf, x, x_bar, one_by_one=False):
    """The direction in which f changes most, elements measured by their sizes: there
    the signal over the noise is largest. None if the
    gradient is zero or not finite.
    """
    sizes = sizes_of(x, one_by_one)
    with np.errstate(over="ignore", invalid="ignore"):
        rise = np.conj(wide(x_bar)) * sizes
        largest = np.abs(rise).max(initial=0.0)
    if not np.isfinite(largest) or largest == 0:
        return None
    direction = _exact(rise / largest * sizes, x.dtype)
    if not direction.any():
        return None
    return Probe(leaf, np.flatnonzero(direction), direction)


def locate(members, excess, enough=1.0):
    """The smallest group within `members` that still disagrees.

    Args:
      members: flat indices.
      excess: list of index arrays -> list of gaps over what is allowed.
      enough: above it is disagreement.

    Returns:
      Flat indices; one, unless the disagreement sinks into the noise on the way.

    Cost: log2(len(members)) calls of `excess` with both halves.
    """
    while len(members) > 1:
        halves = np.array_split(members, 2)
        found = excess(halves)
        if not max(found) > enough:
            break
        members = halves[int(np.argmax(found))]
    return members


def _exact(direction, dtype):
    """`direction` as `dtype` holds it, in 64-bit; too large entries at its largest."""
    most = largest_number(dtype)
    parts = np.clip(np.real(direction), -most, most)
    if np.iscomplexobj(direction):
        parts = parts + 1j * np.clip(np.imag(direction), -most, most)
    return wide(parts.astype(dtype))
