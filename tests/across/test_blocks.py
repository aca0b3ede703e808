"""Terms beside one another are written apart; entries of little work are branches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.across import expand, order
from jaxbp.across.made import operations
from jaxbp.across.singles import _are_apart

A, B = np.random.default_rng(0).normal(size=(2, 7, 7))
X = np.random.default_rng(1).uniform(0.2, 1, (2, 7))


def stacked(x):
    e, f = x
    return jnp.stack([e * (A @ e) + f * (B @ f), f * (A @ e) - e * (B @ f)])


def joined(x):
    """Blocks of unequal sizes, with rows of zeros between, turned round."""
    e, f = x
    rows = jnp.concatenate([A[:3] @ e, jnp.ones(2), jnp.tanh(B @ f), e[:1] * f[-1:]])
    return rows[::-1]


@pytest.mark.parametrize("f", [stacked, joined])
def test_blocks_are_written_apart(f, monkeypatch):
    monkeypatch.setattr(order, "CLEARLY", np.inf)
    monkeypatch.setattr(order, "SEEN", -np.inf)
    parted = []

    def seen(terms, shape):
        found = beside(terms, shape)
        parted.append(found)
        return found

    beside = expand.beside
    monkeypatch.setattr(expand, "beside", seen)
    wanted = jax.jacrev(f)(X)
    np.testing.assert_allclose(jax.jit(jaxbp.jacobian(f))(X), wanted, rtol=1e-12)
    assert any(parted)
    both = jax.jit(jax.vmap(jaxbp.jacobian(f)))(np.stack([X, 2 * X]))
    np.testing.assert_allclose(both[0], wanted, rtol=1e-12)


def polynomial(x):
    a, b, c = x
    return jnp.stack([a * b, b * (c * c - 3 * a * a), 2 * c, a * b * c])


def waves(x):
    a, b, c = x
    return jnp.stack([jnp.sin(a * b), jnp.sin(c), jnp.exp(c) * a])


@pytest.mark.parametrize("f, cheap", [(polynomial, True), (waves, False)])
def test_entries_of_sums_and_products_are_branches(f, cheap, monkeypatch):
    monkeypatch.setattr(order, "CLEARLY", np.inf)
    monkeypatch.setattr(order, "SEEN", -np.inf)
    told = []

    def seen(rows):
        told.append(_are_apart(rows))
        return told[-1]

    monkeypatch.setattr("jaxbp.across.singles._are_apart", seen)
    x = np.random.default_rng(2).uniform(0.2, 1, (5, 3))
    found = jax.jit(jax.vmap(jaxbp.jacobian(f)))(x)
    np.testing.assert_allclose(found, jax.vmap(jax.jacfwd(f))(x), rtol=1e-12)
    assert told == [cheap]


def test_operations_are_counted_once():
    counts = []

    @jax.jit
    def traced(x):
        double = x + x
        counts.append(operations([double * double, double - 1]))
        counts.append(operations([jnp.cos(double)]))
        return x

    traced(1.0)
    assert counts == [3, None]
    assert operations([2.0]) == 0  # made by nothing that is known


def test_nothing_is_looked_for_where_nothing_can_be_saved(monkeypatch):
    monkeypatch.setattr(order, "_eliminated", None)
    x = jnp.ones(3)
    found = jaxbp.jacobian(polynomial)(x)
    np.testing.assert_allclose(found, jax.jacfwd(polynomial)(x), rtol=1e-12)
