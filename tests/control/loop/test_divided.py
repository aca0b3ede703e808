"""Loops within a loop, a part of which is the same at every step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.control.loop import scan
from jaxbp.control.loop.divided import divided
from jaxbp.study import stacked_bytes

A = jnp.array([0.3, -0.2, 0.4, 0.1, 0.25])
B = 2 + A * A
V = jnp.linspace(-1.0, 1.0, 5)


def tridiagonal(a, b, v):
    """Elimination and back: the first carry and output depend on a and b alone."""

    def down(carry, row):
        c, d = carry
        a, b, v = row
        m = b - a * c
        return (a / m, (v - a * d) / m), (a / m, (v - a * d) / m)

    _, (c, d) = lax.scan(down, (0.0, 0.0), (a, b, v))
    up = lambda x, row: (row[1] - row[0] * x,) * 2  # noqa: E731
    return lax.scan(up, 0.0, (c, d), reverse=True)[1]


def counted(a, b, v):
    """A fixed carry beside a count that both parts read by."""

    def step(i, carry):
        scale, v = carry
        return jnp.sin(scale) + a[i], v.at[i].add(scale * b[i] * v[i - 1])

    return lax.fori_loop(0, 5, step, (a[0], v))[1]


def backwards(a, b, v):
    """In reverse, with an integer and a mask that follow from what is fixed."""

    def step(carry, row):
        s, k, y = carry
        a, v = row
        s = jnp.where(s > 0, s * a, a - s)
        return (s, k + 1, y * s + v * k), (y, s > 0)

    (_, _, y), (ys, on) = lax.scan(step, (b[0], 0, v[0]), (a, v), reverse=True)
    return y + ys * jnp.where(on, 1.0, 0.5)


CASES = [tridiagonal, counted, backwards]


def outer(inner):
    def run(a, b, v):
        step = lambda v, _: (0.5 * v + inner(a, b, v), v[0])  # noqa: E731
        v, first = lax.scan(step, v, None, length=4)
        return jnp.sum(v * v) + jnp.sum(first)

    return run


@pytest.mark.parametrize("inner", CASES)
def test_derivatives_are_those_of_the_whole_loop(inner):
    run, args = outer(inner), (A, B, V)
    body = jax.make_jaxpr(lambda a, b, v: inner(a, b, v))(*args).jaxpr
    assert len(divided(body, frozenset(body.invars[:2])).eqns) > len(body.eqns)
    came = jax.jit(jaxbp.grad(run, (0, 1, 2)))(*args)
    expected = jax.jit(jax.grad(run, (0, 1, 2)))(*args)
    pushed = jax.jit(lambda: jaxbp.jvp(run, args, args)[1])()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-11), came, expected)
    along = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, expected, args)))
    np.testing.assert_allclose(pushed, along, 1e-11)


def test_derivatives_of_derivatives():
    run = outer(tridiagonal)

    def second(grad):
        return jax.jit(grad(lambda a: jnp.sum(grad(run)(a, B, V) ** 2)))(A)

    came, expected = second(jaxbp.grad), second(jax.grad)
    np.testing.assert_allclose(came, expected, 1e-10)


def test_what_is_fixed_is_not_kept_at_every_step(monkeypatch):
    less = stacked_bytes(jaxbp.grad(outer(tridiagonal), (0, 1, 2)), A, B, V)
    monkeypatch.setattr(scan, "divided", lambda body, invariants: body)
    whole = stacked_bytes(jaxbp.grad(outer(tridiagonal), (0, 1, 2)), A, B, V)
    assert whole >= less + 2 * 4 * A.nbytes


def test_a_loop_with_nothing_to_do_once_stays_whole():
    def loop(a, v):
        step = lambda i, v: v + a[i] * jnp.sin(v)  # noqa: E731
        return lax.fori_loop(0, 5, step, v)

    body = jax.make_jaxpr(loop)(A, V).jaxpr
    assert divided(body, frozenset(body.invars[:1])) is body
