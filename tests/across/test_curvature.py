"""Laplacians and diagonals of Hessians, where no order of elimination gives them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.across import curvature
from jaxbp.across.whole import Whole

X = np.linspace(0.2, 1.1, 5)
W = np.random.default_rng(0).normal(size=(7, 5))


def network(x):
    return jnp.sum(jnp.tanh(W @ x) ** 2)


def through_complex(x):
    turned = jax.lax.complex(jnp.cos(x) + x, jnp.sin(x))
    return jnp.sum((turned * turned.conj()).real ** 2)


def in_two_types(x):
    return jnp.sum(jnp.sin(x.astype(jnp.float32)) ** 2).astype(x.dtype) + jnp.prod(x)


@pytest.fixture
def crossed(monkeypatch):
    """What `_across` gave, each time: None where a mode is taken."""
    given, across = [], curvature._across

    def spied(*args):
        given.append(across(*args))
        return given[-1]

    monkeypatch.setattr(curvature, "_across", spied)
    return given


@pytest.fixture
def cheap_modes(monkeypatch):
    """The modes are predicted to take no time at all."""
    plan = Whole.plan

    def planned(self, every=True):
        found = plan(self, every)
        ways = [w if w.order else w._replace(time_s=-1.0) for w in found.ways]
        mode = next(way for way in ways if not way.order)
        return dataclasses.replace(found, ways=tuple(ways), chosen=mode)

    monkeypatch.setattr(Whole, "plan", planned)


def agree(f, x, tolerance=1e-12):
    wanted = jax.hessian(f)(x)
    for jit in (lambda g: g, jax.jit):
        found = jit(jaxbp.laplacian(f))(x)
        np.testing.assert_allclose(found, jnp.trace(wanted), rtol=tolerance)
        diagonal = jit(jaxbp.hessian_diagonal(f))(x)
        np.testing.assert_allclose(diagonal, jnp.diagonal(wanted), rtol=tolerance)


def test_by_an_order(crossed):
    agree(network, X)
    assert crossed and None not in crossed


def test_by_a_mode_that_is_predicted_to_take_less(crossed, cheap_modes):
    agree(network, X)
    assert crossed and crossed == [None] * len(crossed)


def test_by_a_mode_under_vmap_and_in_a_gradient(cheap_modes):
    xs = np.stack([X, X[::-1], X + 0.3])
    trace = lambda x: jnp.trace(jax.hessian(network)(x))  # noqa: E731
    found = jax.vmap(jaxbp.laplacian(network))(xs)
    np.testing.assert_allclose(found, jax.vmap(trace)(xs), rtol=1e-12)
    slope = jax.grad(jaxbp.laplacian(network))(X)
    np.testing.assert_allclose(slope, jax.grad(trace)(X), rtol=1e-10)


@pytest.mark.parametrize(
    "f, tolerance", [(through_complex, 1e-12), (in_two_types, 1e-5)]
)
def test_by_a_mode_where_no_vertex_can_be_eliminated(f, tolerance, crossed):
    agree(f, X, tolerance)
    assert not crossed


def test_by_a_mode_where_a_map_has_one_direction_alone(monkeypatch):
    def refused(*args):
        raise jaxbp.errors.JaxbpError("it cannot be pulled back")

    monkeypatch.setattr(curvature, "_closed", refused)
    agree(network, X)
