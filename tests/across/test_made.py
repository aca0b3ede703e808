"""A sine that is spread over an axis is computed once; diagonals by comparing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.across.expand import one_by_one
from jaxbp.across.factor import Factor
from jaxbp.across.places import Axis, Label
from jaxbp.across.term import Term, identity


def rows_spread(a, b, c):
    return jnp.tanh(b @ jnp.sin(a))[:, None] + c.T


def rows_scaled(a, b, c):
    return jnp.exp(jnp.sin(b @ jnp.sin(a))[:, None] * c.T)


def outer(a, b, c):
    return jnp.sin(a)[:, None] * jnp.cos(c[0])[None, :]


def gathered(a, b, c):
    return jnp.cos(a)[jnp.arange(a.size) // 2, None] + c.T[:1]


FUNCTIONS = rows_spread, rows_scaled, outer, gathered


def arguments(n=70, m=20, k=30):
    rng = np.random.default_rng(0)
    return tuple([jnp.asarray(rng.normal(size=s)) for s in ((n,), (m, n), (k, m))])


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("jit", (False, True))
def test_values(function, jit):
    args = arguments()
    found = jaxbp.jacobian(function)
    found = (jax.jit(found) if jit else found)(*args)
    np.testing.assert_allclose(found, jax.jacfwd(function)(*args), 1e-12, 1e-12)


def test_under_vmap_and_again():
    args = arguments(66, 3, 260)
    xs = jnp.stack([args[0], 2 * args[0]])
    both = [
        jax.jit(jax.vmap(way(rows_spread), (0, None, None)))(xs, *args[1:])
        for way in (jaxbp.jacobian, jax.jacfwd)
    ]
    np.testing.assert_allclose(*both, 1e-12, 1e-12)
    sums = [
        jax.jit(jax.grad(lambda *a, way=way: jnp.sum(way(rows_spread)(*a) ** 2)))(*args)
        for way in (jaxbp.jacobian, jax.jacfwd)
    ]
    np.testing.assert_allclose(*sums, 1e-10, 1e-10)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="of XLA for CPUs")
def test_a_spread_sine_is_apart():
    args = arguments()
    text = jax.jit(jaxbp.jacobian(rows_spread)).lower(*args).compile().as_text()
    assert 'inlineable="false"' in text


def diagonal(n, m):
    """Of every (n, m) by n: entries where both positions along n are one."""
    labels = Label(n), Label(m)
    out = tuple([Axis(label.size, 0, ((label, 1),)) for label in labels])
    return Term(out, out[:1], Factor(labels, None))


def test_long_diagonals_are_compared_for():
    assert not one_by_one([diagonal(100, 90)], (100, 90, 100))
    assert len(one_by_one([diagonal(30, 90)], (30, 90, 30))) == 1  # short lines
    assert len(one_by_one([identity((1000,))], (1000, 1000))) == 1  # few entries
