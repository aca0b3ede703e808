"""What a rule says at one point alone, and at a kink, is no rounding."""

import jax
import jax.numpy as jnp
import pytest

from jaxbp import check

X = (1.0, -2.0, 0.5, 3.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("points", [1, 3])
@pytest.mark.parametrize("factor", [1, 1.01, 2])
def test_a_rule_that_is_wrong_where_its_argument_is_one(factor, points, dtype):
    @jax.custom_jvp
    def exponential(x):
        return jnp.exp(x)

    @exponential.defjvp
    def _(primals, tangents):
        (x,), (x_dot,) = primals, tangents
        wrong = jnp.where(x == 1, jnp.asarray(factor, x.dtype), 1)
        return exponential(x), wrong * jnp.exp(x) * x_dot

    f = lambda x: jnp.sum(exponential(x))  # noqa: E731
    x = jnp.array(X, dtype)
    verdict = "agree" if factor == 1 else "differ"
    assert check(f, x, points=points).verdict == verdict
    slope = lambda x: jax.grad(f)(x)  # noqa: E731
    plain = lambda x: jnp.sum(jnp.exp(x))  # noqa: E731
    assert check(plain, x, grad=slope, points=points).verdict == verdict


@pytest.mark.parametrize("factor", [0, 0.5, 1, 1.5, 2, 4])
def test_slopes_beyond_those_of_a_kink(factor):
    """Shaken, a gradient goes from one side of the kink to the other."""
    weights, other = jnp.array([1.3, -0.7, 0.4]), jnp.array([1.0, 3.0, 0.5])
    f = lambda x: jnp.sum(weights * jnp.maximum(x, other))  # noqa: E731
    grad = lambda x: jnp.where(x == other, factor * weights, 0)  # noqa: E731
    report = check(f, jnp.array([1.0, -2.0, 0.5]), grad=grad, points=1)
    assert report.verdict == ("agree" if factor <= 1 else "differ")
