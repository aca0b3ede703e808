"""The slope of a function along a line from its values alone, with an error bar.

Central differences at a ladder of steps, extrapolated to step zero (Ridders 1982,
doi:10.1016/S0141-1195(82)80057-0). Each entry of the tableau has two errors, which
pull apart: truncation, read off the neighbouring entries, and rounding, which is the
noise of the function's values over the step. The noise is measured, not assumed (More
and Wild 2011, doi:10.1137/100786125), so that one code serves float64 and bfloat16.

In few bits, x + h is not the number asked for. Each entry therefore carries the
direction that was really taken, in 64-bit, and a gradient is judged along that one.
"""

from dataclasses import dataclass

import numpy as np

from .closeness import epsilon, wide

RUNGS = 5  # steps h, h/4, ... h/256: room for domains and kinks near the point
RATIO = 4.0
NOISE_POINTS = 7
KINK_RATIO = 0.6  # one-sided slopes part by a constant; curvature would give 1/4


@dataclass(frozen=True)
class Difference:
    """The slope of a function along `direction`, as its values tell it.

    Attributes:
      direction: float64, shape of x: the direction really taken; `slope` is along it.
      slope: float; NaN where no step had finite values on both sides.
      noise: float: estimated error of `slope`, truncation and rounding together.
      left, right: the one-sided slopes at the smallest step that shows them.
      kink: whether these two stay apart as the step shrinks.
    """

    direction: np.ndarray
    slope: float
    noise: float
    left: float
    right: float
    kink: bool

    def gap(self, prediction):
        """|prediction - slope|; at a kink, the distance from [left, right]."""
        if self.kink:
            low, high = sorted((self.left, self.right))
            return max(low - prediction, prediction - high, 0.0)
        return abs(prediction - self.slope)


def step_sizes(x):
    """The size of x that steps are relative to: |x_i|, or the leaf's root mean square.

    A leaf of zeros (a fresh bias) steps as if it were of size 1; infinite and NaN
    entries (a mask of -inf) are not moved: 0.
    """
    size = np.abs(wide(x))
    finite = np.isfinite(size)
    spread = float(np.sqrt(np.mean(size[finite] ** 2))) if finite.any() else 0.0
    size = np.maximum(size, spread) if spread > 0 else np.ones_like(size)
    return np.where(finite, size, 0.0)


def largest_step(dtype):
    """eps^(1/5), the optimum once extrapolated, as a power of two, at most 1/4."""
    return min(0.25, 2.0 ** round(np.log2(epsilon(dtype)) / 5))


def moved(x, direction, step):
    """x + step direction in x's dtype, and where that really is, in 64-bit."""
    there = np.asarray(wide(x) + step * direction).astype(x.dtype)
    return there, wide(there)


def noise_level(phi, x, direction):
    """Standard deviation of the rounding noise in the values of `phi` near `x`.

    Args:
      phi: array like x -> float.
      x: array. direction: float64 of its shape, entries about the size of x.

    Returns:
      float >= eps |phi(x)| / 8, from the high differences of 7 values on one side of
      x (a kink at x itself is then not taken for noise).

    Cost: 7 evaluations.
    Source: ECNoise, More and Wild 2011, doi:10.1137/100786125.
    """
    step = 16 * epsilon(x.dtype)
    values = [phi(moved(x, direction, k * step)[0]) for k in range(NOISE_POINTS)]
    floor = epsilon(x.dtype) * abs(values[0]) / 8
    if not np.all(np.isfinite(values)):
        return float(8 * floor) if np.isfinite(floor) else np.nan
    row, weight, sigmas = np.array(values), 1.0, []
    for order in range(1, NOISE_POINTS):
        row = np.diff(row)
        weight *= order / (2 * (2 * order - 1))  # (k!)^2 / (2k)!
        sigmas.append(float(np.sqrt(weight * np.mean(row**2))))
    return max(float(np.median(sigmas[3:])), floor)


@dataclass(frozen=True)
class _Entry:
    """One tableau entry: a weighted sum of central differences."""

    slope: float
    weights: dict  # rung -> weight

    def extrapolate(self, coarser, power):
        factor = RATIO**power
        scale = 1 / (factor - 1)
        weights = {k: factor * scale * w for k, w in self.weights.items()}
        for k, w in coarser.weights.items():
            weights[k] = weights.get(k, 0.0) - scale * w
        return _Entry((factor * self.slope - coarser.slope) * scale, weights)


