"""Gradients of convolutions by groups of channels, where the CPU has its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.rules import grouped

# groups, channels in and out of one, stride, dilation, padding, order of the axes
CASES = {
    "one_channel": (3, 1, 1, 2, 1, (1, 2), ("NHWC", "HWIO", "NHWC")),
    "cropped": (2, 1, 1, 1, 2, (-1, 2), ("NCHW", "OIHW", "NHWC")),
    "few_channels": (2, 2, 1, 2, 1, (1, 2), ("NHWC", "HWIO", "NHWC")),
    "many_out": (2, 1, 3, 1, 2, (0, 0), ("NCHW", "OIHW", "NCHW")),
    "along_one_axis": (2, 2, 2, 1, 2, (-1, 1), ("NWC", "WIO", "WNC")),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_values_are_those_of_the_convolution(case):
    groups, within, out, stride, dilation, padding, orders = case
    sizes = {"N": 2, "H": 6, "W": 7, "C": groups * within}
    x = jax.random.normal(jax.random.key(0), [sizes[axis] for axis in orders[0]])
    sizes = {"H": 3, "W": 2, "I": within, "O": groups * out}
    kernel = jax.random.normal(jax.random.key(1), [sizes[axis] for axis in orders[1]])
    space = len(orders[0]) - 2

    def f(x, kernel):
        y = lax.conv_general_dilated(
            x, kernel, (stride,) * space, (padding,) * space,
            rhs_dilation=(dilation,) * space, dimension_numbers=orders,
            feature_group_count=groups,
        )  # fmt: skip
        return jnp.sum(jnp.sin(y))

    ours = jax.jit(jaxbp.grad(f, (0, 1)))(x, kernel)
    theirs = jax.jit(jax.grad(f, (0, 1)))(x, kernel)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-11), ours, theirs)


def test_platforms_without_them_have_the_convolution():
    def f(kernel):
        x = jnp.ones((1, 8, 4))
        return jnp.sum(
            lax.conv_general_dilated(
                x, kernel, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"),
                feature_group_count=2,
            )
        )  # fmt: skip

    staged = jax.jit(jaxbp.grad(f)).trace(jnp.ones((3, 2, 4)))
    here = staged.lower(lowering_platforms=("cpu",)).as_text()
    there = staged.lower(lowering_platforms=("tpu",)).as_text()
    assert "batch_group_count = 2" in there
    assert "batch_group_count = 2" not in here


def test_what_is_had_by_groups():
    params = dict(
        dimension_numbers=((0, 2, 1), (2, 1, 0), (0, 2, 1)),
        feature_group_count=2, batch_group_count=1, lhs_dilation=(1,),
    )  # fmt: skip
    y_bar, few, many = jnp.ones((1, 9, 4)), jnp.ones((64, 2, 4)), jnp.ones((65, 2, 4))
    assert grouped.is_grouped(y_bar, params)
    assert not grouped.is_grouped(y_bar.astype(jnp.bfloat16), params)
    assert not grouped.is_grouped(y_bar, params | {"feature_group_count": 1})
    assert not grouped.is_alone(few, params)
    params |= {"feature_group_count": 4}
    assert grouped.is_alone(few[:, :1], params)
    assert not grouped.is_alone(many[:, :1], params)
