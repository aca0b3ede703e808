"""Every layer's backward pass against the other three witnesses of its gradient."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.layers import average_pool, max_pool
from tests.layers.cases import CASES, cotangent, inputs, names, ties
from tests.layers.closeness import TOLERANCE, assert_close, central_gradient

by_case = pytest.mark.parametrize("case", CASES, ids=names(CASES))
by_witness = pytest.mark.parametrize("vjp", [jax.vjp, jaxbp.vjp], ids=["jax", "engine"])


def pulled_back(layer, params, x, y_bar):
    """y, params_bar and x_bar by hand, forward and backward jitted apart."""
    y, residuals = jax.jit(layer.forward)(params, x)
    return y, *jax.jit(layer.backward)(params, residuals, y_bar)


def pulled_back_by(vjp, layer, params, x, y_bar):
    """The same by an automatic witness; no x_bar where x is an integer."""

    @jax.jit
    def run(params, x, y_bar):
        if jnp.issubdtype(x.dtype, jnp.integer):
            y, pullback = vjp(lambda p: layer.apply(p, x), params)
            return y, *pullback(y_bar), None
        y, pullback = vjp(layer.apply, params, x)
        return y, *pullback(y_bar)

    return run(params, x, y_bar)


@functools.cache
def by_hand(case, dtype):
    """params, x, y_bar, and what `pulled_back` makes of them; many tests share it."""
    params, x = inputs(case, dtype)
    y_bar = cotangent(jax.eval_shape(case.layer.forward, params, x)[0])
    return params, x, y_bar, pulled_back(case.layer, params, x, y_bar)


@by_case
@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
@by_witness
def test_backward_agrees_with_automatic_differentiation(case, dtype, vjp):
    params, x, y_bar, found = by_hand(case, dtype)
    witness = pulled_back_by(vjp, case.layer, params, x, y_bar)
    assert_close(found, witness, TOLERANCE[dtype])


@by_case
def test_backward_agrees_with_central_differences(case):
    params, x, y_bar, (_, *bars) = by_hand(case, jnp.float64)

    def paired(moving):
        own_params, own_x = moving
        own_x = x if own_x is None else own_x
        return jnp.vdot(y_bar, case.layer.apply(own_params, own_x))

    numbers = central_gradient(paired, (params, None if case.tokens else x))
    assert_close(tuple(bars), numbers, 1e-6)


@by_case
def test_vmap(case):
    params, x, y_bar, (_, *bars) = by_hand(case, jnp.float64)

    @jax.jit
    @jax.vmap
    def backward(x, y_bar):
        _, residuals = case.layer.forward(params, x)
        return case.layer.backward(params, residuals, y_bar)

    pair = backward(np.stack([x, x]), np.stack([y_bar, 2 * np.asarray(y_bar)]))
    once, twice = (jax.tree.map(lambda a, i=i: np.asarray(a)[i], pair) for i in (0, 1))
    assert_close(once, tuple(bars), 1e-12)
    assert_close(twice, jax.tree.map(lambda a: 2 * np.asarray(a), tuple(bars)), 1e-12)


# One of each kind: op by op, every operation compiles by itself.
SOME = [
    case
    for case in CASES
    if case.name in ("dense", "gelu", "conv", "max-pool", "layer-norm", "attention")
    or case.name in ("embedding", "lstm")
]
by_some = pytest.mark.parametrize("case", SOME, ids=names(SOME))


@by_some
def test_without_jit(case):
    params, x, y_bar, found = by_hand(case, jnp.float64)
    y, residuals = case.layer.forward(params, x)
    bars = case.layer.backward(params, residuals, y_bar)
    assert_close((y, *bars), found, 1e-12)


@by_case
def test_no_dtype_is_widened(case):
    params, x = inputs(case, jnp.bfloat16)

    def run(params, x):
        y, residuals = case.layer.forward(params, x)
        return y, case.layer.backward(params, residuals, y)

    found = jax.tree.leaves(jax.eval_shape(run, params, x))
    assert {leaf.dtype for leaf in found} == {jnp.dtype(jnp.bfloat16)}


@by_some
def test_bfloat16_is_close_to_float64(case):
    params, x, y_bar, found = by_hand(case, jnp.float64)
    narrow = [
        jax.tree.map(lambda a: np.asarray(a, jnp.bfloat16), a)
        for a in (params, x, y_bar)
    ]
    if case.tokens:
        narrow[1] = x
    got = pulled_back(case.layer, *narrow)
    got = jax.tree.map(lambda a: np.asarray(a, jnp.float64), got)
    assert_close(got, found, 0.06)  # 8 bits: eps is 0.008, a few roundings deep


@pytest.mark.parametrize(
    "case",
    batched := [case for case in CASES if len(case.shape) > 1],
    ids=names(batched),
)
def test_an_empty_batch_has_gradient_zero(case):
    params, x = inputs(case, jnp.float64)

    @jax.jit
    def run(params, x):
        y, residuals = case.layer.forward(params, x)
        return case.layer.backward(params, residuals, y)

    params_bar, x_bar = run(params, np.asarray(x)[:0])
    assert x_bar is None or x_bar.shape == (0, *x.shape[1:])
    assert_close(params_bar, jax.tree.map(np.zeros_like, params), 0.0)


@by_case
def test_plain_output_is_the_forward_output(case):
    params, x, _, (y, *_) = by_hand(case, jnp.float64)
    assert_close(jax.jit(case.layer.apply)(params, x), y, 1e-15)


@by_witness
@pytest.mark.parametrize(
    "layer",
    [max_pool(2), max_pool(3, stride=1), max_pool(3, stride=2, padding="SAME")],
    ids=["apart", "overlapping", "border"],
)
def test_ties_of_max_pool_go_to_the_first_entry(layer, vjp):
    x = ties((2, 5, 6, 2))
    y_bar = cotangent(layer.apply({}, x))
    by_hand = pulled_back(layer, {}, x, y_bar)
    assert_close(by_hand, pulled_back_by(vjp, layer, {}, x, y_bar), 1e-15)


def test_average_pool_does_not_count_the_border():
    ones = jnp.ones((1, 3, 3, 1))
    layer = average_pool(2, stride=2, padding="SAME")
    assert_close(layer.apply({}, ones), jnp.ones((1, 2, 2, 1)), 0.0)


def test_embedding_of_an_unknown_token_is_nan_and_gets_no_gradient():
    layer = next(c.layer for c in CASES if c.name == "embedding")
    params = layer.init(jax.random.key(0))
    y, residuals = layer.forward(params, jnp.array([1, 5]))
    assert jnp.isnan(y).tolist() == [[False] * 3, [True] * 3]
    params_bar, x_bar = layer.backward(params, residuals, jnp.ones_like(y))
    assert x_bar is None
    assert params_bar["table"].sum(1).tolist() == [0, 3, 0, 0, 0]
