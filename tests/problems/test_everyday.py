"""Every program: its gradient is JAX's, and finite, at the sizes for tests."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.problems.everyday import EVERYDAY
from jaxbp.problems.programs import program


@pytest.mark.parametrize("name", EVERYDAY)
def test_the_gradient_is_that_of_jax(name):
    told = program(name, "small", dtype=np.float64)
    value, ours = jax.jit(jaxbp.value_and_grad(told.f))(*told.args)
    known, theirs = jax.jit(jax.value_and_grad(told.f))(*told.args)
    assert value.shape == () and value.dtype == jnp.float64
    assert 0 < sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(ours)) < np.inf
    np.testing.assert_allclose(value, known, rtol=1e-10)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", EVERYDAY)
def test_float32_stays_float32_at_real_sizes(name):
    told = program(name)
    value = jax.eval_shape(told.f, *told.args)
    assert value.shape == () and value.dtype == jnp.float32
