"""Elements read at known places, each once: the cotangent is written, not added."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp

X = jnp.sin(jnp.arange(60.0))
ORDER = np.random.default_rng(0).permutation(60)[:40]


def elements(x):
    return jnp.sum(jnp.sin(x[ORDER]) ** 2)


def twice(x):
    return jnp.sum(jnp.sin(x[np.array([3, 5, 3])]) ** 2)


def outside(x):
    return jnp.sum(jnp.sin(x.at[np.array([3, 61, 5])].get(mode="fill", fill_value=2)))


def from_behind(x):
    return jnp.sum(jnp.cos(x[np.array([-1, 2, -60])])) * x[59]


def clipped(x):
    return jnp.sum(jnp.cos(x.at[np.array([59, 75, 4])].get(mode="clip")) ** 2)


def rows(x):
    return jnp.sum(jnp.tanh(x.reshape(12, 5)[np.array([7, 0, 3])]) ** 2)


def triangle(x):
    i, j = np.tril_indices(7)
    return jnp.sum(jnp.exp(x[:49].reshape(7, 7)[i, j]) ** 2)


def windows(x):
    """That overlap."""
    return jnp.sum(jnp.sin(x[np.arange(3)[:, None] + np.arange(4)]) ** 3)


PROGRAMS = [elements, twice, outside, from_behind, clipped, rows, triangle, windows]


@pytest.mark.parametrize(
    ("f", "complex_"),
    [*[(f, False) for f in PROGRAMS], (elements, True), (windows, True)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_values(f, complex_):
    x = jax.lax.complex(X, X[::-1]) if complex_ else X

    def loss(x):
        return jnp.real(f(x))

    expected, v = jax.grad(loss)(x), jnp.cos(x)
    np.testing.assert_allclose(jaxbp.grad(loss)(x), expected, 1e-12, 1e-13)
    np.testing.assert_allclose(jax.jit(jaxbp.grad(loss))(x), expected, 1e-12, 1e-13)
    batch = jax.vmap(jaxbp.grad(loss))(jnp.stack([x, v]))
    np.testing.assert_allclose(batch[0], expected, 1e-12, 1e-13)
    second = [ad.jvp(ad.grad(loss), (x,), (v,))[1] for ad in (jaxbp, jax)]
    np.testing.assert_allclose(*second, 1e-11, 1e-13)


@pytest.mark.parametrize(
    ("f", "written"),
    [(elements, True), (rows, True), (triangle, True), (from_behind, True)]
    + [(f, False) for f in (twice, outside, clipped, windows)],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_read_once_is_written(f, written):
    text = str(jax.make_jaxpr(jaxbp.grad(f))(X))
    assert (" scatter[" in text) == written
    assert ("scatter-add[" in text) != written
