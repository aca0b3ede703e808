"""Gradients of max pooling by places of the window, which the CPU has of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp

# window, strides, padding
CASES = {
    "overlapping": ((1, 3, 2), (1, 2, 1), ((0, 0), (1, 2), (1, 0))),
    "apart": ((1, 2, 2), (1, 3, 2), ((0, 0), (0, 0), (0, 1))),
    "longer_than_the_array": ((1, 9, 2), (1, 2, 1), ((0, 0), (0, 0), (0, 0))),
    "along_all_axes": ((2, 3, 3), (1, 1, 1), ((1, 1), (2, 2), (0, 1))),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize(("op", "start"), [(lax.max, -np.inf), (lax.min, np.inf)])
def test_winners_are_those_of_select_and_scatter(case, op, start):
    window, strides, padding = case

    def f(x):
        y = lax.reduce_window(x, start, op, window, strides, padding)
        return jnp.sum(jnp.sin(y) * jnp.arange(y.size, dtype=y.dtype).reshape(y.shape))

    # Of equals in a window the first wins.
    x = jax.random.normal(jax.random.key(0), (2, 6, 5))
    tied = jnp.round(3 * x)
    np.testing.assert_allclose(jax.jit(jaxbp.grad(f))(tied), jax.grad(f)(tied), 1e-6)
    np.testing.assert_allclose(jaxbp.hessian(f)(x), jax.hessian(f)(x), rtol=1e-6)


def test_the_cpu_does_not_scatter_and_others_do():
    def f(x):
        y = lax.reduce_window(x, -jnp.inf, lax.max, (3, 3), (2, 2), "SAME")
        return jnp.sum(y)

    gradient = jax.jit(jaxbp.grad(f))
    x = jnp.ones((9, 9))
    assert "select-and-scatter" not in gradient.lower(x).compile().as_text()
    exported = jax.export.export(gradient, platforms=["tpu"])(x)
    assert "select_and_scatter" in exported.mlir_module()
