"""Counts beside XLA's `cost_analysis` of the compiled program, on a CPU."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import jaxbp
from jaxbp.costs import traced_amount
from jaxbp.problems.programs import program


def xla(f, *args):
    return jax.jit(f).lower(*args).compile().cost_analysis()


def mlp(sizes, activation):
    def f(params, x):
        for w, b in params:
            x = activation(x @ w + b[None])
        return jnp.sum(x * x)

    keys = jax.random.split(jax.random.key(0), len(sizes))
    layers = zip(sizes[:-1], sizes[1:], keys[1:], strict=True)
    params = [(jax.random.normal(k, (a, b)), jnp.ones(b)) for a, b, k in layers]
    return f, params, jax.random.normal(keys[0], (32, sizes[0]))


@pytest.mark.parametrize("activation", [jnp.tanh, jax.nn.relu, jax.nn.sigmoid])
@pytest.mark.parametrize("sizes", [(16, 32, 10), (64, 128, 128, 10), (32,) * 9])
def test_matmul_networks_within_2_per_cent(sizes, activation):
    f, params, x = mlp(sizes, activation)
    report = jaxbp.cost(f, params, x)
    assert report.f.flops.low == pytest.approx(xla(f, params, x)["flops"], rel=0.02)
    _, pullback = jax.eval_shape(lambda p: jaxbp.vjp(lambda p: f(p, x), p), params)
    alone = xla(lambda pull, y_bar: pull(y_bar), pullback, jnp.ones(()))["flops"]
    assert report.pullback.flops.low == pytest.approx(alone, rel=0.02)
    whole = xla(jaxbp.value_and_grad(f), params, x)["flops"]
    assert report.vjp.flops.low == pytest.approx(whole, rel=0.02)


@pytest.mark.parametrize("name", ["mlp_wide", "mlp_deep", "transformer_block"])
def test_known_networks_within_2_per_cent(name):
    told = program(name)
    report = jaxbp.cost(told.f, *told.args)
    for counted, f in ((report.f, told.f), (report.vjp, jaxbp.value_and_grad(told.f))):
        found = xla(f, *told.args)
        assert counted.flops.low == pytest.approx(found["flops"], rel=0.02)
        assert counted.transcendentals.low == pytest.approx(
            found["transcendentals"], rel=0.02
        )


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
        return lax.conv_general_dilated(image, kernel, **window)

    counted = traced_amount(f, image, kernel).flops.low
    assert counted == xla(f, image, kernel)["flops"]


def recurrent(unrolled):
    def f(W, x, h):
        def step(h, _):
            return jnp.tanh(h @ W + x), None

        if not unrolled:
            return lax.scan(step, h, length=6)[0].sum()
        for _ in range(6):
            h, _ = step(h, None)
        return h.sum()

    return f


def test_a_scan_counts_as_xla_counts_the_unrolled_loop():
    # XLA counts the body of the rolled loop once.
    args = jnp.ones((32, 32)), jnp.ones((8, 32)), jnp.ones((8, 32))
    counted = traced_amount(recurrent(False), *args).flops.low
    body = counted / 6
    assert counted == pytest.approx(xla(recurrent(True), *args)["flops"], rel=0.02)
    assert counted == traced_amount(recurrent(True), *args).flops.low
    assert xla(recurrent(False), *args)["flops"] == pytest.approx(body, rel=0.05)


def test_of_branches_xla_counts_the_dearest():
    def f(p, x):
        return lax.cond(p, lambda x: x * 2, lambda x: jnp.sin(x) * x + x * 3, x)

    args = True, jnp.ones((32, 16))
    assert traced_amount(f, *args).flops.high == pytest.approx(
        xla(f, *args)["flops"], rel=0.01
    )


def test_the_gradient_of_a_scan_counts_as_xla_counts_the_unrolled_one():
    args = jnp.ones((32, 32)), jnp.ones((8, 32)), jnp.ones((8, 32))
    report = jaxbp.cost(recurrent(False), *args, argnums=(0, 1, 2))
    gradient = jaxbp.value_and_grad(recurrent(True), argnums=(0, 1, 2))
    unrolled = xla(gradient, *args)["flops"]
    assert report.vjp.flops.low == pytest.approx(unrolled, rel=0.02)


def test_a_cnn_misses_the_integers_of_max_pooling_alone():
    told = program("cnn")
    report = jaxbp.cost(told.f, *told.args)
    found = xla(jaxbp.value_and_grad(told.f), *told.args)["flops"]
    pooled = 32 * (16 * 14 * 14 + 32 * 7 * 7)  # windows of 2 by 2
    assert report.f.flops.low == pytest.approx(
        xla(told.f, *told.args)["flops"], rel=0.01
    )
    # The place of each winner is an integer: 3 selections and 4 comparisons, which XLA
    # counts as flops.
    assert report.vjp.flops.low + 7 * pooled == pytest.approx(found, rel=0.001)
