"""Counts of small programs, by hand and against XLA."""

import jax
import jax.numpy as jnp
import pytest

import jaxbp
from jaxbp import timing
from jaxbp.problems.programs import program
from jaxbp.study import counts

A, B = jnp.ones((3, 5)), jnp.ones((5, 7))
X = jnp.ones(8)


@pytest.mark.parametrize(
    ("f", "args", "expected"),
    [
        (lambda a, b: a @ b, (A, B), 2 * 3 * 5 * 7),
        (lambda x: x + x * x, (X,), 16),
        (jnp.sum, (X,), 8),
        (jnp.max, (X,), 8),
        (lambda x: jnp.tanh(x).reshape(2, 4).T, (X,), 0),
        (lambda x: x[:4] * 2, (X,), 4),
        (lambda x: jnp.argmax(x) + 1, (X,), 0),
        (lambda x: jax.jit(lambda y: y * y)(x) + x, (X,), 16),
        (lambda x: jax.lax.fori_loop(0, 10, lambda _, y: y * x, x), (X,), 80),
        (lambda x: jax.lax.cond(True, lambda y: y * y + y, lambda y: y, x), (X,), 16),
        (lambda x: x.at[jnp.array([0, 3])].add(x[:2]), (X,), 2),
        (jnp.fft.fft, (X.astype(complex),), 2 * 4 * 3 * 8),
    ],
)
def test_hand_counts(f, args, expected):
    assert counts.flops(f, *args) == expected


def test_a_convolution_is_its_products():
    image, kernel = jnp.ones((2, 3, 8, 8)), jnp.ones((4, 3, 3, 3))

    def f(image, kernel):
        return jax.lax.conv(image, kernel, (1, 1), "VALID")

    assert counts.flops(f, image, kernel) == 2 * (2 * 4 * 6 * 6) * (3 * 3 * 3)


@pytest.mark.parametrize(
    "window",
    [
        dict(window_strides=(1, 1), padding="SAME"),
        dict(window_strides=(2, 3), padding=((1, 2), (0, 3))),
        dict(window_strides=(1, 1), padding="SAME", rhs_dilation=(2, 1)),
        dict(window_strides=(1, 2), padding=((2, 2), (1, 1)), lhs_dilation=(2, 3)),
        dict(window_strides=(1, 1), padding="SAME", feature_group_count=2),
    ],
)
def test_convolutions_count_as_xla_s(window):
    image = jnp.ones((2, 4, 9, 8))
    kernel = jnp.ones((4, 4 // window.get("feature_group_count", 1), 3, 3))

    def f(image, kernel):
        return jax.lax.conv_general_dilated(image, kernel, **window)

    compiled = jax.jit(f).lower(image, kernel).compile()
    assert counts.flops(f, image, kernel) == timing.xla_flops(compiled)


@pytest.mark.parametrize(
    ("name", "transform"),
    [
        ("mlp_wide", jaxbp.grad),
        ("mlp_deep", jaxbp.grad),
        ("transformer_block", jaxbp.grad),
        ("mlp_deep", lambda f: f),
        ("cnn", lambda f: f),  # its gradient's pooling is no product: 2.4 % apart
    ],
)
def test_products_agree_with_xla_within_2_per_cent(name, transform):
    told = program(name)
    f = transform(told.f)
    compiled = jax.jit(f).lower(*told.args).compile()
    found, theirs = counts.flops(f, *told.args), timing.xla_flops(compiled)
    assert found == pytest.approx(theirs, rel=0.02)


def test_the_linear_program_of_a_product_by_hand():
    # f(W) = sum (x W)^2: x W once, then 21 squares and 21 additions.
    x = jnp.ones((3, 5))
    row = counts.counted(lambda W, x: jnp.sum((x @ W) ** 2), B, x)
    product = 2 * 3 * 5 * 7
    assert row["f_flops"] == product + 21 + 21
    assert product < row["pushforward_flops"] <= product + 4 * 21
    assert product < row["pullback_flops"] <= product + 4 * 21
    # x, and x W for the square; W itself is not needed again.
    assert row["tape_bytes"] == (15 + 21) * 8


def test_a_pullback_costs_twice_f_for_a_deep_network():
    told = program("mlp_deep", dtype="float32")
    row = counts.counted(told.f, *told.args)
    layers = 51  # (3L - 1) / L with the forward pass; without it (2L - 1) / L
    ratio = row["pullback_flops"] / row["f_flops"]
    assert ratio == pytest.approx((2 * layers - 1) / layers, rel=0.02)
    assert row["pushforward_flops"] / row["f_flops"] == pytest.approx(ratio, rel=0.02)


def cumulative(x, steps):
    """A scan whose body holds a scan: each stacks what it gives out."""

    def outer(carry, _):
        def inner(c, _):
            return c * 2, c

        carry, stacked = jax.lax.scan(inner, carry, None, length=3)
        return carry, stacked.sum()

    return jax.lax.scan(outer, x, None, length=steps)


def test_stacked_bytes_count_outputs_of_scans_times_their_outer_trips():
    x = jnp.ones((), jnp.float32)
    # 5 sums of 4 bytes, and five times 3 values of 4 bytes.
    assert counts.stacked_bytes(lambda x: cumulative(x, 5), x) == 5 * 4 + 5 * 3 * 4


def test_stacked_bytes_look_into_calls_and_are_zero_without_a_scan():
    nested = jax.jit(lambda x: cumulative(x, 2))
    assert counts.stacked_bytes(nested, jnp.ones(())) == 2 * 8 + 2 * 3 * 8
    assert counts.stacked_bytes(jnp.sin, 1.0) == 0
