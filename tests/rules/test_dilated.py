"""Gradients of kernels of transposed convolutions, and of one place, on CPUs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp

# shape of the image, places of the kernel, channels out, dilation, padding, orders
CASES = {
    "small_kernel": ((2, 5, 4, 3), (2, 2), 2, (2, 2), ((1, 1), (0, 2)), "NHWC"),
    "uneven": ((2, 5, 4, 3), (3, 4), 2, (2, 3), ((2, 1), (3, 3)), "NHWC"),
    "cropped": ((2, 5, 6, 3), (3, 3), 1, (2, 2), ((-1, 2), (1, -2)), "NHWC"),
    "channels_first": ((2, 3, 5, 4), (5, 1), 2, (3, 1), ((4, 3), (0, 0)), "NCHW"),
    "along_one_axis": ((2, 7, 3), (4,), 2, (2,), ((3, 2),), "NWC"),
    "one_place": ((2, 5, 4, 3), (1, 1), 4, (1, 1), ((0, 0), (0, 0)), "NHWC"),
    "one_place_first": ((2, 3, 5, 4), (1, 1), 4, (1, 1), ((0, 0), (0, 0)), "NCHW"),
    "one_place_dilated": ((2, 5, 4, 3), (1, 1), 4, (2, 1), ((0, 0), (1, 0)), "NHWC"),
}


def _function(case):
    shape, sides, out, dilation, padding, order = case
    channels = shape[order.index("C")]
    kernel = jax.random.normal(jax.random.key(1), (*sides, channels, out))
    orders = order, f"{order.replace('N', '').replace('C', '')}IO", order

    def f(x, kernel):
        y = lax.conv_general_dilated(
            x, kernel, (1,) * len(sides), padding, dilation, dimension_numbers=orders
        )
        return jnp.sum(jnp.sin(y))

    return f, (jax.random.normal(jax.random.key(0), shape), kernel)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_values_are_those_of_the_convolution(case):
    f, args = _function(case)
    compare = lambda a, b: np.testing.assert_allclose(a, b, 1e-11, 1e-13)  # noqa: E731
    theirs = jax.grad(f, (0, 1))(*args)
    jax.tree.map(compare, jaxbp.grad(f, (0, 1))(*args), theirs)
    jax.tree.map(compare, jax.jit(jaxbp.grad(f, (0, 1)))(*args), theirs)


def test_nested_and_of_many_examples():
    f, (x, kernel) = _function(CASES["uneven"])

    def twice(grad, x, kernel):
        slope = lambda k: jnp.sum(grad(f, 1)(x, k) ** 2)  # noqa: E731
        return grad(slope)(kernel)

    ours, theirs = twice(jaxbp.grad, x, kernel), twice(jax.grad, x, kernel)
    np.testing.assert_allclose(ours, theirs, 1e-10)
    xs = jnp.stack([x, 2 * x])
    ours = jax.jit(jax.vmap(jaxbp.grad(f, 1), (0, None)))(xs, kernel)
    theirs = jax.vmap(jax.grad(f, 1), (0, None))(xs, kernel)
    np.testing.assert_allclose(ours, theirs, 1e-11)
    ours = jax.jit(jaxbp.jvp, static_argnums=0)(
        jaxbp.grad(f, 1), (x, kernel), (x, kernel)
    )
    theirs = jax.jvp(jax.grad(f, 1), (x, kernel), (x, kernel))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-10), ours, theirs)


@pytest.mark.parametrize("name", ["uneven", "one_place"])
def test_cpus_have_no_convolution_for_the_kernel(name):
    """XLA goes element by element there."""
    f, (x, kernel) = _function(CASES[name])
    staged = jax.jit(lambda x, k: jaxbp.grad(f, 1)(x, k)).trace(x, kernel)
    here = staged.lower(lowering_platforms=("cpu",)).as_text()
    there = staged.lower(lowering_platforms=("tpu",)).as_text()
    assert here.count("stablehlo.convolution") == 1
    assert there.count("stablehlo.convolution") == 2
