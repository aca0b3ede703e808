"""A step with small products of matrices may be run again, too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp

K = np.array([[0.3, -0.2, 0.5, 0.1], [0.0, 0.4, -0.6, 0.2]])
STEPS = 60


def controlled(x, p, K=K):
    """Pendulums, (..., 4), whose torques are K times their state."""

    def step(x, _):
        u = jnp.einsum("ij,...j->...i", jnp.asarray(K, x.dtype), x)
        a = -p[0] * jnp.sin(x[..., 0]) + u[..., 0]
        b = -p[1] * jnp.sin(x[..., 2]) * x[..., 0] + u[..., 1]
        x_dot = jnp.stack([x[..., 1], a, x[..., 3], b], -1)
        return x + 0.02 * x_dot, None

    x, _ = lax.scan(step, x, None, length=STEPS)
    return jnp.sum(jnp.abs(x) ** 2)


def arguments(*shape, dtype=float):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(*shape, 4)) * 0.3
    return jnp.asarray(x, dtype), jnp.asarray([0.7, 1.1], dtype)


@pytest.mark.parametrize("shape", [(), (3,), (50,)])
def test_values_are_jax_s(shape):
    args = arguments(*shape)
    for transform in (lambda g: g, jax.jit):
        ours = transform(jaxbp.grad(controlled, (0, 1)))(*args)
        theirs = jax.grad(controlled, (0, 1))(*args)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-11), ours, theirs)


def test_values_of_complex_states_and_of_moving_gains():
    args = *arguments(5, dtype=complex), jnp.asarray(K)
    ours = jaxbp.grad(controlled, (0, 2))(*args)
    theirs = jax.grad(controlled, (0, 2))(*args)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-11), ours, theirs)


def test_batched_and_nested():
    x, p = arguments(3)
    ours = jax.vmap(jaxbp.grad(controlled), (0, None))(x, p)
    np.testing.assert_allclose(
        ours, jax.vmap(jax.grad(controlled), (0, None))(x, p), 1e-11
    )
    np.testing.assert_allclose(
        jaxbp.jacfwd(jaxbp.grad(controlled, 1), 1)(x[0], p),
        jax.jacfwd(jax.grad(controlled, 1), 1)(x[0], p),
        1e-10,
    )


def test_the_carries_alone_are_kept():
    """What the sines of each step ask for is computed from the states."""
    x, p = arguments(50)
    _, pullback = jaxbp.vjp(jax.vmap(controlled, (0, None)), x, p)
    kept = sum(leaf.nbytes for leaf in jax.tree.leaves(pullback))
    assert kept <= 1.1 * STEPS * x.nbytes
