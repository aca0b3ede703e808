"""A coefficient's sign is kept beside it: no pass and no array of its own."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.across.factor import Factor, added, multiplied, number, spread, summed
from jaxbp.across.places import Label

F64 = np.dtype(np.float64)
ROW, COLUMN, K = Label(3), Label(4), Label(2)


def grid(factor, labels):
    """The coefficient on the grid of all labels."""
    shape = [label.size for label in labels]
    return np.broadcast_to(np.asarray(spread(factor, labels), F64), shape)


def factors():
    rng = np.random.default_rng(0)
    for labels in ((), (ROW,), (ROW, COLUMN), (COLUMN, K)):
        array = jnp.asarray(rng.normal(size=[label.size for label in labels]))
        yield Factor(labels, array)
        yield Factor(labels, array, negative=True)
    yield Factor((ROW, COLUMN), jnp.asarray(rng.normal(size=(3, 4)) > 0), True)
    yield Factor((), -1)
    yield Factor((), 3)


PAIRS = list(itertools.combinations_with_replacement(factors(), 2))


@pytest.mark.parametrize("a, b", PAIRS)
def test_products_and_sums_have_the_sign(a, b):
    labels = (ROW, COLUMN, K)
    mine, its = grid(a, labels), grid(b, labels)
    held = [x for x in labels if x in (*a.labels, *b.labels)]
    for kept in ([], [ROW], [ROW, COLUMN], held):
        lost = tuple([i for i, x in enumerate(labels) if x in held and x not in kept])
        found = multiplied(a, b, tuple(kept), F64, None)
        wanted = np.sum(mine * its, lost, keepdims=True)
        np.testing.assert_allclose(
            grid(found, labels), np.broadcast_to(wanted, mine.shape), rtol=1e-12
        )
        assert not (found.negative and (found.mask or not hasattr(found.array, "ndim")))
    found = added(a, b, F64)
    np.testing.assert_allclose(grid(found, labels), mine + its, rtol=1e-12)
    assert not found.mask and np.all(
        np.asarray(number(found, F64)) == np.asarray(spread(found, found.labels))
    )
    lost = tuple([i for i, x in enumerate(labels) if x in a.labels and x is not ROW])
    wanted = np.broadcast_to(np.sum(mine, lost, keepdims=True), mine.shape)
    np.testing.assert_allclose(grid(summed(a, [ROW], F64), labels), wanted, rtol=1e-12)


def pairs(x):
    gap = x[:, None] - x[None]
    return jnp.sum(-jnp.exp(-(gap**2)) * gap, 1) - 2 * x[::-1]


def test_minus_takes_no_pass():
    x = jnp.arange(1.0, 8) / 7
    found = jax.make_jaxpr(jaxbp.jacobian(pairs))(x)
    minus = [
        one
        for one in found.eqns
        if one.primitive.name == "mul"
        and any(str(v) in ("-1.0", "-1.0:f64[]") for v in one.invars)
    ]
    assert not minus
    np.testing.assert_allclose(
        jaxbp.jacobian(pairs)(x), jax.jacfwd(pairs)(x), rtol=1e-9, atol=1e-12
    )


def bounded(x):
    return -jnp.sqrt(x) + x[::-1] * jnp.cos(-x), -jnp.cumsum(-x)


def test_infinite_slopes_keep_their_sign():
    x = jnp.arange(300.0)
    assert jaxbp.jacobian(bounded).plan(x).chosen.order
    (found, _) = jax.jit(jaxbp.jacobian(bounded))(x)
    assert found[0, 0] == -jnp.inf and not jnp.isnan(found).any()
    found, wanted = jaxbp.jacobian(bounded)(x + 1), jax.jacrev(bounded)(x + 1)
    jax.tree.map(np.testing.assert_allclose, found, wanted)
