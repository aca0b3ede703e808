"""Activations: layers without parameters, (..., n) float -> (..., n) float.

An elementwise activation states its slope beside it and keeps one array: the output
where the slope follows from it (the next dense layer keeps that array anyway), else
the input. The six normalised sigmoids have slope 1 at the origin and limits -1, 1:
`erf_sigmoid`, `tanh`, `gudermann`, `algebraic`, `arctangent`, `softsign`.
"""

import math
from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp
from jax import lax

from jaxbp.errors import InvalidArgument, UnknownName, nearest
from jaxbp.layers.base import Layer, make_layer


def elementwise(
    name: str,
    function: Callable[[jax.Array], jax.Array],
    *,
    slope_of_x: Callable[[jax.Array], jax.Array] | None = None,
    slope_of_y: Callable[[jax.Array], jax.Array] | None = None,
) -> Layer:
    """The activation y = function(x) with its slope dy/dx, as a layer.

    Args:
      name: what error messages call it.
      function: elementwise, float -> float of the same dtype.
      slope_of_x: dy/dx from x; keeps x. Give it or `slope_of_y`, not both.
      slope_of_y: dy/dx from y; keeps y.

    Raises:
      InvalidArgument: not exactly one of the slopes is given.
    """
    if (slope_of_x is None) == (slope_of_y is None):
        raise InvalidArgument(
            f"activation {name} must have exactly one of `slope_of_x` and "
            f"`slope_of_y`, but has {'neither' if slope_of_x is None else 'both'}."
        )
    slope = cast(Callable, slope_of_x or slope_of_y)

    def forward(params, x):
        y = function(x)
        return y, (y,) if slope_of_x is None else (x,)

    def backward(params, residuals, y_bar):
        (kept,) = residuals
        return {}, y_bar * slope(kept)

    return make_layer(name, {}, forward, backward)


# y = 1/(1 + e^-x),  y' = e^-x / (1 + e^-x)^2 = y (1 - y); slope 1/4 at the origin.
logistic = elementwise("logistic", lax.logistic, slope_of_y=lambda y: y * (1 - y))

# y' = 1 - tanh(x)^2 = 1 - y^2.
tanh = elementwise("tanh", jnp.tanh, slope_of_y=lambda y: 1 - y * y)

# The other sigmoids keep x: from y, which is near 1 in the tails, the small slopes
# there (the subject of a study of sigmoids) would be a difference of near numbers.

# y = erf(sqrt(pi) x / 2): y' = (2/sqrt(pi)) e^(-pi x^2/4) sqrt(pi)/2 = e^(-pi x^2/4).
erf_sigmoid = elementwise(
    "erf_sigmoid",
    lambda x: lax.erf(math.sqrt(math.pi) / 2 * x),
    slope_of_x=lambda x: jnp.exp(-math.pi / 4 * x * x),
)

# y = (4/pi) atan(tanh(pi x/4)), with u = pi x/4:
# y' = (4/pi) (pi/4) sech(u)^2 / (1 + tanh(u)^2) = 1/(cosh(u)^2 + sinh(u)^2) = sech(2u).
gudermann = elementwise(
    "gudermann",
    lambda x: 4 / math.pi * jnp.arctan(jnp.tanh(math.pi / 4 * x)),
    slope_of_x=lambda x: 1 / jnp.cosh(math.pi / 2 * x),
)

# y = x (1 + x^2)^(-1/2): y' = (1 + x^2)^(-3/2) (1 + x^2 - x^2) = (1 + x^2)^(-3/2).
algebraic = elementwise(
    "algebraic",
    lambda x: x * lax.rsqrt(1 + x * x),
    slope_of_x=lambda x: lax.rsqrt(1 + x * x) / (1 + x * x),
)

# y = (2/pi) atan(pi x/2): y' = 1/(1 + (pi x/2)^2).
arctangent = elementwise(
    "arctangent",
    lambda x: 2 / math.pi * jnp.arctan(math.pi / 2 * x),
    slope_of_x=lambda x: 1 / (1 + jnp.square(math.pi / 2 * x)),
)

