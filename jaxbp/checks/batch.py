"""Many directions at once: what f's values do along them, what forward modes say.

f runs side by side with itself, a lane for each step or tangent. Every lane has all
leaves as arguments of their own, though all but one repeat the point: so one compiled
program serves every leaf and every search for a wrong element, and stays as quick to
compile as f. (Choosing the moved leaf inside the program costs XLA forty times that.)
"""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import ir
from .closeness import inner, norm, wide
from .eager import NEEDS_VALUES, compiled_quickly
from .perturbed import perturbed

ELEMENTS = 2**24  # of all copies of an array, or of all arguments, held at once
FEW_LANES, FEWEST, MOST = 8, 64, 256


class _Lanes:
    """A function of f's leaves that runs side by side with itself where it can.

    Args:
      subject: Subject.
      refusals: exceptions that are passed on; others mean that it has no batching rule,
        and it then runs one lane after the other.
    """

    def __init__(self, subject, refusals=()):
        self.subject, self.refusals = subject, refusals
        heaviest = max(sum(a.size for a in arrays) for arrays in (subject.x, subject.y))
        heaviest = max(heaviest, subject.largest)
        most = np.clip(2 * len(subject.x), FEWEST, self.many)
        self.most = int(np.clip(ELEMENTS // max(heaviest, 1), 1, most))
        self.least = min(FEW_LANES, self.most)
        self.ways = [self._together, self._one_by_one, self._uncompiled]
        self.kept: tuple = (None, 0, [])
        self._batched = compiled_quickly(jax.vmap(self.lane, self.axes))
        self._single = compiled_quickly(self.lane)

    axes: tuple = ()
    many = MOST  # lanes at most, the more the more leaves a call hands over

    def lane(self, xs, moved, *rest):
        raise NotImplementedError

    def width(self, jobs):
        """How many lanes so many jobs take: few, or all once all were needed: each
        number of lanes is a program to be compiled."""
        if jobs > FEW_LANES:
            self.least = self.most
        return self.least

    def copies(self, xs, lanes):
        """`xs` once for each lane, on the device; kept while they are asked for."""
        if self.kept[0] is not xs or self.kept[1] != lanes:
            copies = [np.broadcast_to(x, (lanes, *x.shape)) for x in xs]
            self.kept = xs, lanes, jax.device_put(copies)
        return self.kept[2]

    def run(self, point, lanes, *rest):
        """(lanes, 2) float64, by the first way that works.

        All lanes go to the device first: which leaf came from the host is part of the
        key by which a compiled program is looked up.
        """
        here = [k for k, lane in enumerate(lanes) if isinstance(lane, np.ndarray)]
        lanes = list(lanes)
        for k, lane in zip(here, jax.device_put([lanes[k] for k in here]), strict=True):
            lanes[k] = lane
        operands = (point, lanes, *rest)
        while True:
            try:
                return np.asarray(self.ways[0](*operands), np.float64)
            except Exception as error:
                needs_values = isinstance(error, NEEDS_VALUES)
                refused = isinstance(error, self.refusals) and not needs_values
                if len(self.ways) == 1 or (refused and len(self.ways) < 3):
                    raise
                self.ways = self.ways[2:] if needs_values else self.ways[1:]

    def _together(self, *operands):
        return self._batched(*operands)

    def _one_by_one(self, *operands):
        return [self._single(*one) for one in self._each(operands)]

    def _uncompiled(self, *operands):
        return [self.lane(*one) for one in self._each(operands)]

    def _each(self, operands):
        """The operands of each lane by itself."""
        count = len(jax.tree.leaves(operands[1])[0])
        for k in range(count):
            yield [
                jax.tree.map(lambda leaf: jnp.asarray(leaf[k]), operand)  # noqa: B023
                if axis == 0
                else operand
                for operand, axis in zip(operands, self.axes, strict=True)
            ]

    def weak(self, xs, like):
        """`xs` with the weak types of the point's Python scalars."""
        pairs = zip(xs, like, strict=True)
        return [ir.as_weak_as(x, ir.typeof(at)) for x, at in pairs]


class Values(_Lanes):
    """The changes of <y_bar, f> along directions."""

    axes = (None, 0, None, None)
    _rounded: Any = None

    def lane(self, xs, there, y_bar, here):
        ys = self.subject.outputs(*self.weak(there, xs))
        return _paired(y_bar, [y - y0 for y, y0 in zip(ys, here, strict=True)])

    def __call__(self, xs, y_bar, probes, steps):
        """What becomes of <y_bar, f> along directions.

        Args:
          xs: list of arrays by leaf. y_bar: list of arrays by output.
          probes: list of (leaf number, direction of that leaf's shape).
          steps: list of (n,) float64, the steps to take along each.

        Returns:
          list of (n,) float64, the changes from f(x). The sum over f's outputs is taken
          of their changes, so that it loses no digits to their size.
        """
        jobs = [(k, i) for k, along in enumerate(steps) for i in range(len(along))]
        lanes = self.width(len(jobs))
        point, still = self.subject.device(xs), self.copies(xs, lanes)
        y_bar = [jnp.asarray(b) for b in y_bar]
        here = [jnp.asarray(y) for y in self.subject.evaluate(xs)]
        centre = self.run(point, still, y_bar, here)[0, 0]
        found = []
        for first in range(0, len(jobs), lanes):
            there, part = list(still), jobs[first : first + lanes]
            for leaf in {probes[k][0] for k, _ in part}:
                there[leaf] = np.repeat(xs[leaf][None], lanes, axis=0)
            lane = 0
            for k, taken in itertools.groupby(part, key=lambda job: job[0]):
                leaf, direction = probes[k]
                h = steps[k][[i for _, i in taken]]
                h = h.reshape(-1, *[1] * direction.ndim)
                there[leaf][lane : lane + len(h)] = moved(xs[leaf], direction, h)
                lane += len(h)
            found.append(self.run(point, there, y_bar, here)[: len(part), 0] - centre)
        ends = np.cumsum([len(along) for along in steps])[:-1]
        return np.split(np.concatenate(found or [np.zeros(0)]), ends) if steps else []

    def rounded(self, xs, y_bar, seeds):
        """(n,) changes of <y_bar, f> when every operation of f rounds at random; None
        where nobody can have it do so."""
        if self._rounded is None:
            self._rounded = perturbed(lambda xs: self.subject.outputs(*xs))
        here, point = self.subject.evaluate(xs), self.subject.device(xs)
        try:
            runs = [self._rounded(np.uint32(seed), point) for seed in seeds]
        except Exception:  # f needs its values; a primitive that takes no part
            return None
        changes = [
            [np.asarray(y) - y0 for y, y0 in zip(ys, here, strict=True)] for ys in runs
        ]
        return np.array([_paired(y_bar, change)[0] for change in changes])


class _Pushed(_Lanes):
    """Slopes of <y_bar, f> along directions, by the forward modes of several systems.

    Args:
      alongs: list of (xs, x_dots) -> list of arrays like f's outputs.
    """

    axes = (None, 0, None)
    many = FEWEST  # each brings the tangent of a whole leaf to the device

    def __init__(self, subject, alongs, refusals=()):
        self.alongs = alongs
        super().__init__(subject, refusals)

    def lane(self, xs, dots, y_bar):
        dots = self.weak(dots, xs)
        found: list[Any] = [_paired(y_bar, along(xs, dots)) for along in self.alongs]
        return jnp.stack(found) if ir.is_tracer(found[0]) else np.array(found)

    def __call__(self, xs, y_bar, probes):
        """(probes, systems, 2) of (slope, 2-norm of its terms)."""
        lanes = self.width(len(probes))
        zeros = [np.zeros_like(x) for x in xs]
        point, still = self.subject.device(xs), self.copies(zeros, lanes)
        y_bar = [jnp.asarray(b) for b in y_bar]
        found = [np.zeros((0, len(self.alongs), 2))]
        for first in range(0, len(probes), lanes):
            dots, part = list(still), probes[first : first + lanes]
            for leaf in {leaf for leaf, _ in part}:
                dots[leaf] = np.zeros((lanes, *xs[leaf].shape), xs[leaf].dtype)
            for lane, (leaf, direction) in enumerate(part):
                dots[leaf][lane] = direction
            found.append(self.run(point, dots, y_bar)[: len(part)])
        return np.concatenate(found)


class Slopes:
    """The slopes of <y_bar, f> along directions, by a forward mode.

    Args:
      along: (xs, x_dots) -> y_dot, lists of arrays; traceable.
      refusals: exceptions by which it says "not me". together: Together, or None.
    """

    def __init__(self, subject, along, refusals=(), together=None):
        self.along = along
        self.alone = _Pushed(subject, [along], refusals)
        self._rounded = perturbed(self.alone.lane)
        self.together, self.number = together, together.add(along) if together else 0

    def __call__(self, xs, y_bar, probes):
        """list of (slope, 2-norm of its terms) for `probes` as in `Values`."""
        found = self.together and self.together(xs, y_bar, probes)
        if found is None:
            return list(self.alone(xs, y_bar, probes)[:, 0])
        return list(found[:, self.number])

    def uncompiled(self, xs, y_bar, probe):
        """The same for one of `probes`, operation by operation."""
        operands = self._operands(xs, y_bar, probe)
        return np.asarray(self.alone.lane(*operands), np.float64)[0]

    def rounded(self, seed, xs, y_bar, probe):
        """The slope along one of `probes` where every operation rounds at random."""
        found = self._rounded(np.uint32(seed), *self._operands(xs, y_bar, probe))
        return float(found[0, 0])

    def _operands(self, xs, y_bar, probe):
        leaf, direction = probe
        dots = [np.zeros_like(x) for x in xs]
        dots[leaf] = direction.astype(xs[leaf].dtype)
        y_bar = [jnp.asarray(b) for b in y_bar]
        point, dots = (self.alone.subject.device(a) for a in (xs, dots))
        return point, dots, y_bar


class Together:
    """The forward modes of all systems as one program, which knows f's values once and
    is compiled in little more than the time of one; None where one of them refuses."""

    def __init__(self, subject):
        self.subject, self.alongs, self.works = subject, [], True
        self.pushed: Any = None
        self.last: tuple = (None, None, None, None)

    def add(self, along):
        self.alongs.append(along)
        return len(self.alongs) - 1

    def __call__(self, xs, y_bar, probes):
        """(probes, systems, 2), computed for the first who asks and kept for the
        others; None if it is not to be had."""
        asked = (xs, y_bar, probes)
        if self.works and not all(
            a is b for a, b in zip(asked, self.last, strict=False)
        ):
            if self.pushed is None:
                self.pushed = _Pushed(self.subject, self.alongs)
                self.pushed.ways = self.pushed.ways[:1]
            try:
                self.last = (*asked, self.pushed(*asked))
            except Exception:  # each is then asked alone, and says why it refuses
                self.works = False
        return self.last[3] if self.works else None


def moved(x, direction, step):
    """x + step direction, rounded once to x's dtype."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(wide(x) + step * wide(direction)).astype(x.dtype)


def _paired(y_bar, ys):
    """(2,): <y_bar, y> and the 2-norm of its terms, in the widest dtype there is."""
    if not any(ir.is_tracer(y) for y in ys):
        pairs = list(zip(y_bar, map(np.asarray, ys), strict=True))
        terms = [np.ravel(wide(b) * wide(y)) for b, y in pairs]
        return sum(inner(b, y) for b, y in pairs), norm(np.concatenate(terms))
    pairs = zip(y_bar, ys, strict=True)
    terms = [jnp.real(_widened(b) * _widened(y)).ravel() for b, y in pairs]
    terms = jnp.concatenate(terms)
    largest = jnp.max(jnp.abs(terms), initial=0.0)  # squares would overflow
    shares = terms / jnp.where(largest > 0, largest, 1)
    return jnp.stack([terms.sum(), largest * jnp.sqrt((shares**2).sum())])


def _widened(x):
    kind = complex if jnp.issubdtype(x.dtype, jnp.complexfloating) else float
    return x.astype(jnp.zeros((), kind).dtype)  # 64-bit where that is on
