"""Integers that follow from constants, worked out while they are traced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp import ir

TABLE = np.array([[3, -1, 2], [0, 4, 1]])
INDICES = {
    "negative": lambda: jnp.where(jnp.asarray(TABLE) < 0, TABLE + 5, TABLE),
    "arithmetic": lambda: 2 * jnp.arange(6).reshape(2, 3)[:, ::-1] - jnp.asarray(TABLE),
    "clipped": lambda: jnp.clip(jnp.arange(7) - 2, 0, 3),
    "joined": lambda: jnp.concatenate([jnp.asarray(TABLE).T, jnp.ones((1, 2), int)]),
    "logic": lambda: (jnp.arange(5) > 1) & ~(jnp.arange(5) == 3),
    "small": lambda: jnp.asarray(TABLE).astype("int8") ^ jnp.int8(7),
}


@pytest.mark.parametrize("make", INDICES.values(), ids=INDICES)
def test_what_follows_from_constants_is_known(make):
    found = []
    jax.jit(lambda x: found.append(ir.known(make())) or x)(0.0)
    np.testing.assert_array_equal(found[0], make())
    assert found[0].dtype == make().dtype
    np.testing.assert_array_equal(ir.known(make()), make())


def test_what_does_not_is_unknown():
    def f(x, i):
        assert ir.known(i + 1) is None
        assert ir.known(jnp.argmax(x)) is None
        assert ir.known(jnp.arange(1 << 15)) is None
        assert ir.known(jnp.ones(3)) is None
        return x

    jax.jit(f)(jnp.ones(3), 1)
    jax.vmap(f)(jnp.ones((2, 3)), jnp.arange(2))


APART = {
    "once": (lambda: (np.arange(4), np.arange(4) + 1), True),
    "twice": (lambda: (np.array([1, 2, 1]), np.array([0, 3, 0])), False),
    "negative": (lambda: (np.array([1, -6]), np.array([0, 0])), True),
    "rows": (lambda: np.array([4, 0, 2]), True),
    "outside": (lambda: (np.array([1, 9, 9]), np.array([0, 0, 0])), False),
}


@pytest.mark.parametrize("at, apart", APART.values(), ids=APART)
def test_no_winner_is_looked_for_where_writes_are_known_apart(at, apart):
    def f(x, u):
        y = jnp.sin(x).at[at()].set(u * u)
        for _ in range(2):
            y = y.at[at()].set(jnp.cos(y[at()]) * u)
        return jnp.sum(jnp.sin(y))

    x = jnp.linspace(0, 1, 42).reshape(6, 7)
    u = jnp.linspace(1, 2, jnp.zeros((6, 7))[at()].size).reshape(x[at()].shape)
    compiled = jax.jit(jaxbp.grad(f, (0, 1)))
    both = zip(compiled(x, u), jax.jit(jax.grad(f, (0, 1)))(x, u), strict=True)
    for ours, theirs in both:
        np.testing.assert_allclose(ours, theirs, 1e-12)
    assert ("reduce_min" in str(compiled.trace(x, u).jaxpr)) != apart


def test_writes_at_constants_in_a_loop_and_batched():
    rows = np.array([0, -1])

    def f(x):
        step = lambda c, _: (jnp.sin(c).at[rows].set(c[1:3] * x[:2]), None)  # noqa: E731
        return jnp.sum(jax.lax.scan(step, x, None, length=3)[0] ** 2)

    x = jnp.linspace(0.1, 1, 30).reshape(2, 5, 3)
    ours = jax.jit(jax.vmap(jaxbp.hessian(f)))(x)
    np.testing.assert_allclose(ours, jax.jit(jax.vmap(jax.hessian(f)))(x), 1e-10, 1e-13)
