"""Whole networks under a loss: gradients, second order, and what they cost."""

import functools

import jax
import jax.numpy as jnp
import pytest

import jaxbp
from jaxbp import layers
from jaxbp.layers import average_pool, loss_fn, softmax_cross_entropy, value_and_grad
from tests.layers.cases import MODELS, Case, inputs, labels_for, names
from tests.layers.closeness import TOLERANCE, assert_close, central_gradient

by_model = pytest.mark.parametrize("case", MODELS, ids=names(MODELS))


@functools.cache
def at_a_point(case, dtype):
    """The loss as a function of the parameters, a point, and the gradient by hand."""
    params, x = inputs(case, dtype)
    labels = labels_for(jax.eval_shape(case.layer.apply, params, x))
    loss = loss_fn(case.layer, softmax_cross_entropy)
    by_hand = jax.jit(value_and_grad(case.layer, softmax_cross_entropy))
    return lambda p: loss(p, x, labels), params, by_hand(params, x, labels)


@by_model
@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
@pytest.mark.parametrize(
    "witness", [jax.value_and_grad, jaxbp.value_and_grad], ids=["jax", "engine"]
)
def test_gradient_agrees_with_automatic_differentiation(case, dtype, witness):
    loss, params, by_hand = at_a_point(case, dtype)
    assert_close(by_hand, jax.jit(witness(loss))(params), TOLERANCE[dtype])


@by_model
def test_gradient_agrees_with_central_differences(case):
    loss, params, (_, params_bar) = at_a_point(case, jnp.float64)
    assert_close(params_bar, central_gradient(loss, params), 1e-6)


@by_model
def test_engine_agrees_on_the_second_order(case):
    """Hessian times vector, by the engine twice and by JAX twice."""
    loss, params, (_, direction) = at_a_point(case, jnp.float64)
    engine = jax.jit(lambda p, v: jaxbp.hvp(loss, (p,), (v,)))(params, direction)
    reference = jax.jit(lambda p, v: jax.jvp(jax.grad(loss), (p,), (v,))[1])
    assert_close(engine, reference(params, direction), 1e-12)


@by_model
def test_second_order_of_the_hand_written_gradient(case):
    """The gradient by hand is plain code: its own JVP is a Hessian product too."""
    params, x = inputs(case, jnp.float64)
    labels = labels_for(jax.eval_shape(case.layer.apply, params, x))
    loss, _, (_, direction) = at_a_point(case, jnp.float64)
    by_hand = value_and_grad(case.layer, softmax_cross_entropy)

    @jax.jit
    def products(p, v):
        found = jaxbp.jvp(lambda p: by_hand(p, x, labels)[1], (p,), (v,))[1]
        return found, jax.jvp(jax.grad(loss), (p,), (v,))[1]

    found, want = products(params, direction)
    assert_close(found, want, 1e-12)


def test_hessian_of_an_mlp():
    """The whole Hessian, entry by entry: 43 parameters."""
    loss, params, _ = at_a_point(MODELS[0], jnp.float64)
    engine = jax.jit(jaxbp.hessian(loss))(params)
    assert_close(engine, jax.jit(jax.hessian(loss))(params), 1e-12)


def _flops(function, *args):
    return jax.jit(function).lower(*args).compile().cost_analysis()["flops"]


# Not the recurrent ones: XLA counts the body of a loop once, however often it runs.
# Not max pooling: XLA counts JAX's own primitive for it as almost nothing.
COUNTED = [case for case in MODELS if case.name.startswith(("mlp", "transformer"))]
COUNTED += [
    Case("cnn", layers.cnn((5, 4, 1), (2, 3), 3, pool=average_pool(2)), (4, 5, 4, 1))
]


@pytest.mark.parametrize("case", COUNTED, ids=names(COUNTED))
def test_no_flop_is_wasted(case):
    """XLA counts no more for the gradient by hand than for jax.grad: the cotangent of
    the input is dead code, and nothing is computed twice."""
    params, x = inputs(case, jnp.float64)
    labels = labels_for(jax.eval_shape(case.layer.apply, params, x))
    by_hand = value_and_grad(case.layer, softmax_cross_entropy)
    by_jax = jax.value_and_grad(loss_fn(case.layer, softmax_cross_entropy))
    assert _flops(by_hand, params, x, labels) <= _flops(by_jax, params, x, labels)


