"""Column-wise gradients against jax.grad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp.study import gradients

PARAMS = {"W": jnp.arange(6.0).reshape(2, 3) / 10, "b": jnp.array([0.3, -0.2, 0.5])}
X = jnp.array([[1.0, -2.0], [0.5, 1.5]])


def f(params, x):
    return jnp.sum(jnp.tanh(x @ params["W"] + params["b"][None]) ** 2)


@pytest.mark.parametrize("chunk", [1, 4, 9, 128])
@pytest.mark.parametrize(
    ("method", "tolerance"),
    [
        (lambda chunk: gradients.by_pushforwards(jax.jvp, f, chunk), 1e-13),
        (lambda chunk: gradients.by_differences(f, chunk), 1e-9),  # eps^(2/3) = 4e-11
    ],
)
def test_every_chunk_size_gives_the_gradient(method, tolerance, chunk):
    found = jax.jit(method(chunk))(PARAMS, X)
    wanted = jax.grad(f)(PARAMS, X)
    for name in PARAMS:
        np.testing.assert_allclose(found[name], wanted[name], atol=tolerance, rtol=0)


def test_the_slope_along_ones_is_the_sum_of_the_gradient():
    slope = gradients.slope_along_ones(jax.jvp, f, PARAMS, X)
    total = sum(leaf.sum() for leaf in jax.tree.leaves(jax.grad(f)(PARAMS, X)))
    assert float(slope) == pytest.approx(float(total))


@pytest.mark.parametrize(("n", "steps"), [(1, 1), (128, 1), (129, 2)])
def test_loop_steps(n, steps):
    assert gradients.loop_steps(n, 128) == steps
