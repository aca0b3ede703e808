"""Residuals of a loop's step that are equal are stacked once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.control.loop.alike import _first_of_each


def likelihood(model):
    A, seen = model

    def step(P, y):
        S = A @ P @ A.T + jnp.eye(len(A))
        inside = y @ jnp.linalg.solve(S, y) + jnp.linalg.slogdet(S)[1]
        return P - 0.1 * jnp.linalg.solve(S, P).T @ P, inside

    return jnp.sum(lax.scan(step, jnp.eye(len(A)), seen)[1])


def turned_twice(x):
    def step(c, row):
        c = jnp.tanh(c @ row.T) + jnp.sin(c.T).T
        return c, jnp.sum(jnp.sin(c) * jnp.tanh(c.T).T)

    return jnp.sum(lax.scan(step, x[0], x[1:])[1])


def nearly_alike(x):
    """The same operations with other operands, other parameters, other numbers."""

    def step(c, row):
        a = jnp.sin(c + 1.0) * jnp.sin(c + 2.0) * jnp.sin(c + 1.0)
        b = jnp.cumsum(jnp.exp(a)) * jnp.cumsum(jnp.exp(a), axis=0)
        d = jnp.exp(lax.cumsum(c, reverse=True)) * jnp.exp(lax.cumsum(c))
        return jnp.tanh(a + row), jnp.sum(b * d * row)

    return jnp.sum(lax.scan(step, x[0], x[1:])[1])


def draw(*shape):
    return jnp.asarray(np.random.default_rng(3).normal(size=shape))


CASES = {
    "likelihood": (likelihood, (0.3 * draw(3, 3), draw(7, 3))),
    "turned_twice": (turned_twice, 0.3 * draw(5, 4, 4)),
    "nearly_alike": (nearly_alike, 0.3 * draw(6, 5)),
}


@pytest.mark.parametrize("name", CASES)
def test_values_are_jax_s(name):
    f, x = CASES[name]

    def asked(value_and_grad):
        g = value_and_grad(f)
        many = jax.tree.map(lambda a: jnp.stack([a, 0.5 * a]), x)
        if name != "turned_twice":
            return jax.vmap(g)(many)
        return g(x), jax.vmap(g)(many), jax.jvp(lambda x: g(x)[1], (x,), (x,))[1]

    ours = jax.jit(lambda: asked(jaxbp.value_and_grad))()
    theirs = jax.jit(lambda: asked(jax.value_and_grad))()
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def stacked(f, x):
    """Matrices that the first loop of a gradient gives, step by step."""
    eqns = jax.make_jaxpr(jaxbp.value_and_grad(f))(x).jaxpr.eqns
    scan = next(eqn for eqn in eqns if eqn.primitive.name == "scan")
    return [v.aval for v in scan.outvars if v.aval.ndim == 3]


def test_factors_are_kept_once():
    f, x = CASES["likelihood"]
    avals = stacked(f, x)
    # The factors of S once, and no mask of its diagonal.
    assert len(avals) <= 6, avals
    assert all(a.dtype == float for a in avals)


def test_what_is_alike_is_found_and_nothing_else():
    found = []

    def f(x, y):
        values = [
            jnp.sin(x + 1.0),
            jnp.sin(x + 1.0),
            jnp.sin(x + 2.0),
            jnp.sin(y + 1.0),
            lax.cumsum(x),
            lax.cumsum(x, reverse=True),
            x.T.T,
            lax.stop_gradient(x),
            *lax.linalg.lu(x)[:2],
            *lax.linalg.lu(x)[:2],
        ]
        first = _first_of_each([x, y, *values])
        at = {id(v): i for i, v in enumerate([x, y, *values])}
        found.append({at[i]: at[id(value)] for i, value in first.items()})
        return values

    jax.make_jaxpr(f)(jnp.eye(3), jnp.eye(3))
    assert found == [{3: 2, 8: 0, 12: 10, 13: 11}]
