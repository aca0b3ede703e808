"""Products along axes, many factors in groups; the largest of equal ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp

SHAPES = {
    "one": ((1, 3), (0,)),
    "a_group": ((8, 2), (0,)),
    "one_more": ((2, 9), (1,)),
    "two_axes": ((5, 2, 7), (0, 2)),
    "three_levels": ((3, 70), (1,)),
}


def _factors(shape, dtype):
    x = jax.random.uniform(jax.random.key(0), shape, dtype, 0.5, 1.5)
    return x.reshape(-1).at[3 % x.size].set(0).reshape(shape)


@pytest.mark.parametrize("shape, axes", SHAPES.values(), ids=SHAPES)
def test_a_product_where_a_factor_is_zero(shape, axes):
    def f(x):
        return jnp.sum(jnp.sin(jnp.prod(jnp.cos(x) * x, axes)))

    def asked(ad, x):
        seed = jnp.cos(x)
        return (
            ad.grad(f)(x),
            ad.jvp(ad.grad(f), (x,), (seed,))[1],
            ad.grad(lambda x: jnp.sum(ad.grad(f)(x) * seed))(x),
            jax.vmap(ad.grad(f))(jnp.stack([x, seed])),
        )

    x = _factors(shape, "float64")
    ours, theirs = (jax.jit(asked, static_argnums=0)(ad, x) for ad in (jaxbp, jax))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, 1e-10, 1e-13)


def test_a_complex_product_by_its_twenty_factors():
    x = jax.lax.complex(*_factors((2, 20), "float64"))
    ours = jax.jit(jaxbp.grad(jnp.prod, holomorphic=True))(x)
    np.testing.assert_allclose(ours, jax.grad(jnp.prod, holomorphic=True)(x), 1e-12)


def test_levels_are_calls_that_are_not_taken_apart():
    """Else each factor computes the levels below it anew: n^2 products."""
    x = _factors((100, 5), "float32")
    text = jax.jit(jaxbp.grad(lambda x: jnp.sum(jnp.prod(x, 0)))).lower(x).as_text()
    assert text.count("inlineable") >= 4


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_many_that_are_equally_large_share(dtype):
    """5,000 are more than a float16 counts to."""
    x = jnp.zeros(5000, dtype).at[0].set(-1)
    slopes = jaxbp.grad(lambda x: jnp.max(x).astype("float32"))(x)
    expected = np.where(np.arange(5000) > 0, 1 / 4999, 0)
    np.testing.assert_allclose(slopes, expected, 2e-3 if dtype == "float16" else 1e-6)
