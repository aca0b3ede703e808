"""What seeds and doubts are made of: constants before loops, arrays that several
products read, and orders for many examples at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp import tree
from jaxbp.across.made import again


@pytest.fixture(autouse=True)
def in_double():
    with jax.enable_x64(True):
        yield


def variance(p, y):
    """A recurrence of one number by three, that gives something at every step."""

    def step(h, y):
        h = p[0] + p[1] * y**2 + p[2] * h
        return h, jnp.log(h) + y**2 / h

    return lax.scan(step, 1.0, y)[1]


def last(p, y):
    return lax.fori_loop(
        0, 5, lambda i, v: jnp.sin(v * p[0]) + p[1] * jnp.asarray(y)[i], p[2]
    )


def tree_of(p, y):
    out = variance(p["a"], y)
    return {"sum": out.sum() * p["b"], "all": out[:4] * p["b"]}


P, Y = np.array([0.1, 0.2, 0.7]), np.linspace(0.3, 1.2, 12)


@pytest.mark.parametrize("f", [variance, last])
def test_values_through_loops(f):
    expected = jax.jacfwd(f)(P, Y)
    for found in (
        jaxbp.jacobian(f)(P, Y),
        jax.jit(jaxbp.jacobian(f))(P, Y),
        jax.vmap(jaxbp.jacobian(f), (0, None))(np.stack([P, P]), Y)[1],
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_trees_aux_and_nested():
    p = {"a": P, "b": np.float64(2.0)}
    found, aux = jaxbp.jacobian(lambda p, y: (tree_of(p, y), y), has_aux=True)(p, Y)
    expected = jax.jacfwd(tree_of)(p, Y)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found,
                 expected)  # fmt: skip
    np.testing.assert_array_equal(aux, Y)
    twice = jaxbp.jacobian(jaxbp.jacobian(variance))(P, Y)
    np.testing.assert_allclose(twice, jax.jacfwd(jax.jacfwd(variance))(P, Y), rtol=1e-9)


def test_a_small_basis_before_a_loop_is_a_constant():
    """Then no kernel cuts it: with nine kernels XLA for CPUs starts threads."""
    text = str(jax.make_jaxpr(jaxbp.jacobian(variance))(P, Y))
    assert "iota" not in text
    large = np.full(100, 0.3)
    f = lambda x: lax.fori_loop(0, 3, lambda i, v: jnp.sin(v) * x, x)  # noqa: E731
    assert "iota" in str(jax.make_jaxpr(jaxbp.jacobian(f))(large))


@pytest.mark.parametrize("known", [0, 100])
def test_basis(known):
    leaves = {"a": np.float32(1), "b": np.ones((2, 2)), "c": np.ones(0)}
    found = tree.basis(leaves, known)
    assert [x.shape for x in jax.tree.leaves(found)] == [(5,), (5, 2, 2), (5, 0)]
    assert found["a"].dtype == np.float32
    flat = np.concatenate([np.reshape(x, (5, -1)) for x in found.values()], 1)
    np.testing.assert_array_equal(flat, np.eye(5))


def smile(p, strikes):
    """A sine of a large matrix that the columns of several parameters read."""
    at = jnp.linspace(0.1, 20.0, 64)
    value = jnp.exp(-at * p[0] ** 2) * jnp.cos(at * p[1] * p[2]) / (1 + p[3] * at)
    return (value[None] * jnp.cos(at[None] * strikes[:, None])).sum(1)


def test_what_several_products_read_is_computed_once():
    p, strikes = np.array([0.3, 1.5, 0.7, 0.2]), np.linspace(-0.4, 0.4, 25)
    expected = jax.jacfwd(smile)(p, strikes)
    call = jax.jit(jaxbp.jacobian(smile))
    np.testing.assert_allclose(call(p, strikes), expected, rtol=1e-10, atol=1e-12)
    stacked = np.stack([p, 2 * p])
    found = jax.vmap(jaxbp.jacobian(smile), (0, None))(stacked, strikes)
    np.testing.assert_allclose(found[0], expected, rtol=1e-10, atol=1e-12)
    of_sum = jax.grad(lambda p: (jaxbp.jacobian(smile)(p, strikes) ** 2).sum())(p)
    wanted = jax.grad(lambda p: (jax.jacfwd(smile)(p, strikes) ** 2).sum())(p)
    np.testing.assert_allclose(of_sum, wanted, rtol=1e-9)


def test_sines_alone_are_kept():
    names = []

    def traced(x):
        square = x[:, None] * x[None]
        matrix = jnp.cos(square)
        for value, often in ((matrix, 3), (matrix, 1), (square, 3)):
            names.append(again(value, often) is value)
        return x

    jax.make_jaxpr(traced)(np.ones(40))
    assert names == [False, True, True]


def test_many_small_examples_take_an_order():
    """Small products apart are multiplied as an order says."""

    def leg(q, link):
        p = jnp.zeros(3)
        for i in reversed(range(3)):
            c, s = jnp.cos(q[i]), jnp.sin(q[i])
            turn = jnp.stack([jnp.array([c, -s, 0.0]), jnp.array([s, c, 0.0]),
                              jnp.array([0.0, 0.0, 1.0])])  # fmt: skip
            p = turn @ (link[i] + p)
        return p

    q, link = np.linspace(0.1, 1.0, 60).reshape(20, 3), np.eye(3) + 0.5
    found = jax.jit(jax.vmap(jaxbp.jacobian(leg), (0, None)))(q, link)
    expected = jax.vmap(jax.jacfwd(leg), (0, None))(q, link)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
