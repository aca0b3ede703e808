"""A user's file, for tests of the command line."""

import jax.numpy as jnp


def loss(w, x):
    return jnp.sum(jnp.tanh(x @ w) ** 2)


def boom(w, x):
    return helper(w)


def helper(w):
    raise ValueError("a user's own mistake.")


def nothing(w):
    jnp.sum(w)  # and no `return`


example_args = jnp.array([0.3, -0.7]), jnp.ones((3, 2))
