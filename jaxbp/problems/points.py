"""Points in the plane: XOR, two moons, and the moons of a well-known demo."""

import random
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from jaxbp.errors import InvalidArgument
from jaxbp.problems.dataset import Examples


def xor(dtype: DTypeLike = np.float32) -> Examples:
    """The four corners (4, 2) and their exclusive or (4,) int32."""
    inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype)
    return Examples(inputs, np.array([0, 1, 1, 0], np.int32))


def moons(
    count: int = 100,
    noise: float | None = None,
    seed: int = 0,
    dtype: DTypeLike = np.float64,
) -> Examples:
    """Two interleaved half circles, shuffled, with Gaussian noise.

    Args:
      count: points in all; the outer moon has count // 2 of them.
      noise: standard deviation added to both coordinates; None adds none.
      seed: of NumPy's legacy generator, so that float64 points equal those of
        scikit-learn's `make_moons(count, noise=noise, random_state=seed)` to the bit.
      dtype: of the points.

    Returns:
      Points (count, 2) and labels (count,) int32: 0 outer, 1 inner.

    Raises:
      InvalidArgument: fewer than two points or negative noise.
    """
    if count < 2 or (noise is not None and noise < 0):
        raise InvalidArgument(
            f"moons need `count` >= 2 and `noise` >= 0 or None, "
            f"but have {count} and {noise}."
        )
    outer, inner = (np.linspace(0, np.pi, n) for n in (count // 2, count - count // 2))
    across = np.append(np.cos(outer), 1 - np.cos(inner))
    up = np.append(np.sin(outer), 1 - np.sin(inner) - 0.5)
    labels = np.arange(count) >= outer.size

    rng = np.random.RandomState(seed)
    order = np.arange(count)
    rng.shuffle(order)
    points = np.stack([across, up], axis=1)[order]
    if noise is not None:
        points += rng.normal(scale=noise, size=points.shape)
    return Examples(points.astype(dtype), labels[order].astype(np.int32))


class MoonsDemo(NamedTuple):
    """Points (100, 2), labels (100,) of -1.0 and +1.0, and the demo's first weights.

    `params` holds one (weights (n_out, n_in), biases (n_out,)) pair a layer.
    """

    inputs: np.ndarray
    labels: np.ndarray
    params: list[tuple[np.ndarray, np.ndarray]]


def moons_demo(dtype: DTypeLike = np.float64) -> MoonsDemo:
    """The data and the 337 first parameters of the micrograd moons classifier.

    NumPy and Python are both seeded with 1337; a 2-16-16-1 network's weights are
    drawn uniformly from (-1, 1) neuron by neuron, its biases are 0.

    Source: micrograd, demo.ipynb, https://github.com/karpathy/micrograd.
    """
    points, labels = moons(100, noise=0.1, seed=1337, dtype=dtype)
    rng = random.Random(1337)

    def layer(n_in, n_out):
        weights = [[rng.uniform(-1, 1) for _ in range(n_in)] for _ in range(n_out)]
        return np.array(weights, dtype), np.zeros(n_out, dtype)

    params = [layer(n_in, n_out) for n_in, n_out in pairwise([2, 16, 16, 1])]
    return MoonsDemo(points, (2 * labels - 1).astype(dtype), params)