def test_mazur_worked_example():
    """The 2-2-2 network of Mazur's worked example, every weight's gradient."""
    model = layers.sequential(
        layers.mlp((2, 2, 2), activation="logistic"), layers.logistic
    )
    first = {"W": jnp.array([[0.15, 0.25], [0.20, 0.30]]), "b": jnp.full(2, 0.35)}
    second = {"W": jnp.array([[0.40, 0.50], [0.45, 0.55]]), "b": jnp.full(2, 0.60)}
    params = ((first, {}, second), {})
    x, target = jnp.array([0.05, 0.10]), jnp.array([0.01, 0.99])
    loss, ((first_bar, _, second_bar), _) = value_and_grad(
        model, layers.half_sum_of_squares
    )(params, x, target)
    assert_close(loss, jnp.array(0.298371108760), 1e-12)
    w1_w3, w2_w4 = [0.000438567734, 0.000497712735], [0.000877135469, 0.000995425471]
    assert_close(first_bar["W"], jnp.array([w1_w3, w2_w4]), 1e-12)
    w5_w7, w6_w8 = [0.082167040564, -0.022602540477], [0.082667627848, -0.022740242216]
    assert_close(second_bar["W"], jnp.array([w5_w7, w6_w8]), 1e-12)
    assert_close(first_bar["b"], jnp.array([0.008771354689, 0.009954254705]), 1e-12)


def test_digits_network_has_2410_parameters():
    params = layers.mlp((64, 32, 10)).init(jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 2410


def test_causal_block_does_not_look_ahead():
    """A change of the last time step leaves the outputs before it bit-identical."""
    block = layers.transformer_block(4, 2, 3, causal=True)
    params = block.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (5, 4))
    changed = block.apply(params, x.at[-1].add(1.0))
    assert jnp.array_equal(changed[:-1], block.apply(params, x)[:-1])
    assert not jnp.array_equal(changed[-1], block.apply(params, x)[-1])


@pytest.mark.parametrize("rho, expected", [(0.5, 9.7656e-4), (1.0, 1.0), (1.5, 57.7)])
def test_gradient_of_a_linear_recurrence_shrinks_or_grows_as_rho_to_the_length(
    rho, expected
):
    """With W_h = rho times orthogonal and states near 0, tanh is linear: the norm of
    d(c . h_T)/dh_0 is rho^T. x_1 stands in for h_0 through W_x = W_h, at T = 10."""
    layer = layers.rnn(4, 4, outputs="last")
    matrix = layers.orthogonal(rho)(jax.random.key(0), (4, 4), jnp.float64)
    params = {"W_x": matrix, "W_h": matrix, "b": jnp.zeros(4)}
    _, residuals = layer.forward(params, jnp.zeros((10, 4)))
    c = jnp.array([0.5, 0.5, 0.5, 0.5])
    _, x_bar = layer.backward(params, residuals, c)
    assert float(jnp.linalg.norm(x_bar[0])) == pytest.approx(rho**10, rel=1e-12)
    assert float(jnp.linalg.norm(x_bar[0])) == pytest.approx(expected, rel=1e-3)


def test_a_large_forget_bias_keeps_the_gradient_alive():
    def first_input_norm(forget_bias):
        layer = layers.lstm(2, 8, outputs="last", forget_bias=forget_bias)
        params = layer.init(jax.random.key(0))
        x = jax.random.normal(jax.random.key(1), (60, 2))
        _, residuals = layer.forward(params, x)
        _, x_bar = layer.backward(params, residuals, jnp.ones(8))
        return float(jnp.linalg.norm(x_bar[0]))

    norms = [first_input_norm(bias) for bias in (0.0, 1.0, 5.0)]
    assert norms[0] < 1e-3 * norms[1] < 1e-3 * norms[2]
