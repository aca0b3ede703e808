"""Programs that round at random: by how much, and through every kind of call."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxbp.checks.perturbed import perturbed

EPS = float(np.finfo(np.float32).eps)


def spread(f, *operands):
    """The largest relative move of f's value among a few random roundings."""
    run, exact = jax.jit(perturbed(f)), f(*operands)
    found = [run(np.uint32(seed), *operands) for seed in range(6)]
    assert all(y.dtype == exact.dtype and y.shape == exact.shape for y in found)
    return float(max(np.abs(y - exact).max() for y in found) / np.abs(exact).max())


def loops(x):
    def step(c, y):
        return jnp.sin(c + y), c * y

    c, ys = lax.scan(step, x[0], x)
    c = lax.while_loop(lambda c: c[0] < 5, lambda c: (c[0] + 1, c[1] * 1.1), (0, c))[1]
    return lax.cond(c > 0, jnp.cos, jnp.exp, c) + ys.sum() + jax.nn.relu(x[1])


@pytest.mark.parametrize("f", [jnp.sin, loops, jax.jit(loops), jax.checkpoint(loops)])
def test_moves_by_a_few_roundings(f):
    assert 0.2 * EPS < spread(f, jnp.linspace(0.5, 1.5, 5, dtype=jnp.float32)) < 9 * EPS


def test_an_offset_that_goes_exactly_does_no_harm():
    """x - 1000 is exact: its sine is as well known as without the offset."""
    x = 1000 + jnp.linspace(0.5, 1.5, 5, dtype=jnp.float32)
    assert spread(lambda x: jnp.sin(x - 1000), x) < 3 * EPS


def test_what_cancels_shows():
    x = jnp.linspace(0.5, 1.5, 5, dtype=jnp.float32)
    assert spread(lambda x: jnp.sin(x) + 1e4 - jnp.float32(1e4), x) > 1e3 * EPS


def test_moves_no_number_is_exact():
    x = jnp.linspace(0.5, 1.5, 4, dtype=jnp.float32)
    assert spread(lambda x: jnp.flip(jnp.maximum(x.reshape(2, 2).T, 1.0)), x) == 0


def test_a_loop_that_waits_for_a_tolerance_ends():
    newton = lambda a: lax.while_loop(  # noqa: E731
        lambda x: jnp.abs(x * x - a) > 1e-7 * a, lambda x: (x + a / x) / 2, a
    )
    assert spread(newton, jnp.float32(2.0)) < 4 * EPS


@pytest.mark.parametrize(
    "f",
    [
        lambda x: 316 * (x - jnp.mean(x[None], 0)) + x,
        lambda x: (x * 4 / 8 + 0.0).astype(jnp.float64),
        lambda x: jnp.cumsum(x[None], 0) * jnp.prod(jnp.ones((1, 1), x.dtype)),
    ],
    ids=["mean_of_one", "powers_of_two", "sum_of_one"],
)
def test_what_is_exact_is_not_moved(f):
    assert spread(f, jnp.linspace(0.5, 1.5, 5, dtype=jnp.float32)) < 2 * EPS
