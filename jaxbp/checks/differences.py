"""The slope of a function along a line from its values alone, with an error bar.

Central differences on a ladder of steps that spans all the decades a dtype has, each
extrapolated from its coarser neighbour (Ridders 1982,
doi:10.1016/S0141-1195(82)80057-0). Nobody knows beforehand which rung is right: an
argument of 59,000 may count periods, so that all long steps jump over many of them and
agree by chance. Short steps are never wrong, only noisy. The rung taken is therefore
the one of least error, where a rung's error holds how far it lies from every finer rung
beyond that one's noise (the balancing of Lepski 1991, doi:10.1137/1135065), and the
part of its one-sided slopes' gap that does not shrink with the step: what straddles a
kink is known by it, near the point or at it.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from .closeness import epsilon, wide

LONGEST = 0.25  # of the size of x
RUNGS = 12  # at most; neighbours are a factor of 2, 4 or 16 apart
LONGEST_RUNGS = 4  # of which all must agree for f to have little noise
NOISE_RUNGS = 4  # the finest pairs of rungs from which the noise is read
CONVERGES = 1.5  # times the ratio of the steps: noise times step does not shrink so
LEAST_CONVERGES = 6.0
FLAT = 64  # times the rounding of one value: a smaller change is none
ROUGH = 0.1  # of the largest change of a value
UNREST = 0.02  # of it: so much noise may be swing
HINGE = 4  # of the shortest steps that do not change a value
DECADES = 1000.0  # that a ladder must span to tell a jump from rounding
SAFETY = 8.0  # noise bars are so many times the noise read off a handful of values
OFFSET = 0.75  # the power of the step's reciprocal by which no kink's slopes grow
ASTRIDE = 0.25  # of the gap of one-sided slopes: a smaller move is none of theirs
KINK = 0.25  # of the error bar: a larger share from one-sided slopes is a kink,
LEAST_KINK = 1e-6  # if not tiny beside the largest gap of one-sided slopes seen


@dataclass(frozen=True)
class Slope:
    """The slope of a function along a direction, as its values tell it.

    Attributes:
      value: float; NaN where no step had finite values on both sides.
      noise: float: bound on the error of `value`, truncation and rounding together;
        at a kink it reaches to both one-sided slopes.
      left, right: the one-sided slopes at the rung taken.
      kink: whether these two stay apart as the step shrinks to the finest visible one.
      jump: height of a discontinuity at the point; 0 if there is none.
      flat: whether no step, however long, changed the value beyond its rounding, or
        none up to about the root of epsilon changed it at all.
      rough: whether the shortest steps to both sides change the value about as much as
        any: it swings between neighbouring numbers, and no step sees its slope.
      steepest: the largest slope from the point to the end of a long step: a derivative
        is rounded by as much as it is large nearby, as 1 - tanh^2 of a saturated unit.
      step: that of the rung taken.
      central: the central difference at that step, as the mean of the slopes between.
      unrest: the noise of the value, as the ladder shows it, if that is a good part of
        the largest change: it may be f's own swing; else 0.
      finer: (n, 2) one-sided slopes of the steps shorter than the one taken, by which
        the value changes well beyond its rounding to both sides.
      bent: (n,) at which of these the one-sided slopes stand apart beyond their noise,
        and about as much as at the longer step before, as beside a kink.
      level: (n,) the noise of these slopes as it was read, without a factor of safety.
      still: the steps that change the value to neither side, nor does any shorter one,
        if these may be as long as the root of epsilon, and longer ones change it beyond
        its rounding: the stairs of a round, perhaps.
    """

    value: float
    noise: float
    left: float
    right: float
    kink: bool = False
    jump: float = 0.0
    flat: bool = False
    rough: bool = False
    steepest: float = 0.0
    step: float = 0.0
    central: float = np.nan
    unrest: float = 0.0
    finer: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    bent: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    level: np.ndarray = field(default_factory=lambda: np.zeros(0))
    still: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def reach(self):
        """How far the one-sided slopes of a kink lie from the middle; 0 without one."""
        return abs(self.right - self.left) / 2 if self.kink else 0.0

    def scaled(self, factor):
        """The slope per unit of something `factor` times shorter."""
        left, right = sorted((self.left / factor, self.right / factor))
        noise = self.noise / abs(factor)
        steepest = self.steepest / abs(factor)
        return replace(
            self, value=self.value / factor, noise=noise, left=left, right=right,
            steepest=steepest,
        )  # fmt: skip


UNKNOWN = Slope(np.nan, np.inf, np.nan, np.nan)


def ladder(dtype):
    """Steps relative to x, descending powers of two, as far as `dtype` has them."""
    bits = round(-np.log2(epsilon(dtype)))
    span = max(bits - 3 - 2, 2)  # from 1/4 down to 8 eps
    stride = max(1, -(-span // (RUNGS - 1)))
    stride = 2 if stride == 3 else stride
    return 2.0 ** -np.arange(2, 2 + span + 1, stride)


def sizes_of(x, one_by_one):
    """What steps are relative to: the size of each element, or of the whole leaf.

    Args:
      x: array.
      one_by_one: whether elements move alone, each by its own size where that is not
        zero: a leaf may mix epochs with periods. Elements that move together share
        their root mean square at least, so that no small one drowns; but none moves by
        more than 1 / sqrt(eps) times its size, for which no step would be short.

    Returns:
      float64 of x's shape; 0 for infinite and NaN elements (a mask of -inf), which are
      not moved; 1 where the leaf is zero (a fresh bias).
    """
    size = np.abs(wide(x))
    finite = np.isfinite(size)
    largest = size[finite].max(initial=0.0)
    spread = largest * float(np.sqrt(np.mean((size[finite] / (largest or 1)) ** 2))) \
        if finite.any() else 0.0  # fmt: skip
    spread = spread or 1.0
    far = min(epsilon(x.dtype), epsilon(np.float32)) ** -0.5
    least = 0.0 if one_by_one else np.minimum(spread, far * size)
    size = np.where(size == 0, spread, np.maximum(size, least))
    return np.where(finite, size, 0.0)


def slope(steps, ahead, behind, floor, rounding=None, strayed=0.0):
    """The slope from changes of the value along a ladder.

    Args:
      steps: (n,) descending.
      ahead, behind: (n,) f(x + h d) - f(x) and f(x - h d) - f(x); NaN where f is not
        finite.
      floor: least noise of one value.
      rounding: what the dtype rounds of one, such as eps |f(x)| / 8; default `floor`.
      strayed: the most that was taken off a change since x + h d was rounded; so much
        is no jump of f.

    Returns:
      Slope.
    """
    kept = np.isfinite(ahead) & np.isfinite(behind)
    if not kept.any():
        return UNKNOWN
    h, ahead, behind = steps[kept], ahead[kept], behind[kept]
    central, apart = (ahead - behind) / (2 * h), (ahead + behind) / h
    rounding = floor if rounding is None else rounding
    least_jump = max(rounding / np.sqrt(h[-1]), FLAT * strayed)
    at_point = _noise_at_point(h, ahead, behind, least_jump)
    level = max(noise_level(h, ahead, behind), at_point, floor)
    noise = SAFETY * level / h
    best, error, lasting, stays, rung = _least_error(h, central, apart, noise)
    loud = np.minimum(np.abs(ahead), np.abs(behind)) > FLAT * rounding
    loud[: rung + 1] = False
    jump = _jump(h, ahead, behind, least_jump)
    half = abs(lasting) / 2
    is_rough = not jump and _is_rough(ahead, behind, FLAT * rounding)
    return Slope(
        float(best), float(error), float(best - half), float(best + half),
        kink=bool(stays and half > max(KINK * error, LEAST_KINK * np.abs(apart).max())),
        jump=jump, flat=_is_flat(h, ahead, behind, FLAT * rounding),
        rough=is_rough,
        steepest=_steepest(h, ahead, behind),
        step=float(h[rung]), central=float(central[rung]),
        unrest=level * bool(level > UNREST * max(np.abs([ahead, behind]).max(), floor)),
        finer=np.stack([ahead / h, -behind / h], 1)[loud],
        bent=_bent(h, central, apart, noise)[loud],
        level=noise[loud] / SAFETY, still=_stairs(h, ahead, behind, FLAT * rounding),
    )  # fmt: skip


def _least_error(h, central, apart, noise):
    """Slope, error bar and one-sided gap of the best rung; whether the gap stays; the
    rung."""
    ratio = h[:-1] / h[1:]
    extrapolated, lasting = central.copy(), apart.copy()
    extrapolated[1:] += np.diff(central) / (ratio**2 - 1)
    lasting[1:] += np.diff(apart) / (ratio - 1)
    lasting = np.where(np.abs(lasting) > 2 * noise, lasting, 0.0)
    apart_by = np.abs(extrapolated[:, None] - extrapolated[None])
    beyond = np.triu(apart_by - noise[:, None] - noise[None], 1).clip(min=0).max(axis=1)
    truncation = np.abs(extrapolated - central)
    truncation[0] = np.abs(apart[0])  # nothing coarser to extrapolate from: of an odd
    truncation[:1] += np.abs(np.diff(central[:2])).sum()  # function the finer one tells
    truncation[:-1] = np.minimum(truncation[:-1], noise[1:])
    # Finer rungs may show a kink, beyond which all longer steps reach.
    gaps = np.maximum.accumulate(np.abs(lasting)[::-1])[::-1]
    error = noise + beyond + truncation + gaps / 2
    best = int(np.argmin(error))
    stays = _stays(lasting, best)
    return extrapolated[best], error[best], lasting[best], stays, best


def _bent(h, central, apart, noise):
    """Where one-sided slopes stand apart by more than noise and curvature do it, or
    the error of the value at the point itself: that grows as the step shrinks, and
    reaches the slopes between them not at all."""
    bent = np.abs(apart) > 2 * noise
    bent[:1] = False
    growth = np.abs(apart[1:]) / np.maximum(np.abs(apart[:-1]), np.finfo(float).tiny)
    ratio = h[:-1] / h[1:]
    moved = np.abs(np.diff(central)) > ASTRIDE * np.abs(apart[1:])
    bent[1:] &= (growth > 2 / ratio) & (moved | (growth < ratio**OFFSET))
    return bent


def _stays(lasting, best):
    """Whether the rungs beside the best one show the same one-sided gap, as a kink's
    do; noise and curvature give another one at each."""
    beside = [lasting[k] for k in (best - 1, best + 1) if 0 <= k < len(lasting)]
    return any(abs(gap - lasting[best]) < 0.25 * abs(lasting[best]) for gap in beside)


def noise_level(steps, ahead, behind):
    """The noise of a value, from how far the slopes of the finest rungs lie apart.

    Rungs too fine to change any value say nothing: the noise may be a staircase longer
    than they are, as in (x + 1e9) - 1e9. Where these slopes approach one another as
    only truncation does, the finest of them tell: f then swings so fast that the
    longer steps of the four take its swings for noise. And where no step to one side
    changes it, the short ones to the other stay below a hinge, which is no staircase.
    """
    kept = np.isfinite(ahead) & np.isfinite(behind)
    h, ahead, behind = steps[kept], ahead[kept], behind[kept]
    changed = (ahead != 0) | (behind != 0)
    if not ahead.any() or not behind.any():
        changed[-HINGE:] |= not changed[-HINGE:].any()
    told = np.flatnonzero(changed[1:])[-NOISE_RUNGS:]
    pairs = (np.abs(np.diff((ahead - behind) / (2 * h))) * h[1:])[told]
    if not pairs.size:
        return 0.0
    ratio = h[told] / h[told + 1]
    least = np.maximum(CONVERGES * ratio, LEAST_CONVERGES)[1:]
    shrank = pairs[:-1] > least * pairs[1:]
    if len(pairs) > 2 and shrank[-2:].all() and pairs[-1]:
        return float(pairs[-1])
    even = np.abs(ahead + behind)[told[-1] + 1]
    first = _first_noisy(pairs, even, least)
    if first:
        return float(max(pairs[first:].max(), even if pairs[first:].size == 1 else 0.0))
    return float(np.sort(pairs)[-2:][0])  # the second largest: one may hold a kink


def _noise_at_point(h, ahead, behind, most):
    """The error of the value at the point: what the shortest step changes to both sides
    alike, if that does not shrink with the step, as at a kink; more is a jump."""
    even = np.abs(ahead + behind)[-2:] / 2
    if len(even) < 2 or even[1] > most:
        return 0.0
    return float(even[1] * bool(even[1] > even[0] * (h[-1] / h[-2]) ** (1 - OFFSET)))


def _first_noisy(pairs, even, least):
    """The first pair of rungs that shows noise and no longer truncation.

    Noise does not shrink with the step, truncation does by its third power. One small
    pair alone may be luck: it counts if the finest step changes the value to both sides
    by as little more (`even`).
    """
    for k in range(len(pairs) - 1, 0, -1):
        finer = max(pairs[k:].max(), even if k == len(pairs) - 1 else 0.0)
        if finer and pairs[k - 1] > LEAST_CONVERGES * least[k - 1] * finer:
            return k
    return 0


def spread_of_longest(steps, ahead, behind, rounding):
    """What noise of a value, and truncation, do to the slopes of the longest steps: how
    far these lie apart, times the shorter step. Infinite where too few are finite, or
    one changes the value by no more than `rounding`: all of them may be lost."""
    h, central = steps[:LONGEST_RUNGS], ((ahead - behind) / (2 * steps))[:LONGEST_RUNGS]
    apart = np.abs(np.diff(central)) * h[1:]
    enough = len(apart) == LONGEST_RUNGS - 1 and np.isfinite(apart).all()
    moved = (np.abs([ahead, behind])[:, :LONGEST_RUNGS] > rounding).all()
    return float(apart.max()) if enough and moved else np.inf


def moves_at_last(ahead, behind):
    """Whether the shortest step of a ladder still changes the value."""
    return bool(ahead.size and (ahead[-1] != 0 or behind[-1] != 0))


def _still(h, ahead, behind):
    """The steps from the longest on below which none changes the value."""
    moved = np.flatnonzero((ahead != 0) | (behind != 0))
    return h[moved[-1] + 1 :] if moved.size else h


def _stairs(h, ahead, behind, rounding):
    """The still steps, if the shortest that is not is longer than the root of
    epsilon, and a longer one changes the value beyond its rounding, which is a stair
    by itself."""
    if max(np.abs(ahead).max(), np.abs(behind).max()) <= rounding:
        return h[:0]
    still = _still(h, ahead, behind)
    first = max(len(h) - len(still) - 1, 0)
    return still if h[first] >= np.sqrt(h[-1] / 8) else h[:0]


def _is_flat(h, ahead, behind, rounding):
    """Whether no step changed the value beyond its rounding, or none at all up to about
    the root of epsilon: as a count, or a unit far from where it begins to act."""
    largest = max(np.abs(ahead).max(), np.abs(behind).max())
    longest = _still(h, ahead, behind)[:1]
    return bool(largest <= rounding or (longest >= np.sqrt(h[-1] / 8)).any())


def _is_rough(ahead, behind, rounding):
    """Whether the three shortest steps to each side change the value beyond its
    rounding, and by a good part of the largest change."""
    if len(ahead) < 6:
        return False
    largest = max(np.abs(ahead).max(), np.abs(behind).max())
    least = min(np.median(np.abs(side[-3:])) for side in (ahead, behind))
    return bool(least > max(rounding, ROUGH * largest))


def _steepest(h, ahead, behind):
    """The largest one-sided slope over the longer half of the steps."""
    long = slice((len(h) + 1) // 2)
    changes = np.maximum(np.abs(ahead[long]), np.abs(behind[long]))
    return float((changes / h[long]).max())


def _jump(h, ahead, behind, least):
    """The height that the value changes by however short the step; 0 without."""
    if len(h) < 3 or h[0] < DECADES * h[-1]:
        return 0.0
    for change in (ahead, behind):
        last = np.abs(change[-3:])
        if last.min() > max(least, 0.5 * last.max()):
            return float(last[-1])
    return 0.0
