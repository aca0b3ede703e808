"""A number over x: its derivative asks for the quotient alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp

X = np.array([-3.0, 0.25, 1.0, 7.0])


@pytest.mark.parametrize("number", [1.0, -2.5, 3, 0.0, np.inf])
@pytest.mark.parametrize("x", [X, X + 1j, X[:1].reshape(1, 1)])
def test_values_are_jax_s(number, x):
    def f(x):
        return jnp.sum(jnp.sin(jnp.abs(number / x * 1.5) ** 2))

    for transform in (lambda g: g, jax.jit):
        ours, theirs = transform(jaxbp.grad(f))(x), jax.grad(f)(x)
        np.testing.assert_allclose(ours, theirs, 1e-12)
    if np.isrealobj(x):
        ours, theirs = jaxbp.hessian(f)(x), jax.hessian(f)(x)
        np.testing.assert_allclose(ours, theirs, 1e-11)


@pytest.mark.parametrize("x", [0.0, np.inf, -np.inf, 1e200, 1e-200, np.nan])
def test_at_the_ends(x):
    def f(x):
        return 2.0 / x

    np.testing.assert_allclose(jaxbp.grad(f)(x), jax.grad(f)(x), 1e-12)
    tangents = jaxbp.jvp(f, (x,), (1.0,))[1], jax.jvp(f, (x,), (1.0,))[1]
    np.testing.assert_allclose(*tangents, 1e-12)


def test_a_numerator_that_moves_is_kept_or_the_quotient():
    x = jnp.asarray(X)
    np.testing.assert_allclose(
        jaxbp.grad(lambda x: jnp.sum(jnp.sin(x) / x))(x),
        jax.grad(lambda x: jnp.sum(jnp.sin(x) / x))(x),
        1e-12,
    )


def test_the_quotient_alone_is_kept():
    _, pullback = jaxbp.vjp(lambda x: 1 / (x + 1), jnp.ones(1000))
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(pullback)) <= 8 * 1000


def test_a_scan_of_reciprocals_stacks_one_array_a_step():
    K = jnp.exp(-jnp.linspace(0, 1, 36).reshape(6, 6))

    def f(K):
        def step(v, _):
            return 1 / (K @ v), None

        v, _ = jax.lax.scan(step, jnp.ones(6), None, length=10)
        return jnp.sum(v)

    np.testing.assert_allclose(jaxbp.grad(f)(K), jax.grad(f)(K), 1e-11)
    np.testing.assert_allclose(
        jax.jit(jax.vmap(jaxbp.grad(f)))(jnp.stack([K, 2 * K])),
        jax.vmap(jax.grad(f))(jnp.stack([K, 2 * K])),
        1e-11,
    )
