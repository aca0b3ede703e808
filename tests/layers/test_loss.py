"""Losses: their pullback against the other witnesses, and their edges."""

import jax
import jax.numpy as jnp
import pytest

import jaxbp
from jaxbp import layers
from tests.layers.closeness import TOLERANCE, assert_close, central_gradient


def _numbers(y):
    return jax.random.randint(jax.random.key(2), y.shape[:-1], 0, y.shape[-1])


def _targets(y):
    return jax.random.normal(jax.random.key(2), y.shape, y.dtype)


def _signs(y):
    return jnp.sign(_targets(y))


def _probabilities(y):
    return jax.nn.softmax(_targets(y))


def _onehot(y):
    return jax.nn.one_hot(_numbers(y), y.shape[-1], dtype=y.dtype)


SOFT = layers.softmax_cross_entropy_with_probabilities
ROWS = {
    "mean-squared": (layers.mean_squared_error, _targets),
    "half-sum": (layers.half_sum_of_squares, _targets),
    "cross-entropy": (layers.softmax_cross_entropy, _numbers),
    "cross-entropy-soft": (SOFT, _probabilities),
    "cross-entropy-onehot": (SOFT, _onehot),
    "hinge": (layers.hinge, _signs),
}
by_loss = pytest.mark.parametrize("loss, make_labels", ROWS.values(), ids=ROWS)
by_shape = pytest.mark.parametrize("shape", [(5, 3), (3,), (2, 4, 1)], ids=str)


def _y_bar(loss, y, labels, loss_bar):
    def run(y, labels, loss_bar):
        value, residuals = loss.forward(y, labels)
        return value, loss.backward(residuals, loss_bar)

    return jax.jit(run)(y, labels, loss_bar)


@pytest.mark.parametrize("vjp", [jax.vjp, jaxbp.vjp], ids=["jax", "engine"])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
@by_shape
@by_loss
def test_backward_agrees_with_automatic_differentiation(
    loss, make_labels, shape, dtype, vjp
):
    y = jax.random.normal(jax.random.key(1), shape, dtype)
    labels = make_labels(y)
    loss_bar = jnp.asarray(-1.5, dtype)
    value, pullback = vjp(lambda y: loss.apply(y, labels), y)
    found = _y_bar(loss, y, labels, loss_bar)
    assert_close(found, (value, *pullback(loss_bar)), TOLERANCE[dtype])


@by_shape
@by_loss
def test_backward_agrees_with_central_differences(loss, make_labels, shape):
    y = jax.random.normal(jax.random.key(1), shape)
    labels = make_labels(y)
    numbers = central_gradient(lambda y: loss.apply(y, labels), y)
    assert_close(_y_bar(loss, y, labels, jnp.array(1.0))[1], numbers, 1e-6)


@by_loss
def test_bfloat16_is_never_widened(loss, make_labels):
    y = jax.random.normal(jax.random.key(1), (5, 3), jnp.bfloat16)
    found = _y_bar(loss, y, make_labels(y), jnp.bfloat16(1))
    assert {leaf.dtype for leaf in found} == {jnp.dtype(jnp.bfloat16)}


def test_known_values():
    y, labels = jnp.array([[1.0, 2.0], [3.0, 5.0]]), jnp.array([[0.0, 2.0], [1.0, 1.0]])
    assert float(layers.mean_squared_error.apply(y, labels)) == 21 / 4
    assert float(layers.half_sum_of_squares.apply(y, labels)) == 21 / 2
    even = layers.softmax_cross_entropy.apply(jnp.zeros((4, 8)), jnp.arange(4))
    assert float(even) == pytest.approx(float(jnp.log(8.0)), rel=1e-15)
    assert float(layers.hinge.apply(jnp.array([2.0, 0.5]), jnp.array([1.0, -1.0]))) == (
        0.75
    )


def test_onehot_labels_give_the_loss_of_their_numbers():
    y = jax.random.normal(jax.random.key(1), (5, 3))
    by_number = layers.softmax_cross_entropy.apply(y, _numbers(y))
    assert_close(SOFT.apply(y, _onehot(y)), by_number, 1e-15)


def test_cross_entropy_of_huge_logits_stays_finite():
    y = jnp.array([[1e4, -1e4], [-1e300, 1e300]])
    loss, y_bar = _y_bar(
        layers.softmax_cross_entropy, y, jnp.array([1, 1]), jnp.array(1.0)
    )
    assert float(loss) == 1e4  # (2e4 + 0) / 2
    assert_close(y_bar, jnp.array([[0.5, -0.5], [0.0, 0.0]]), 0.0)


def test_cross_entropy_of_a_class_that_is_not_there_is_nan():
    assert jnp.isnan(layers.softmax_cross_entropy.apply(jnp.zeros(3), jnp.array(3)))


@pytest.mark.parametrize(
    "loss, y, labels, error, message",
    [
        (
            layers.softmax_cross_entropy,
            jnp.zeros((4, 3)),
            jnp.zeros(4),
            jaxbp.errors.DtypeMismatch,
            "must be integers, the number of the right class.*float64.*_with_prob",
        ),
        (
            layers.softmax_cross_entropy,
            jnp.zeros((4, 3)),
            jnp.zeros((4, 3), int),
            jaxbp.errors.ShapeMismatch,
            r"must have shape \(4,\), one class for each row.*have shape \(4, 3\)",
        ),
        (
            layers.softmax_cross_entropy,
            jnp.array(0.0),
            jnp.array(0),
            jaxbp.errors.ShapeMismatch,
            r"one class for each row of the output \(\)",
        ),
        (
            layers.mean_squared_error,
            jnp.zeros((4, 1)),
            jnp.zeros(4),
            jaxbp.errors.ShapeMismatch,
            r"must have the shape of the output, \(4, 1\), but have shape \(4,\)",
        ),
        (
            layers.hinge,
            jnp.zeros(4),
            jnp.ones(4, int),
            jaxbp.errors.DtypeMismatch,
            r"must have the dtype of the output, float64.*int64.*astype",
        ),
    ],
    ids=["float-classes", "onehot-classes", "scalar", "shape", "dtype"],
)
def test_wrong_labels_are_named(loss, y, labels, error, message):
    with pytest.raises(error, match=message):
        loss.apply(y, labels)
