"""Networks as pure functions on pytrees, with backward passes written by hand.

The first of the lab's four witnesses of a gradient: nothing here differentiates
automatically, nothing here imports the engine.
"""

from jaxbp.layers.activation import (
    ACTIVATIONS,
    SIGMOIDS,
    algebraic,
    arctangent,
    elementwise,
    erf_sigmoid,
    find_activation,
    gelu,
    gelu_tanh,
    gudermann,
    logistic,
    relu,
    softmax,
    softsign,
    tanh,
)
from jaxbp.layers.attention import self_attention
from jaxbp.layers.base import Layer, Static, make_layer
from jaxbp.layers.compose import loss_fn, residual, sequential, value_and_grad
from jaxbp.layers.conv import conv2d
from jaxbp.layers.dense import dense
from jaxbp.layers.embedding import embedding, positions
from jaxbp.layers.initial import (
    constant,
    he,
    lecun,
    normal,
    ones,
    orthogonal,
    uniform,
    xavier,
    xavier_normal,
    zeros,
)
from jaxbp.layers.loss import (
    Loss,
    half_sum_of_squares,
    hinge,
    mean_squared_error,
    softmax_cross_entropy,
    softmax_cross_entropy_with_probabilities,
)
from jaxbp.layers.models import (
    cnn,
    mlp,
    recurrent_classifier,
    transformer_block,
    transformer_classifier,
)
from jaxbp.layers.norm import layer_norm
from jaxbp.layers.pool import average_pool, max_pool
from jaxbp.layers.recurrent import CELLS, lstm, rnn
from jaxbp.layers.shape import mean_over_time, reshape

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "SIGMOIDS",
    "Layer",
    "Loss",
    "Static",
    "algebraic",
    "arctangent",
    "average_pool",
    "cnn",
    "constant",
    "conv2d",
    "dense",
    "elementwise",
    "embedding",
    "erf_sigmoid",
    "find_activation",
    "gelu",
    "gelu_tanh",
    "gudermann",
    "half_sum_of_squares",
    "he",
    "hinge",
    "layer_norm",
    "lecun",
    "logistic",
    "loss_fn",
    "lstm",
    "make_layer",
    "max_pool",
    "mean_over_time",
    "mean_squared_error",
    "mlp",
    "normal",
    "ones",
    "orthogonal",
    "positions",
    "recurrent_classifier",
    "relu",
    "reshape",
    "residual",
    "rnn",
    "self_attention",
    "sequential",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_probabilities",
    "softsign",
    "tanh",
    "transformer_block",
    "transformer_classifier",
    "uniform",
    "value_and_grad",
    "xavier",
    "xavier_normal",
    "zeros",
]
