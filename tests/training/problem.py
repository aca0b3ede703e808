"""A small regression that every test of the loop can train in milliseconds."""

import jax
import jax.numpy as jnp
import numpy as np


def loss(params, inputs, targets):
    hidden = jnp.tanh(inputs @ params["W1"] + params["b1"][None])
    return jnp.mean((hidden @ params["W2"] - targets) ** 2)


value_and_grad = jax.value_and_grad(loss)


def measure(params, inputs, targets):
    mse = loss(params, inputs, targets)
    return {"loss": mse, "score": 1 / (1 + mse)}


def make(count=21, dtype=jnp.float64):
    """Parameters and data (inputs (count, 2), targets (count, 1))."""
    first, second, third = jax.random.split(jax.random.key(1), 3)
    params = {
        "W1": jax.random.normal(first, (2, 5), dtype),
        "W2": jax.random.normal(second, (5, 1), dtype),
        "b1": jnp.zeros(5, dtype),
    }
    inputs = jax.random.normal(third, (count, 2), dtype)
    return params, (inputs, inputs[:, :1] * inputs[:, 1:])


def assert_same_bits(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        if hasattr(b, "dtype") and jnp.issubdtype(b.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
