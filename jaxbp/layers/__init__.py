"""Networks as pure functions on pytrees, with backward passes written by hand.

The first of the lab's four witnesses of a gradient: nothing here differentiates
automatically, nothing here imports the engine.
"""

from jaxbp.layers.activation import (
    ACTIVATIONS,
    SIGMOIDS,
    activation,
    algebraic,
    arctangent,
    elementwise,
    erf_sigmoid,
    gelu,
    gelu_tanh,
    gudermann,
    logistic,
    relu,
    softmax,
    softsign,
    tanh,
)
from jaxbp.layers.base import Layer, Static, make_layer
from jaxbp.layers.compose import loss_fn, residual, sequential, value_and_grad
from jaxbp.layers.dense import dense
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
from jaxbp.layers.models import mlp

__all__ = [
    "ACTIVATIONS",
    "SIGMOIDS",
    "Layer",
    "Loss",
    "Static",
    "activation",
    "algebraic",
    "arctangent",
    "constant",
    "dense",
    "elementwise",
    "erf_sigmoid",
    "gelu",
    "gelu_tanh",
    "gudermann",
    "half_sum_of_squares",
    "he",
    "hinge",
    "lecun",
    "logistic",
    "loss_fn",
    "make_layer",
    "mean_squared_error",
    "mlp",
    "normal",
    "ones",
    "orthogonal",
    "relu",
    "residual",
    "sequential",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_probabilities",
    "softsign",
    "tanh",
    "uniform",
    "value_and_grad",
    "xavier",
    "xavier_normal",
    "zeros",
]