@dataclass(frozen=True)
class _Rung:
    step: float
    direction: np.ndarray
    slope: float
    left: float
    right: float


def _ladder(phi, x, direction, centre):
    """The rungs whose two values are finite and whose step survives rounding."""
    rungs = []
    for k in range(RUNGS):
        step = largest_step(x.dtype) / RATIO**k
        if step < 8 * epsilon(x.dtype):
            break
        (ahead, up), (behind, down) = (moved(x, direction, s) for s in (step, -step))
        high, low = phi(ahead), phi(behind)
        if np.isfinite(high) and np.isfinite(low):
            with np.errstate(invalid="ignore"):  # inf - inf where nothing moves
                taken = np.where(direction == 0, 0, (up - down) / (2 * step))
            left, right = (centre - low) / step, (high - centre) / step
            rungs.append(_Rung(step, taken, (high - low) / (2 * step), left, right))
    return rungs


def _best_entry(rungs, sigma):
    """The tableau entry of least estimated error, and that error."""
    best, best_error, above = None, np.inf, []
    for k, rung in enumerate(rungs):
        row = [_Entry(rung.slope, {k: 1.0})]
        for j in range(1, min(k, 2) + 1):
            row.append(row[j - 1].extrapolate(above[j - 1], 2 * j))
            near = (row[j - 1].slope, above[j - 1].slope)
            truncation = max(abs(row[j].slope - n) for n in near)
            error = truncation + _rounding(row[j].weights, rungs, sigma)
            if error < best_error:
                best, best_error = row[j], error
        above = row
    if best is None:  # a single rung: nothing to extrapolate or to estimate from
        best = above[0]
        best_error = abs(rungs[0].right - rungs[0].left) + 2 * sigma / rungs[0].step
    return best, best_error


def _rounding(weights, rungs, sigma):
    variance = sum((w / rungs[k].step) ** 2 for k, w in weights.items()) / 2
    return 2 * sigma * float(np.sqrt(variance))


def _kink(rungs, sigma):
    """The finest rung that shows a kink at the point itself, or None.

    From fine to coarse, until the noise lets a jump of the slope be seen: one that
    stays as the step shrinks is a kink; one that vanishes lies beside the point.
    """
    for coarse, fine in zip(rungs[-2::-1], rungs[:0:-1], strict=True):
        wider, jump = (abs(r.right - r.left) for r in (coarse, fine))
        visible = max(12 * sigma / fine.step, 1e-3 * abs(fine.slope))
        if max(jump, KINK_RATIO * wider) > visible:
            return fine if jump > max(KINK_RATIO * wider, visible) else None
    return None


def difference(phi, x, direction, sigma=None, centre=None):
    """The slope of `phi` at `x` along `direction`, from about a dozen of its values.

    Args:
      phi: array like x -> float.
      x: array of a float or complex dtype (numpy; bfloat16 included).
      direction: float64 or complex128 of x's shape; entries about the size of x.
      sigma: noise of phi's values, from `noise_level`; measured if not given.
      centre: phi(x); evaluated if not given.

    Returns:
      Difference.

    Cost: 10 evaluations, 7 more without `sigma`, 1 more without `centre`.
    """
    sigma = noise_level(phi, x, direction) if sigma is None else sigma
    centre = phi(x) if centre is None else centre
    rungs = _ladder(phi, x, direction, centre)
    if not rungs:
        return Difference(direction, np.nan, np.inf, np.nan, np.nan, False)
    kink = _kink(rungs, sigma)
    if kink is not None:
        noise = abs(kink.slope) * epsilon(x.dtype) + 2 * sigma / kink.step
        return Difference(
            kink.direction, kink.slope, noise, kink.left, kink.right, True
        )
    entry, error = _best_entry(rungs, sigma)
    taken = sum(w * rungs[k].direction for k, w in entry.weights.items())
    last = rungs[-1]
    return Difference(
        np.asarray(taken), entry.slope, error, last.left, last.right, False
    )
