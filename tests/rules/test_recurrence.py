"""Tangents of cumulative products and logarithms of sums, as recurrences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp

SHAPES = {"one_row": ((3,), 0), "blocks": ((150, 2), 0), "rows": ((2, 5, 2), 1)}


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("shape, axis", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("cumulative", [lax.cumprod, lax.cumlogsumexp])
def test_gradients_are_those_of_the_steps(cumulative, shape, axis, reverse):
    x = 1 + jax.random.normal(jax.random.key(0), shape) / 3
    x = x.at[(1,) * x.ndim].set(0.0)

    def f(x):
        return jnp.sum(jnp.sin(cumulative(x, axis, reverse=reverse)))

    ours = jax.jit(jaxbp.grad(f))(x)
    np.testing.assert_allclose(ours, jax.jit(jax.grad(f))(x), 1e-11, 1e-13)
    if shape == (3,):
        dot = jnp.cos(x)
        _, ours = jax.jit(lambda x: jaxbp.jvp(jaxbp.grad(f), (x,), (dot,)))(x)
        _, theirs = jax.jvp(jax.grad(f), (x,), (dot,))
        np.testing.assert_allclose(ours, theirs, 1e-11, 1e-13)


def test_in_a_loop_and_batched():
    x = jax.random.uniform(jax.random.key(0), (4, 6))

    def f(x):
        step = lambda c, row: (jnp.tanh(c + jnp.cumprod(row * c)), c)  # noqa: E731
        return jnp.sum(lax.scan(step, x[0], x)[1])

    expected = jax.jit(jax.grad(f))(x)
    np.testing.assert_allclose(jax.jit(jaxbp.grad(f))(x), expected, 1e-11)
    batched = jax.jit(jax.vmap(jaxbp.grad(f)))(x[None])[0]
    np.testing.assert_allclose(batched, expected, 1e-11)
