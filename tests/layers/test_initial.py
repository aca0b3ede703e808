"""Initialisers: the spread they promise, and dtype, and independence."""

import math

import jax
import jax.numpy as jnp
import pytest

from jaxbp import layers
from tests.layers.closeness import assert_close

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    "initialise, variance",
    [
        (layers.xavier, 2 / (300 + 300)),
        (layers.xavier_normal, 2 / (300 + 300)),
        (layers.he, 2 / 300),
        (layers.lecun, 1 / 300),
        (layers.normal(0.01), 1e-4),
        (layers.uniform(0.3), 0.09 / 3),
        (layers.zeros, 0.0),
    ],
)
def test_variance(initialise, variance):
    """30,000 draws: the variance is known to about one percent."""
    weights = initialise(KEY, (3, 100, 100), jnp.float64)  # a window of 3 is fan-in
    assert float(weights.var()) == pytest.approx(variance, rel=0.05)
    assert abs(float(weights.mean())) <= 4 * math.sqrt(variance / 30_000)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 2, 3)], ids=str)
def test_orthogonal(shape):
    matrix = layers.orthogonal(1.5)(KEY, shape, jnp.float64).reshape(-1, shape[-1])
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    assert_close(short @ short.T, 2.25 * jnp.eye(len(short)), 1e-12)


@pytest.mark.parametrize(
    "initialise",
    [layers.xavier, layers.he, layers.orthogonal(), layers.constant(2.0), layers.ones],
)
def test_dtype_is_the_one_asked_for(initialise):
    assert initialise(KEY, (3, 4), jnp.bfloat16).dtype == jnp.bfloat16


def test_default_dtype_is_the_default_float():
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(layers.mlp((2, 3)).init(KEY))}
    assert dtypes == {jnp.dtype(jnp.float64)}


def test_parts_are_drawn_independently():
    first, _, second = layers.mlp((3, 3, 3)).init(KEY)
    assert not jnp.array_equal(first["W"], second["W"])
    gates = jnp.split(layers.lstm(3, 3).init(KEY)["W_h"], 4, -1)
    assert not jnp.array_equal(gates[0], gates[1])


def test_forget_bias_starts_the_forget_gate_only():
    biases = layers.lstm(2, 2, forget_bias=3.0).init(KEY)["b"]
    assert biases.tolist() == [0, 0, 3, 3, 0, 0, 0, 0]


@pytest.mark.parametrize("name, expected", [("relu", "he"), ("tanh", "xavier")])
def test_default_weights_follow_the_activation(name, expected):
    own = layers.mlp((4, 5), activation=name).init(KEY)
    initialise = getattr(layers, expected)
    given = layers.mlp((4, 5), activation=name, weights=initialise).init(KEY)
    assert jnp.array_equal(own[0]["W"], given[0]["W"])
