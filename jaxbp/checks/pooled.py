"""The slopes along many directions of one leaf as one slope along their sum.

A factor of 1 + 1e-3 in a rule may hide in the noise of each direction of a float32
function, though all of them lean alike. Slopes are linear: what was measured along
parts of a leaf adds up to the slope along the sum of the parts, where the errors, which
are others in each, add up as a 2-norm. Weights are those of least squares: the
gradient's value over the square of the error.
"""

import numpy as np

from .closeness import inner, norm
from .differences import Slope
from .looks import Look
from .probes import Probe


def pooled(looker, looks):
    """A Look along the weighted sum of the directions of each leaf.

    Args:
      looker: Looker. looks: list of Look; those in doubt, at a kink, or without a
        slope take no part.

    Returns:
      list of Look: at most one for each leaf, of those looked at along two directions.
    """
    by_leaf = {}
    for look in looks:
        if _is_steady(looker, look):
            by_leaf.setdefault(look.probe.leaf, []).append(look)
    return [
        _together(looker, several) for several in by_leaf.values() if len(several) > 1
    ]


def _is_steady(looker, look):
    found = look.found
    if found.kink or found.rough or found.flat or look.doubted or not look.value:
        return False
    return np.isfinite(found.noise) and looker.allowed(look) > 0


def _together(looker, looks):
    errors = np.array([looker.allowed(look) for look in looks])
    values = np.array([look.value for look in looks])
    weights = values / errors / (errors / errors.min())
    weights /= np.abs(weights).max()
    direction = np.zeros_like(looks[0].probe.direction)
    for weight, look in zip(weights, looks, strict=True):
        direction += weight * look.probe.direction
    found = [look.found for look in looks]
    slope = float(weights @ [one.value for one in found])
    noise = norm(weights * [one.noise for one in found])
    steepest = float(np.abs(weights) @ [one.steepest for one in found])
    leaf = looks[0].probe.leaf
    probe = Probe(leaf, np.flatnonzero(direction), direction)
    told = Slope(slope, noise, slope, slope, steepest=steepest)
    pool = Look(probe, inner(looker.x_bar[leaf], direction), told, 0.0)
    return looker.slackened(pool, looker.slack)
