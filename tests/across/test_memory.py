"""What is remembered of a plan changes nothing of what is found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.across import memory
from jaxbp.across.block import Block, times
from jaxbp.across.places import Axis, Label
from jaxbp.across.term import Term, identity
from jaxbp.across.work import Work


def repeated(x, w):
    """Steps of one form: slices, numbers, products, sums of two ways."""
    for _ in range(5):
        a = jnp.sin(x[:4])
        x = jnp.concatenate([x[4:] * a, 1.5 * a]) + w @ x + x[::-1]
    return x


def pairs(x, w):
    """Blocks with gaps of pairs, and places that are known at run time alone."""
    for _ in range(3):
        gap = x[:, None] - x[None]
        x = jnp.sum(gap * jnp.exp(-gap * gap), 1) + x[jnp.argsort(w[0])]
    return jnp.stack([x, x**2])


@pytest.mark.parametrize("f", [repeated, pairs])
def test_ways_are_those_found_without_it(f, monkeypatch):
    x, w = np.linspace(0.1, 0.9, 8), np.cos(np.arange(64.0)).reshape(8, 8)
    plan = jaxbp.jacobian(f).plan(x, w)
    monkeypatch.setattr(
        memory.Memory, "once", lambda self, of, how, find, work: find(work)
    )
    other = jaxbp.jacobian(f).plan(x, w)
    assert [way.key for way in plan.ways] == [way.key for way in other.ways]
    assert plan.chosen.key == other.chosen.key
    for mine, its in zip(plan.ways, other.ways, strict=True):
        np.testing.assert_allclose(mine[2:4], its[2:4], rtol=1e-12)
        assert mine[4:6] == its[4:6]


@pytest.mark.parametrize("f", [repeated, pairs])
def test_values_by_every_order(f):
    with jax.enable_x64(True):
        x, w = np.linspace(0.1, 0.9, 8), np.cos(np.arange(64.0)).reshape(8, 8)
        found = jax.jit(jaxbp.jacobian(f))(x, w)
        np.testing.assert_allclose(found, jax.jacfwd(f)(x, w), rtol=1e-9, atol=1e-12)


def counted() -> Work:
    return Work(np.float32, None, plan=True)


def dense(size: int) -> Block:
    out, of = Label(size), Label(size)
    axes = [(Axis(size, 0, ((label, 1),)),) for label in (out, of)]
    return Block(
        (Term(*axes, identity(()).factor._replace(labels=(out, of), array=None)),)
    )


def test_a_block_times_itself():
    """One block on two edges: its labels are two, and the product is a matrix's."""
    work, block = counted(), dense(3)
    found = times(block, block, [(3,), (3,), (3,)], work)
    (term,) = found.terms
    assert len(set(term.factor.labels)) == 2 and work.kernels == 1
    assert work.memory.block(found) is work.memory.block(dense(3))


def test_what_is_counted_once_is_added_every_time():
    work, a, b = counted(), dense(3), dense(3)
    one = times(a, b, [(3,), (3,), (3,)], work)
    spent = work.flops, work.kernels
    assert times(a, b, [(3,), (3,), (3,)], work) is one
    assert (work.flops, work.kernels) == (2 * spent[0], 2 * spent[1])


def scaled(number) -> Block:
    term = identity((3,))
    return Block((term._replace(factor=term.factor._replace(array=number)),))


def test_forms():
    """Numbers are one but for 1 and -1, sizes and places are not."""
    known = memory.Memory()
    first = known.block(scaled(2.0))
    assert known.block(scaled(3.0)) is first
    assert known.block(scaled(1)) is not first
    assert known.block(scaled(-1)) is not known.block(scaled(1))
    assert known.block(Block((identity((4,)),))) is not known.block(scaled(1))
