"""One slope from other arrays: what is kept anyway is what it is computed from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp


def kept(f, x):
    """Bytes on the tape of `f` at `x`."""
    back = jax.eval_shape(lambda x: jaxbp.vjp(f, x)[1], x)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(back))


def shares(x):
    e = jnp.exp(x)
    return e / jnp.sum(e, -1, keepdims=True)


def ratios(x):
    a = 2 * x
    return a / jnp.sum(jnp.exp(x), -1, keepdims=True)


def test_kept_numerator_is_enough():
    x = jnp.ones((5, 7), jnp.float32)
    assert kept(shares, x) <= 4 * (35 + 5 + 5)  # exp, its sums; no quotient


def test_quotient_where_numerator_is_not_kept():
    x = jnp.ones((5, 7), jnp.float32)
    assert kept(ratios, x) <= 4 * (35 + 35 + 5 + 5)


@pytest.mark.parametrize("shape", [(3, 4), (1, 4), (4, 1), (0, 3), (2, 0)])
@pytest.mark.parametrize("f", [shares, ratios])
def test_derivatives_are_those_of_jax(f, shape):
    x = jnp.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
    g = lambda x: jnp.sum(jnp.sin(f(x)))  # noqa: E731
    for of in (lambda m: m.grad(g), lambda m: m.hessian(g), lambda m: m.jacfwd(f)):
        ours, theirs = jax.jit(of(jaxbp))(x), jax.jit(of(jax))(x)
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


def test_wide_range():
    """Neither a large nor a small denominator loses its slope."""
    for size in (1e25, 1e-25):
        f = lambda d, s=size: jnp.sum(jnp.full(3, s, jnp.float32) / d)  # noqa: E731
        found = jaxbp.grad(f)(jnp.float32(size))
        np.testing.assert_allclose(found, -3 / size, rtol=1e-5)
