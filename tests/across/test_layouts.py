"""Products of matrices as they lie, turned afterwards; convolutions and their price."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp


def gated(x, a, b, c):
    return jnp.tanh(jax.nn.silu(x @ a) * (x @ b)) @ c


def residual(x, a, b, c):
    return x[: c.shape[1]] + jnp.tanh(x @ a) @ c


def unequal(n=24, m=300, k=40):
    rng = np.random.default_rng(0)
    sizes = (n,), (n, m), (n, m), (m, k if k <= n else n)
    return [jnp.asarray(rng.normal(size=size) / 5) for size in sizes]


@pytest.mark.parametrize("function", (gated, residual))
@pytest.mark.parametrize("k", (17, 24))
@pytest.mark.parametrize("jit", (False, True))
def test_values(function, k, jit):
    args = unequal(64, 512, k)
    found = jaxbp.jacobian(function)
    found = jax.jit(found)(*args) if jit else found(*args)
    np.testing.assert_allclose(found, jax.jacrev(function)(*args), 1e-9, 1e-12)


def test_of_many_examples_and_within_a_gradient():
    x, *weights = unequal(64, 512, 64)
    xs = jnp.stack([x, 2 * x, x - 1])
    own, its = (
        jax.vmap(lambda x, j=j: j(gated)(x, *weights))
        for j in (jaxbp.jacobian, jax.jacrev)
    )
    np.testing.assert_allclose(own(xs), its(xs), 1e-9, 1e-12)
    own, its = (
        jax.grad(lambda x, j=j: jnp.sum(j(gated)(x, *weights) ** 2))(x)
        for j in (jaxbp.jacobian, jax.jacrev)
    )
    np.testing.assert_allclose(own, its, 1e-8, 1e-12)


def test_a_long_product_is_turned_afterwards():
    """Else XLA multiplies both matrices turned, at a third of the speed."""
    args = [x.astype(jnp.float32) for x in unequal(64, 512, 64)]
    text = jax.jit(jaxbp.jacobian(gated)).lower(*args).compile().as_text()
    if jax.default_backend() != "cpu":
        pytest.skip("XLA for CPUs")
    lines = [line for line in text.splitlines() if " dot(" in line]
    both = [
        x for x in lines if "lhs_contracting_dims={0}, rhs_contracting_dims={1}" in x
    ]
    assert not [line for line in both if "f32[64,64]" in line]


def image(x, *kernels):
    for kernel in kernels:
        x = x + jnp.tanh(
            lax.conv_general_dilated(
                x[None], kernel, (1, 1), "SAME",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )[0]
        )  # fmt: skip
    return x


def test_a_column_of_a_convolution_has_its_price():
    """Of 192 columns each reads a window at 64 places: an order of elimination does so
    once."""
    rng = np.random.default_rng(0)
    args = [jnp.asarray(rng.normal(size=s)) for s in ((8, 8, 3), *[(3, 3, 3, 3)] * 2)]
    plan = jaxbp.jacobian(image).plan(*args)
    assert plan.chosen.order
    found = jax.jit(jaxbp.jacobian(image))(*args)
    np.testing.assert_allclose(found, jax.jacfwd(image)(*args), 1e-9, 1e-12)


def test_a_few_rows_through_convolutions_are_a_mode_s():
    rng = np.random.default_rng(0)
    x, kernel, w = (rng.normal(size=s) for s in ((12, 12, 4), (3, 3, 4, 4), (4, 5)))
    function = lambda x, kernel, w: image(x, kernel).mean((0, 1)) @ w  # noqa: E731
    plan = jaxbp.jacobian(function).plan(x, kernel, w)
    assert plan.chosen.name == "reverse"
