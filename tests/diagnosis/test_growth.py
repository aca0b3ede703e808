"""growth: the norms of cotangents on their way back, by equation and by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.diagnosis import growth
from jaxbp.errors import InvalidArgument


def recurrent(w, xs):
    def step(h, x):
        return jnp.tanh(h @ w + x), None

    return jnp.sum(jax.lax.scan(step, jnp.zeros(4), xs)[0])


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_steps_of_a_recurrent_network(scale):
    w = scale * jnp.eye(4)
    xs = jnp.zeros((30, 4))
    (row,) = [r for r in growth(recurrent, w, xs).rows if r.primitive == "scan"]
    assert len(row.steps) == 30
    # at h = 0 the slope of tanh is 1: each step multiplies by the scale
    expected = 2 * scale ** np.arange(29, -1, -1.0)
    np.testing.assert_allclose(row.steps, expected, rtol=1e-5)
    found = growth(recurrent, w, xs).first_step(1e6)
    assert found is not None and abs(np.log(row.steps[found[1]] / 2)) > np.log(1e6)


def test_what_amplifies_most():
    def f(x):
        return jnp.sum(jnp.exp(5 * x) * 1e-3)

    report = growth(f, jnp.array([1.0, 2.0]))
    assert report.largest.primitive == "exp"
    assert report.largest.factor > 1e4 and "test_growth.py" in report.largest.line
    assert "exp" in str(report) and report.first_step(10.0) is None
    assert len(report.picture().axes) == 1
    bars = jaxbp.grad(f)(jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(report.rows[-1].leaves, np.linalg.norm(bars), rtol=1e-6)


def test_huge_and_infinite_norms_and_wrong_input():
    report = growth(lambda x: jnp.sum(x * 1e200) * 1e100, jnp.ones(3))
    assert np.isfinite(report.rows[-1].leaves)
    assert np.isinf(growth(lambda x: jnp.sqrt(x) * 1.0, 0.0).rows[-1].leaves)
    assert "No cotangent" in str(growth(lambda x: jnp.sign(x), 1.0))
    with pytest.raises(InvalidArgument, match="above 1"):
        report.first_step(1.0)
    with pytest.raises(InvalidArgument, match="outside jit"):
        jax.jit(lambda x: growth(jnp.sin, x) and x)(1.0)
