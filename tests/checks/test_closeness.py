"""The measure of disagreement, and what rounding is allowed."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp.checks import adjoint_gap, closeness, inner, largest_closeness, rtol
from jaxbp.checks.closeness import difference_rtol


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (0.0, 0.0, 0.0),
        (1e-8, -1e-8, 2e-8),  # absolute below 1
        (100.0, 300.0, 0.5),  # relative above
        (3 + 4j, 0, 5 / 5),
        (np.inf, np.inf, 0.0),
        (np.nan, np.nan, 0.0),
        (np.inf, 1.0, np.inf),
        (np.inf, -np.inf, np.inf),
        (1.0, np.nan, np.inf),
    ],
)
def test_closeness_is_adbench_s(x, y, expected):
    assert closeness(x, y) == pytest.approx(expected)
    assert closeness(y, x) == pytest.approx(expected)


def test_largest_closeness_has_the_index():
    x = np.zeros((3, 4))
    y = x.copy()
    y[2, 1] = 1.0
    assert largest_closeness(x, y) == (1.0, (2, 1))
    assert largest_closeness(np.zeros((0, 3)), np.zeros((0, 3))) == (0.0, ())


def test_inner_is_summed_in_64_bit_and_not_conjugated():
    ones = jnp.full(4096, 1 + 2**-7, jnp.bfloat16)
    assert inner(ones, np.ones(4096)) == 4096 * (1 + 2**-7)
    assert inner(np.array([1j]), np.array([1j])) == -1.0


def test_allowed_disagreement_follows_the_precision():
    dtypes = [jnp.bfloat16, jnp.float16, jnp.float32, jnp.float64]
    for tolerance in (rtol, difference_rtol):
        values = [tolerance(d) for d in dtypes]
        assert values == sorted(values, reverse=True)
    assert rtol(jnp.float64) < 1e-10 and rtol(jnp.float32) < 1e-4


def test_adjoint_gap_of_a_matrix_and_of_a_wrong_transpose():
    rng = np.random.default_rng(0)
    a, x_dot, y_bar = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=3)
    left, right, size = adjoint_gap([y_bar], [a @ x_dot], [a.T @ y_bar], [x_dot])
    assert abs(left - right) < 1e-14 * size
    left, right, size = adjoint_gap([y_bar], [a @ x_dot], [a @ y_bar], [x_dot])
    assert abs(left - right) > 1e-2 * size
