"""Counts and triangles are not rounded: they would be what they never are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp import check
from jaxbp.checks.perturbed import perturbed


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_count_that_is_compared(dtype):
    """As expm squares no oftener than it was told: 3 is not below 3."""

    def f(x):
        n = jnp.floor(x)

        def step(y, i):
            return jnp.where(i.astype(dtype) < n, 100 * y, y), None

        return jax.lax.scan(step, x, jnp.arange(6))[0]

    x = dtype(3.5)
    run = perturbed(f)
    values = [float(run(np.uint32(seed), x)) for seed in range(20)]
    np.testing.assert_allclose(values, 3.5e6, rtol=1e-5)


def test_fills_have_no_operands():
    """JAX's gradient of a slice fills an array that it adds to."""
    run = perturbed(jax.grad(lambda x: jnp.sum(jnp.sin(x[1:3]) * x[:2])))
    found = run(np.uint32(1), jnp.arange(4.0))
    assert found.shape == (4,) and found[3] == 0


A = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, 0.3], [0.2, 0.4, 1.0]])
LARGE = 6e16  # as the coefficients of expm


def solved(b):
    factors = jax.scipy.linalg.lu_factor(LARGE * A)
    return jax.scipy.linalg.lu_solve(factors, LARGE * b)


def test_a_solve_by_factors_of_different_size():
    """In one array stand L, of size 1, and U, of size 1e16: what U is rounded by would
    leave nothing of L."""
    run = perturbed(solved)
    b = jnp.array([1.0, 2.0, 3.0])
    for seed in range(20):
        np.testing.assert_allclose(
            run(np.uint32(seed), b), np.linalg.solve(A, b), rtol=1e-12
        )


def test_a_shifted_gradient_through_it_is_found():
    """Shaking the factors so would pass any gradient as lost in rounding."""
    f = lambda b: jnp.sum(jnp.sin(solved(b)) * jnp.arange(1.0, 4.0))  # noqa: E731
    shifted = lambda b: jnp.roll(jax.grad(f)(b), 1)  # noqa: E731
    report = check(f, jnp.array([1.0, 2.0, 3.0]), grad=shifted, points=1)
    assert report.verdict == "differ"
