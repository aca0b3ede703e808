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


def test_a_solve_by_factors_of_different_size():
    """In one array stand L, of size 1, and U, of size 1e16: what U is rounded by would
    leave nothing of L."""
    A = jnp.array([[3.0, 1.0, 0.5], [1.0, 2.0, 0.3], [0.2, 0.4, 1.0]]) * 6e16
    run = perturbed(lambda b: jnp.linalg.solve(A, 6e16 * b))
    b = jnp.array([1.0, 2.0, 3.0])
    expected = np.linalg.solve(A, 6e16 * b)
    for seed in range(20):
        np.testing.assert_allclose(run(np.uint32(seed), b), expected, rtol=1e-12)


def test_a_shifted_gradient_through_expm_is_found():
    f = lambda x: jnp.sum(jax.scipy.linalg.expm(jnp.sin(x - 1e6))[0])  # noqa: E731
    x = 1e6 + jnp.array(
        [[-0.57, 1.14, -0.77], [-0.87, 1.04, -1.08], [-0.58, -1.08, 0.1]]
    )
    shifted = lambda x: jnp.roll(jax.grad(f)(x), 1, 0)  # noqa: E731
    assert check(f, x, points=1).verdict == "agree"
    assert check(f, x, grad=shifted, points=1).verdict == "differ"
