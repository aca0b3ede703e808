"""Many small triangular systems in gradients, where the CPU has its own."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxbp
from jaxbp.rules.substitution import solved

A = np.random.default_rng(0).normal(size=(256, 3, 3)) + 3 * np.eye(3)
B = np.random.default_rng(1).normal(size=(256, 4, 3))


def test_values_are_those_of_lapack():
    for left, transposed in itertools.product((False, True), repeat=2):
        kind = {
            "left_side": left, "lower": left, "transpose_a": transposed,
            "conjugate_a": False, "unit_diagonal": left != transposed,
        }  # fmt: skip
        b = B.swapaxes(1, 2) if left else B
        expected = lax.linalg.triangular_solve(A, b, **kind)
        found = jax.jit(lambda a, b, kind=kind: solved(a, b, **kind))(A, b)
        np.testing.assert_allclose(found, expected, 1e-10)


def test_gradients_of_cholesky_take_them():
    def f(a):
        return jnp.sum(jnp.sin(jnp.linalg.cholesky(a @ a.swapaxes(1, 2))))

    gradient = jax.jit(jaxbp.grad(f)).lower(A)
    assert "inlineable" in gradient.as_text()
    expected = jax.jit(jax.grad(f))(A)
    np.testing.assert_allclose(gradient.compile()(A), expected, 1e-9, 1e-11)
