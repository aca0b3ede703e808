"""Inverse powers: their derivatives ask for the result alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp

X = np.array([0.25, 1.0, 7.0, 1e4])


@pytest.mark.parametrize("f", [lambda x: x**-1, jax.lax.rsqrt, lambda x: x**-2])
@pytest.mark.parametrize("x", [X, X + 1j, X[:1].reshape(1, 1)])
def test_values_are_jax_s(f, x):
    def g(x):
        return jnp.sum(jnp.sin(jnp.abs(f(x) * 1.5) ** 2))

    for transform in (lambda h: h, jax.jit):
        ours, theirs = transform(jaxbp.grad(g))(x), jax.grad(g)(x)
        np.testing.assert_allclose(ours, theirs, 1e-12)
    if np.isrealobj(x):
        np.testing.assert_allclose(jaxbp.hessian(g)(x), jax.hessian(g)(x), 1e-11)
        nested = jax.vmap(jaxbp.grad(jaxbp.grad(lambda x: jnp.sin(f(x)))))
        theirs = jax.vmap(jax.grad(jax.grad(lambda x: jnp.sin(f(x)))))
        np.testing.assert_allclose(nested(x.ravel()), theirs(x.ravel()), 1e-11)


@pytest.mark.parametrize("f", [lambda x: x**-1, jax.lax.rsqrt])
@pytest.mark.parametrize("x", [0.0, np.inf, 1e200, 1e-150, np.nan])
def test_at_the_ends(f, x):
    np.testing.assert_allclose(jaxbp.grad(f)(x), jax.grad(f)(x), 1e-12)


@pytest.mark.parametrize("f", [lambda x: x**-1, jax.lax.rsqrt])
def test_the_result_alone_is_kept(f):
    _, pullback = jaxbp.vjp(lambda x: f(x + 1), jnp.ones(1000))
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(pullback)) <= 8 * 1000


@pytest.mark.parametrize("join", [jnp.stack, jnp.concatenate, jnp.hstack])
def test_one_array_alone_is_joined(join):
    def f(x):
        return jnp.sum(jnp.sin(join([x])) * 2.0) + jnp.sum(jnp.cos(join([x])))

    x = jnp.asarray(X).reshape(2, 2)
    for transform in (lambda g: g, jax.jit):
        np.testing.assert_allclose(transform(jaxbp.grad(f))(x), jax.grad(f)(x), 1e-12)
    tangents = [d.jvp(f, (x,), (x,))[1] for d in (jaxbp, jax)]
    np.testing.assert_allclose(*tangents, 1e-12)
