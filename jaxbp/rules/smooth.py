"""Smooth elementwise primitives, by their slopes.

A slope named by the output `y` keeps the output, which the next equation often keeps
anyway; one named by `x` keeps the operand.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import ir
from ..linear.diagonal import Over
from .registry import Elementwise, ZeroRule, elementwise, register

SQRT_PI = 1.7724538509055159

elementwise("acos", slope=lambda x: -lax.rsqrt((1 - x) * (1 + x)))
elementwise("acosh", slope=lambda x: lax.rsqrt((x - 1) * (x + 1)))
elementwise("add", slopes=(1, 1))
elementwise("add_any", slopes=(1, 1))
elementwise("asin", slope=lambda x: lax.rsqrt((1 - x) * (1 + x)))
elementwise("asinh", slope=lambda x: lax.rsqrt(x * x + 1))
elementwise("atan", slope=lambda x: 1 / (1 + x * x))

# y = atan2(x0, x1): the angle of the point (x1, x0).
elementwise(
    "atan2",
    slopes=(
        lambda x0, x1: x1 / (x0 * x0 + x1 * x1),
        lambda x0, x1: -x0 / (x0 * x0 + x1 * x1),
    ),
)
elementwise("atanh", slope=lambda x: 1 / ((1 - x) * (1 + x)))
elementwise("cbrt", slope=lambda y: lax.integer_pow(y, -2) / 3)
elementwise("cos", slope=lambda x: -lax.sin(x))
elementwise("cosh", slope=lambda x: lax.sinh(x))


def _number(value) -> complex | float | None:
    """A number that the program states, if it can be divided by; else None."""
    if ir.is_tracer(value) or not isinstance(value, _KNOWN) or np.ndim(value):
        return None
    number = np.asarray(value).item()
    return number if number and np.isfinite(number) else None


_KNOWN = (bool, int, float, complex, np.generic, np.ndarray, jax.Array)


def _of_number(y, params):
    return y, -y if params["number"] == 1 else -y / params["number"]


class _Division(Elementwise):
    """y = x0 / x1. The quotient itself serves the second slope; so does the numerator,
    where it is kept (that of softmax is). Of a number c over x the slope is -y^2 / c,
    for which the quotient alone is kept.

    Attributes:
      further: the partials in that case.
    """

    def __init__(self):
        quotient = lambda x1, y: (Over(x1), -y)  # noqa: E731
        operands = lambda x0, x1: (Over(x1), Over(x1), -x0)  # noqa: E731
        super().__init__((lambda x1: Over(x1), (quotient, operands)))
        self.further = Elementwise((None, _of_number)).partials

    def __call__(self, walker, primitive, values, dots, params):
        number = None if dots[0] is not None else _number(values[0])
        if number is None or params.get("out_dtype") is not None:
            return super().__call__(walker, primitive, values, dots, params)
        (y,) = ir.evaluate(primitive, values, params)
        held = {"number": number}
        edges = [p.edge(1, values, y, held) for p in self.further if p is not None]
        return [y], walker.extend(edges, dots, [y])


register("div", _Division())
# The exponential as compilers write it for erfc itself, so that one serves both.
elementwise("erf", slope=lambda x: (2 / SQRT_PI) * lax.exp(-(x * x)))
elementwise("erf_inv", slope=lambda y: (SQRT_PI / 2) * lax.exp(y * y))
elementwise("erfc", slope=lambda x: (-2 / SQRT_PI) * lax.exp(-(x * x)))
elementwise("exp", slope=lambda y: y)
elementwise("exp2", slope=lambda y: 0.6931471805599453 * y)
elementwise("expm1", slope=lambda y: y + 1)


def _integer_pow_slope(x, params):
    """n x^(n - 1); of a negative power by the reciprocal, which the slopes of all such
    powers of x share: XLA divides anew for each."""
    n = params["y"]
    if n < 0:
        return n * lax.integer_pow(1 / x, 1 - n)
    return n * (x if n == 2 else lax.integer_pow(x, n - 1))


class _IntegerPower(Elementwise):
    """y = x^n. Of x^-1 the slope is -y^2, as of 1 / x: the result alone is kept. Those
    of x and of 1 are numbers, for which nothing is kept.

    Attributes:
      further: the partial in that case.
    """

    def __init__(self):
        super().__init__((_integer_pow_slope,))
        self.inverse = Elementwise((lambda y: (y, -y),))
        self.further = self.inverse.partials
        self.by_power = {-1: self.inverse, 0: ZeroRule(), 1: Elementwise((1,))}

    def __call__(self, walker, primitive, values, dots, params):
        rule = self.by_power.get(params["y"], super())
        return rule.__call__(walker, primitive, values, dots, params)


register("integer_pow", _IntegerPower())
elementwise("lgamma", slope=lambda x: lax.digamma(x))
elementwise("log", slope=lambda x: Over(x))
elementwise("log1p", slope=lambda x: Over(1 + x))
elementwise("logistic", slope=lambda y: y * (1 - y))
elementwise("mul", slopes=(lambda x1: x1, lambda x0: x0))
elementwise("neg", slope=-1)


# y = x0^x1. An exponent that is 0 has slope 0, also where x0 is 0 and x0^-1 is not
# finite (x^0 = 1); where x0 is 0 the slope in x1 is 0 y, although the logarithm is not
# finite there.
def _pow_base_slope(x0, x1):
    if jnp.issubdtype(x1.dtype, jnp.inexact):
        one = jnp.ones_like(x1)
        below = jnp.where((x0 == 0) & (x1 == 0), 0 * one, x1 - 1)
        return x1 * lax.pow(x0, below)
    exponent = x1.astype(x0.dtype)
    slope = exponent * lax.pow(x0, exponent - 1)
    return jnp.where(exponent == 0, jnp.zeros_like(slope), slope)


def _pow_exponent_slope(x0, y):
    return lax.log(jnp.where(x0 == 0, jnp.ones_like(x0), x0)) * y


elementwise("pow", slopes=(_pow_base_slope, _pow_exponent_slope))
elementwise("one_minus_square", slope=lambda x: -2 * x)
elementwise("rsqrt", slope=lambda y: -0.5 * y * y * y)
elementwise("sin", slope=lambda x: lax.cos(x))
elementwise("sinh", slope=lambda x: lax.cosh(x))
elementwise("sqrt", slope=lambda y: Over(2 * y))
elementwise("square", slope=lambda x: 2 * x)
elementwise("sub", slopes=(1, -1))
elementwise("tan", slope=lambda y: 1 + y * y)
elementwise("tanh", slope=lambda y: (1 - y) * (1 + y))
