"""Wrong input is named at a layer's door, and wrong sizes when it is made."""

import jax
import jax.numpy as jnp
import pytest

from jaxbp import layers
from jaxbp.errors import (
    DtypeMismatch,
    InvalidArgument,
    ShapeMismatch,
    StructureMismatch,
    UnknownName,
)

KEY = jax.random.key(0)
F64, F32 = jnp.float64, jnp.float32


@pytest.mark.parametrize(
    "layer, shape, message",
    [
        (layers.dense(3, 2), (5, 4), r"dense must have shape \(\.\.\., 3\).*\(5, 4\)"),
        (layers.dense(3, 2), (), r"dense must have shape \(\.\.\., 3\).*\(\)"),
        (
            layers.conv2d(2, 3),
            (4, 4, 2),
            r"conv2d must have shape \(batch, height, width, 2\).*\(4, 4, 2\)",
        ),
        (layers.conv2d(2, 3), (1, 4, 4, 3), r"\(batch, height, width, 2\)"),
        (
            layers.conv2d(2, 3, 3, padding="VALID"),
            (1, 2, 5, 2),
            r"at least as large as the window \(3, 3\).*\(2, 5\), padding VALID",
        ),
        (layers.max_pool(2), (4, 4), r"\(batch, height, width, channels\)"),
        (layers.average_pool(3), (1, 2, 2, 1), "average_pool must be at least as"),
        (layers.layer_norm(4), (2, 3), r"layer_norm must have shape \(\.\.\., 4\)"),
        (layers.self_attention(4, 2), (4,), r"\(\.\.\., time, 4\)"),
        (layers.positions(3, 2), (4, 2), "at most 3 time steps, but has 4"),
        (layers.rnn(3, 2), (5, 4), r"rnn must have shape \(\.\.\., time, 3\)"),
        (layers.lstm(3, 2), (3,), r"lstm must have shape \(\.\.\., time, 3\)"),
        (layers.reshape((2, 3), (6,)), (3, 2), r"must have shape \(\.\.\., 2, 3\)"),
        (layers.softmax, (), r"softmax must have shape \(\.\.\., features\)"),
        (
            layers.residual(layers.dense(3, 2)),
            (5, 3),
            r"residual\(dense\) needs a layer that keeps.*\(5, 3\).*\(5, 2\)",
        ),
    ],
)
def test_wrong_shape_of_x(layer, shape, message):
    params = layer.init(KEY)
    for call in (layer.forward, layer.apply):
        with pytest.raises(ShapeMismatch, match=message):
            call(params, jnp.zeros(shape))


@pytest.mark.parametrize(
    "layer, x, message",
    [
        (layers.dense(3, 2), jnp.zeros(3, int), "dense must be floating.*int64"),
        (layers.dense(3, 2), jnp.zeros(3, F32), "has float32 and `W` has float64"),
        (layers.relu, jnp.zeros(3, bool), "relu must be floating.*bool"),
        (layers.embedding(3, 2), jnp.zeros(3), "embedding must be integer.*float64"),
    ],
)
def test_wrong_dtype_of_x(layer, x, message):
    with pytest.raises(DtypeMismatch, match=message):
        layer.forward(layer.init(KEY), x)


@pytest.mark.parametrize(
    "layer, params, error, message",
    [
        (layers.dense(3, 2), {"W": 0}, StructureMismatch, r"\['W', 'b'\].*\['W'\]"),
        (layers.dense(3, 2), (), StructureMismatch, "a dict with the keys.*is tuple"),
        (
            layers.dense(3, 2),
            {"W": jnp.zeros((2, 3)), "b": jnp.zeros(2)},
            ShapeMismatch,
            r"`W` of dense must have shape \(3, 2\), but has shape \(2, 3\)",
        ),
        (layers.mlp((3, 2)), (), StructureMismatch, "mlp must be a tuple of 1.*is 0"),
        (layers.mlp((3, 2)), {}, StructureMismatch, "mlp must be a tuple of 1.*dict"),
    ],
)
def test_wrong_parameters(layer, params, error, message):
    with pytest.raises(error, match=message):
        layer.forward(params, jnp.zeros(3))


def test_integer_parameters_have_no_gradient():
    model = layers.mlp((3, 2))
    params = jax.tree.map(lambda a: a.astype(int), model.init(KEY))
    by_hand = layers.value_and_grad(model, layers.mean_squared_error)
    with pytest.raises(DtypeMismatch, match=r"`params\[0\]\['W'\]` must be floating"):
        by_hand(params, jnp.zeros(3), jnp.zeros(2))


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: layers.dense(0, 2), InvalidArgument, "`n_in` of dense.*but is 0"),
        (lambda: layers.dense(2, 2.0), InvalidArgument, "`n_out` of dense.*2.0"),
        (lambda: layers.conv2d(1, True), InvalidArgument, "`c_out`.*but is True"),
        (lambda: layers.conv2d(1, 1, 0), InvalidArgument, "`window` of conv2d.*is 0"),
        (lambda: layers.max_pool((2, 2, 2)), InvalidArgument, "an integer or two"),
        (lambda: layers.max_pool(2, stride=-1), InvalidArgument, "`stride`.*is -1"),
        (lambda: layers.conv2d(1, 1, padding="same"), InvalidArgument, "'SAME'.*same"),
        (
            lambda: layers.average_pool(2, padding=((0, -1), (0, 0))),
            InvalidArgument,
            "`padding` of average_pool.*at least 0",
        ),
        (lambda: layers.layer_norm(3, eps=0.0), InvalidArgument, "`eps`.*is 0.0"),
        (lambda: layers.self_attention(6, 4), InvalidArgument, "multiple of n_heads"),
        (lambda: layers.rnn(2, 2, outputs="first"), InvalidArgument, "'all' or 'last'"),
        (lambda: layers.reshape((2, 3), (5,)), ShapeMismatch, "hold 6 entries.*5"),
        (lambda: layers.mlp((3,)), InvalidArgument, r"`sizes` must hold.*\(3,\)"),
        (lambda: layers.cnn((3, 8, 1), (2, 2), 3), InvalidArgument, "at least 4 high"),
        (
            lambda: layers.recurrent_classifier("lsmt", 2, 2, 2),
            UnknownName,
            "'lsmt' is not known.*`lstm`",
        ),
        (
            lambda: layers.transformer_classifier(5, 4, 2, 6, 3, n_blocks=0),
            InvalidArgument,
            "`n_blocks` of transformer_classifier",
        ),
    ],
)
def test_wrong_sizes(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_fans_of_a_vector_are_refused():
    with pytest.raises(ShapeMismatch, match=r"must be \(\.\.\., in, out\).*\(4,\)"):
        layers.he(KEY, (4,), F64)
