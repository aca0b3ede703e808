"""XOR, the moons, and the 100 published steps of the moons demo."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp.errors import InvalidArgument
from jaxbp.problems import moons, moons_demo, xor

# seed_systems 2.15: step -> loss before the step's update
DEMO_LOSSES = {
    0: 0.8958441028683222,
    1: 1.7235905336972022,
    10: 0.24507023853658053,
    50: 0.09875114765619622,
    99: 0.010978370135492717,
}


def test_xor():
    inputs, targets = xor()
    assert np.array_equal(targets, inputs[:, 0] != inputs[:, 1])
    assert inputs.dtype == np.float32


def test_moons_equal_scikit_learn():
    # make_moons(100, noise=0.1, random_state=1337), scikit-learn 1.9.1. The last bit
    # of sin and cos may differ between processors.
    points, labels = moons(100, noise=0.1, seed=1337)
    assert labels[:10].tolist() == [0, 0, 1, 0, 1, 1, 1, 1, 1, 0]
    ends = [
        [1.1221146075409685, 0.08147717341718697],
        [0.12108297264758441, 1.0655522522437006],
    ]
    np.testing.assert_allclose(points[[0, -1]], ends, rtol=1e-15)
    np.testing.assert_allclose(points.sum(), 78.61023442501713, rtol=1e-14)


def test_noiseless_moons_lie_on_their_circles():
    points, labels = moons(7)
    outer, inner = points[labels == 0], points[labels == 1]
    assert len(outer) == 3 and len(inner) == 4
    np.testing.assert_allclose(np.hypot(*outer.T), 1, rtol=1e-14)
    np.testing.assert_allclose(np.hypot(*(inner - [1, 0.5]).T), 1, rtol=1e-14)


@pytest.mark.parametrize(("count", "noise"), [(1, None), (10, -0.1)])
def test_impossible_moons_are_refused(count, noise):
    with pytest.raises(InvalidArgument, match="`count` >= 2 and `noise` >= 0"):
        moons(count, noise)


def demo_loss(params, inputs, labels):
    *hidden, (last_weights, last_biases) = params
    y = inputs
    for weights, biases in hidden:
        y = jax.nn.relu(y @ weights.T + biases[None])
    scores = (y @ last_weights.T + last_biases[None])[:, 0]
    hinge = jnp.mean(jax.nn.relu(1 - labels * scores))
    squares = sum(jnp.sum(p * p) for p in jax.tree.leaves(params))
    return hinge + 1e-4 * squares, jnp.mean((scores > 0) == (labels > 0))


def test_moons_demo_reproduces_the_published_losses():
    inputs, labels, params = moons_demo()
    assert sum(p.size for p in jax.tree.leaves(params)) == 337
    step = jax.jit(jax.value_and_grad(demo_loss, has_aux=True))
    losses = []
    for k in range(100):
        (loss, accuracy), grads = step(params, inputs, labels)
        losses.append(float(loss))
        rate = 1 - 0.9 * k / 100
        params = jax.tree.map(lambda p, g, rate=rate: p - rate * g, params, grads)
    published = list(DEMO_LOSSES.values())
    # 100 steps at a learning rate near 1 amplify the rounding of sums' order
    np.testing.assert_allclose(
        [losses[k] for k in DEMO_LOSSES], published, rtol=0, atol=1e-12
    )
    assert accuracy == 1
