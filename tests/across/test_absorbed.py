"""Diagonals that join the blocks that hold them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.across.block import HELD, Block, joined
from jaxbp.across.expand import dense
from jaxbp.across.factor import Factor
from jaxbp.across.places import Label, along
from jaxbp.across.term import Term
from jaxbp.across.work import Work

F64 = np.dtype(np.float64)


def energy(x):
    """Of pairs of points: their gap, squared, and a function of it."""
    gap = x[:, None] - x[None]
    s = jnp.sum(gap**2, axis=-1) + jnp.eye(x.shape[0])
    return jnp.sum((1 - jnp.eye(x.shape[0])) * jnp.exp(-s) * s**-2)


@pytest.mark.parametrize("shape", [(5, 3), (1, 2), (4, 1), (7, 2)])
def test_hessian_of_pairs(shape):
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape))
    wanted = jax.hessian(energy)(x)
    for f in (jaxbp.hessian(energy), jax.jit(jaxbp.hessian(energy))):
        np.testing.assert_allclose(f(x), wanted, rtol=1e-9, atol=1e-11)
    found = jax.vmap(jaxbp.hessian(energy))(jnp.stack([x, 2 * x]))[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11)


def test_the_blocks_of_pairs_are_computed_once():
    """Blocks of 3 by 3: of each pair one, summed over either; no matrix products."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(16, 3)))
    found = jax.make_jaxpr(jaxbp.hessian(energy))(x)
    assert "dot_general[" not in str(found)
    blocks = [
        one
        for one in found.eqns
        if one.primitive.name == "mul"
        and one.outvars[0].aval.shape == (16, 16, 3, 3)
        and all(len(getattr(v.aval, "shape", ())) == 4 for v in one.invars)
    ]
    assert len(blocks) <= 3  # the product, and its signs


def pair(n, m, wide, value):
    """A diagonal along two axes of a matrix (n, m) by (n, m), and a block along m."""
    i, j, k = Label(n), Label(m), Label(m)
    axes = {label: along(label.size) for label in (i, j, k)}
    for label, axis in axes.items():
        axes[label] = axis._replace(steps=((label, 1),))
    narrow = Term((axes[i], axes[j]), (axes[i], axes[j]), Factor((i, j), value))
    block = Term((axes[i], axes[j]), (axes[i], axes[k]), Factor((i, j, k), wide))
    return block, narrow


@pytest.mark.parametrize("m", [2, HELD, HELD + 1])
def test_a_diagonal_joins_a_block_of_few_times_its_entries(m):
    rng = np.random.default_rng(1)
    value = jnp.asarray(rng.normal(size=(3, m))).at[0, 0].set(jnp.inf)
    wide = jnp.asarray(rng.normal(size=(3, m, m)))
    shape, joins = (3, m), m <= HELD
    for plan in (False, True):
        both = (None, None) if plan else (wide, value)
        terms = pair(3, m, *both)
        work = Work(F64, None, plan)
        found = joined(Block(terms), work)
        assert len(found.terms) == (1 if joins else 2)
        assert (work.time_s > 0) == work.joined == joins
        if not plan:
            whole = dense(list(found.terms), (*shape, *shape), F64)
            wanted = dense(list(terms), (*shape, *shape), F64)
            np.testing.assert_array_equal(whole, wanted)
            assert np.isinf(whole).sum() == 1 and not np.isnan(whole).any()
