"""Scans gone through backwards within a number of bytes: values, counts, memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from tests.control.loop.count_runs import counted


def net(w, h, us, reverse=False):
    """A carried integer, and elements and outputs of which some are integers."""

    def step(carry, x):
        n, h = carry
        u, place = x
        h = jnp.tanh(w * h + u) + 0.01 * n * u[place]
        return (n + 1, h), (h.sum(), n)

    places = jnp.arange(len(us)) % 3
    (_, h), (ys, _) = lax.scan(step, (0, h), (us, places), reverse=reverse)
    return (h**2).sum() + jnp.sin(ys).sum()


def small(w, h, us):
    return lax.scan(lambda h, u: (jnp.sin(w * h + u), None), h, us)[0].sum()


W, H = jnp.array([0.3, 0.9, -0.5]), jnp.array([0.1, -0.2, 0.3])
US = jnp.cos(jnp.arange(123.0)).reshape(41, 3)


def close(ours, theirs, rtol=1e-10):
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol, 1e-11)


def gradient(f, budget, argnums=(0, 1, 2)):
    return jaxbp.grad(f, argnums, options=jaxbp.Options(loop_bytes=budget))


CASES = [(0, False), (400, True), (3000, False)]  # 41, 11 and 2 blocks


@pytest.mark.parametrize(("budget", "reverse"), CASES)
def test_gradients_and_forward_over_them(budget, reverse):
    f = lambda *xs: net(*xs, reverse)  # noqa: E731
    way = W * H, H - W, jnp.sin(US)
    ours, theirs = gradient(f, budget), jax.grad(f, (0, 1, 2))
    found = jax.jit(lambda *xs: jaxbp.jvp(ours, xs, way))(W, H, US)
    close(found, jax.jit(lambda *xs: jax.jvp(theirs, xs, way))(W, H, US))


def test_reverse_over_reverse_and_a_batch():
    way = W * W, H, US
    ours, theirs = gradient(small, 200), jax.grad(small, (0, 1, 2))
    twice = jax.jit(lambda *xs: jaxbp.vjp(ours, *xs)[1](way))(W, H, US)
    close(twice, jax.jit(lambda *xs: jax.jvp(theirs, xs, way)[1])(W, H, US))
    many = jnp.stack([H, 2 * H])
    batch = lambda g: jax.jit(jax.vmap(g, (None, 0, None)))(W, many, US)  # noqa: E731
    close(batch(ours), batch(theirs))


def test_a_loop_in_a_loop_rules_of_its_own_and_no_carry():
    @jax.custom_vjp
    def doubled(x):
        return x

    doubled.defvjp(lambda x: (2 * x, None), lambda _, y_bar: (2 * y_bar,))

    def f(w, h, us):
        def inner(h, u):
            return jnp.sin(h * w.sum() + doubled(u)), None

        def step(h, u):
            h = lax.scan(inner, h, jnp.stack([u, u]))[0]
            return h, lax.while_loop(lambda c: c < 3, lambda c: 1.5 * c + 1, h[0])

        h, ys = lax.scan(step, h, us)
        return h.sum() + ys.sum() + lax.map(jnp.tanh, us).sum()

    found = jax.jit(gradient(f, 0))(W, H, US)
    close(found, jax.jit(jaxbp.grad(f, (0, 1, 2)))(W, H, US))


@pytest.mark.parametrize("length", [0, 1, 2])
def test_lengths_that_are_short(length):
    us = US[:length]
    found = jax.jit(gradient(small, 0))(W, H, us)
    close(found, jax.jit(jax.grad(small, (0, 1, 2)))(W, H, us))


@pytest.mark.parametrize(("length", "budget"), [(1000, 100), (997, 1000), (300, 9)])
def test_the_step_runs_as_often_as_planned(length, budget):
    """Of a million steps: python -m tests.control.loop.count_runs."""
    plan, runs, _, off = counted(length, budget)
    assert runs <= 1.05 * plan.runs and off < 1e-9


@pytest.fixture
def optimised(compile_quickly):
    jax.config.update("jax_disable_most_optimizations", False)


def temporary(length, budget, size):
    def f(x, w):
        step = lambda x, _: (jnp.tanh(w * x), None)  # noqa: E731
        return lax.scan(step, x, None, length=length)[0].sum()

    x = jnp.linspace(0.0, 1.0, size)
    run = jax.jit(gradient(f, budget, (0, 1))).lower(x, x)
    return run.compile().memory_analysis().temp_size_in_bytes


def test_memory_follows_the_budget_and_not_the_length(optimised):
    size = 1 << 12
    state = 8 * size
    assert temporary(200, 40 * state, size) < 50 * state
    assert temporary(211, 80 * state, size) < 92 * state  # blocks that do not divide it
    assert temporary(1000, 40 * state, size) < 50 * state
