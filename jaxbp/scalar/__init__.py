"""A readable tape of single numbers, and networks made of them."""

from .draw import draw
from .network import flat, initial, mlp, neuron, values
from .tape import Value, order

exp, log, sin, cos = Value.exp, Value.log, Value.sin, Value.cos
tanh, logistic, relu = Value.tanh, Value.logistic, Value.relu

__all__ = [
    "Value",
    "cos",
    "draw",
    "exp",
    "flat",
    "initial",
    "log",
    "logistic",
    "mlp",
    "neuron",
    "order",
    "relu",
    "sin",
    "tanh",
    "values",
]
