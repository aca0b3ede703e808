"""Small matrices of a few bands: values, ends, what is left to others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.across import bands, order
from jaxbp.across.expand import dense
from jaxbp.across.factor import Factor
from jaxbp.across.places import Axis, Label
from jaxbp.across.term import Term

F64 = np.dtype(np.float64)


def band(shape, row, column, value):
    """A piece of a diagonal that begins at a place; a number fills one entry."""
    steps = ()
    if np.ndim(value):
        steps = ((Label(len(value)), 1),)
    labels = tuple(label for label, _ in steps)
    axes = [Axis(n, at, steps) for n, at in zip(shape, (row, column), strict=True)]
    return Term((axes[0],), (axes[1],), Factor(labels, jnp.asarray(value)))


@pytest.mark.parametrize("shape", [(5, 5), (4, 7), (7, 4), (2, 9)])
def test_bands_stand_at_their_places(shape):
    rng, wanted, terms = np.random.default_rng(1), np.zeros(shape), []
    for row, column, count in [(0, 0, 2), (1, 2, 1), (1, 0, 2), (0, 0, 1), (0, 2, 2)]:
        count = min(count, shape[0] - row, shape[1] - column)
        value = rng.normal(size=count)
        value[0] = np.inf if (row, column) == (0, 2) else value[0]
        terms.append(band(shape, row, column, value if count > 1 else value[0]))
        wanted[np.arange(row, row + count), np.arange(column, column + count)] += value
    assert bands.banded(terms, shape)[0] == terms
    found = jax.jit(lambda: dense(terms, shape, F64))()
    np.testing.assert_array_equal(found, wanted)


def test_too_many_and_single_entries_are_left_to_others():
    shape = (30, 30)
    single = [band(shape, i, 0, 1.0) for i in range(3)]
    assert bands.banded(single, shape) == ([], single)
    many = [band(shape, i, 0, np.ones(3)) for i in range(bands.MOST + 1)]
    assert bands.banded(many, shape) == ([], many)


@pytest.mark.parametrize("n", [3, 4, 13])
def test_a_stencil_that_wraps(n, monkeypatch):
    monkeypatch.setattr(order, "CLEARLY", np.inf)
    monkeypatch.setattr(order, "SEEN", -np.inf)

    def lorenz(x):
        return (jnp.roll(x, -1) - jnp.roll(x, 2)) * jnp.roll(x, 1) - x

    x = jnp.linspace(-1.0, 2.0, n)
    wanted = jax.jacfwd(lorenz)(x)
    np.testing.assert_allclose(jaxbp.jacobian(lorenz)(x), wanted, atol=1e-14)
    both = jax.vmap(jaxbp.jacobian(lorenz))(jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(both[0], wanted, atol=1e-14)
    again = jax.jacfwd(jaxbp.jacobian(lorenz))(x)
    np.testing.assert_allclose(again, jax.jacfwd(jax.jacfwd(lorenz))(x), atol=1e-14)
