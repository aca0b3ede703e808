"""Loops of a few numbers: steps pulled many at once give what step by step gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.control.loop import few
from jaxbp.linear.loop import at_once
from jaxbp.linear.loop.at_once import AtOnce

P = np.array([0.9, 0.3, -0.2])


def stages(c, p, x=0.01, count=9):
    """Many operations on the numbers of `c`."""
    a, b = c
    for _ in range(count):
        a, b = a + 0.05 * jnp.sin(b) * p[0], b - 0.05 * a * p[1] + p[2] * x
    return a, b


def pair(p, length=150, **options):
    xs = jnp.sin(jnp.arange(length, dtype=p.dtype) * p[0])

    def step(c, x):
        a, b = stages(c, p, x)
        return (a, b), a * x

    c, ys = lax.scan(step, (p[0], p[1]), xs, **options)
    return c[0] * c[1] + jnp.sum(ys**2)


def reverse(p):
    return pair(p, 100, reverse=True)


def in_blocks(p):
    """Of 1031 steps, which no block divides."""
    return pair(p, 1031)


def backwards_in_blocks(p):
    return pair(p, 1031, reverse=True)


def vector(p):
    """A vector and a number; a table read by index; a counter and a mask beside."""
    table = jnp.linspace(p[0], p[1], 600)

    def step(i, c):
        x, total, low = c
        for _ in range(6):
            x = x + 0.02 * jnp.array([x[1] * x[2], jnp.cos(x[0]), -x[1]]) * p
        total = total + table[i] * x[0]
        return jnp.where(low, x, x * 0.99), total, x[0] < 0.5

    x, total, _ = lax.fori_loop(3, 90, step, (p, p[2], True))
    return total + x @ x


def stops(p):
    """A carry that moves at the start alone, and an output that does not."""

    def step(c, _):
        a, b, gone = c
        a, b = stages((a + gone, b), p)
        return (a, b, jnp.zeros_like(gone)), jnp.full(2, 3, a.dtype)

    (a, b, _), ys = lax.scan(step, (p[0], p[1], p[2]), None, length=64)
    return a * b * ys.sum()


PROGRAMS = pair, reverse, in_blocks, backwards_in_blocks, vector, stops


@pytest.fixture(autouse=True)
def _not_one_function(monkeypatch):
    monkeypatch.setattr(few, "is_one_function", lambda jaxpr: False)


def loops(f, x):
    _, pushforward = jaxbp.linearize(f, x)
    edges = pushforward.program.opened().structure.edges
    return [edge.map for edge in edges if isinstance(edge.map, AtOnce)]


CASES = [*[(f, np.float64) for f in PROGRAMS], (pair, np.float32)]


@pytest.mark.parametrize(
    ("f", "dtype"), CASES, ids=[f"{f.__name__}-{np.dtype(d)}" for f, d in CASES]
)
def test_gives_what_step_by_step_gives(f, dtype):
    p = jnp.asarray(P, dtype)
    assert loops(f, p)
    found = jax.jit(jaxbp.value_and_grad(f))(p)
    for one, other in zip(found, jax.jit(jax.value_and_grad(f))(p), strict=True):
        assert one.dtype == other.dtype
        tolerance = 2e-4 if dtype == np.float32 else 1e-11
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def test_nests_and_batches():
    f = stops

    @jax.jit
    def doors(x):
        forward = jaxbp.jvp(jaxbp.grad(f), (x,), (x,))[1]
        return forward, jaxbp.grad(lambda y: jaxbp.grad(f)(y) @ x)(x)

    x = jnp.asarray(P)
    expected = jax.jit(lambda x: jax.jvp(jax.grad(f), (x,), (x,))[1])(x)
    for found in doors(x):
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    many = jnp.stack([x, 0.5 * x])
    np.testing.assert_allclose(
        jax.jit(jax.vmap(jaxbp.grad(f)))(many),
        jax.jit(jax.vmap(jax.grad(f)))(many),
        rtol=1e-11,
    )


def test_a_loop_of_little_work_is_pulled_step_by_step():
    def little(p):
        step = lambda c, _: (c + 0.1 * jnp.sin(c) * p[0], None)  # noqa: E731
        return lax.scan(step, p[1], None, length=100)[0]

    assert not loops(little, jnp.asarray(P))
    with jaxbp.options(scan_residuals="stack"):
        assert not loops(pair, jnp.asarray(P))


@pytest.mark.parametrize("carried", [1, 3, 12])
def test_stretches_are_all_steps_once(carried):
    for length in (32, 33, 127, 128, 331, 1000, 1009, 4096):
        size, stretches = at_once._stretches(length, carried)
        assert [a for a, _ in stretches] == [0, *[b for _, b in stretches[:-1]]]
        assert stretches[-1][1] == length
        assert all((b - a) % size == 0 or b - a < size for a, b in stretches)
