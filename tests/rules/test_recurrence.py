"""Tangents of cumulative products and logarithms of sums, as recurrences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.rules.recurrence import recurrence

SHAPES = {"one_row": ((3,), 0), "blocks": ((150, 2), 0), "rows": ((2, 5, 2), 1)}


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("shape, axis", SHAPES.values(), ids=SHAPES)
def test_values_are_those_of_the_loop(shape, axis, reverse):
    ratio, x = np.random.default_rng(0).uniform(-1.5, 1, (2, *shape))
    compiled = jax.jit(lambda *given: recurrence(*given, axis, reverse))
    rows = [np.moveaxis(v, axis, 0) for v in (ratio, x)]
    order = range(len(rows[0]))[:: -1 if reverse else 1]
    expected, s = np.zeros_like(rows[1]), 0.0
    for i in order:
        s = expected[i] = rows[0][i] * s + rows[1][i]
    found = np.moveaxis(compiled(ratio, x), axis, 0)
    np.testing.assert_allclose(found, expected, 1e-10)


@pytest.mark.parametrize("cumulative", [lax.cumprod, lax.cumlogsumexp])
def test_second_derivatives_in_a_loop_and_batched(cumulative):
    x = jnp.array([[0.5, 0.0, 1.5]])

    def f(x):
        step = lambda c, row: (jnp.tanh(c + cumulative(row * c)), c)  # noqa: E731
        return jnp.sum(lax.scan(step, x[0], x)[0])

    theirs = jax.jit(jax.hessian(f))(x)
    ours = jax.jit(jax.vmap(jaxbp.jacfwd(jaxbp.grad(f))))(x[None])[0]
    np.testing.assert_allclose(ours, theirs, 1e-10, 1e-13)