# y = x/(1 + |x|): y' = (1 + |x| - |x|)/(1 + |x|)^2 = 1/(1 + |x|)^2; smooth at 0.
softsign = elementwise(
    "softsign",
    lambda x: x / (1 + jnp.abs(x)),
    slope_of_x=lambda x: 1 / jnp.square(1 + jnp.abs(x)),
)

SIGMOIDS = (erf_sigmoid, tanh, gudermann, algebraic, arctangent, softsign)


# With the normal distribution Phi and its density phi, y = x Phi(x):
#   y' = Phi(x) + x phi(x).
# Phi(x) = erfc(-x/sqrt 2)/2 keeps its digits in the left tail, where 1 + erf does not.
def _normal_cdf(x):
    return 0.5 * lax.erfc(-math.sqrt(0.5) * x)


def _normal_density(x):
    return 1 / math.sqrt(2 * math.pi) * jnp.exp(-0.5 * x * x)


gelu = elementwise(
    "gelu",
    lambda x: x * _normal_cdf(x),
    slope_of_x=lambda x: _normal_cdf(x) + x * _normal_density(x),
)

# The tanh form, y = x (1 + tanh u)/2 with u = a (x + b x^3), a = sqrt(2/pi) and
# b = .044715:
#   y' = (1 + tanh u)/2 + x (1 - tanh(u)^2)/2 a (1 + 3 b x^2).
# Source: Hendrycks and Gimpel 2016, arXiv:1606.08415.
_A, _B = math.sqrt(2 / math.pi), 0.044715


def _gelu_tanh_slope(x):
    t = jnp.tanh(_A * (x + _B * x * x * x))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (_A * (1 + 3 * _B * x * x))


gelu_tanh = elementwise(
    "gelu_tanh",
    lambda x: 0.5 * x * (1 + jnp.tanh(_A * (x + _B * x * x * x))),
    slope_of_x=_gelu_tanh_slope,
)


# y = max(x, 0), y' = 1 for x > 0 and 0 for x <= 0 (the choice of jax.nn.relu at 0).
# A select instead of a product: an infinite y_bar stays out of the dead half.
def _relu_forward(params, x):
    y = jnp.maximum(x, 0)
    return y, (y,)


def _relu_backward(params, residuals, y_bar):
    (y,) = residuals
    return {}, jnp.where(y > 0, y_bar, 0)


relu = make_layer("relu", {}, _relu_forward, _relu_backward)


# y = e^(x - max x) / sum e^(x - max x) over the last axis. From
# dy_i/dx_j = y_i ([i = j] - y_j):
#   x_bar = y (y_bar - <y, y_bar>).
def _softmax_forward(params, x):
    y = jax.nn.softmax(x, axis=-1)
    return y, (y,)


def _softmax_backward(params, residuals, y_bar):
    (y,) = residuals
    return {}, softmax_pullback(y, y_bar)


def softmax_pullback(y: jax.Array, y_bar: jax.Array) -> jax.Array:
    """x_bar of y = softmax(x) over the last axis, from y and y_bar."""
    return y * (y_bar - (y * y_bar).sum(-1, keepdims=True))


softmax = make_layer(
    "softmax", {}, _softmax_forward, _softmax_backward, trailing=("features",)
)

ACTIVATIONS = {
    layer.name: layer for layer in (*SIGMOIDS, logistic, relu, gelu, gelu_tanh, softmax)
}


def find_activation(name_or_layer: str | Layer) -> Layer:
    """The activation of that name; a layer is returned as it is.

    Raises:
      UnknownName: no activation has that name.
    """
    if isinstance(name_or_layer, Layer):
        return name_or_layer
    if name_or_layer not in ACTIVATIONS:
        raise UnknownName(
            f"`activation` {name_or_layer!r} is not known. "
            + nearest(str(name_or_layer), ACTIVATIONS)
        )
    return ACTIVATIONS[name_or_layer]
