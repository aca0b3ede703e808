"""Special functions, by their slopes.

A derivative that has no closed form among the primitives is refused by name when it is
asked for. Sources: NIST Digital Library of Mathematical Functions (DLMF), by number.
"""

import math
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.extend.core.primitives import igamma_grad_a_p

from .. import ir
from ..errors import MissingRule
from ..linear.base import add, broadcast
from .registry import elementwise, general
from .series import beta_by_parameters, gamma_twice_by_a


def _refused(function, operand):
    def slope(x0):
        raise MissingRule(
            f"`{function}` has no derivative in `{operand}`, in JAX or here. Keep "
            f"`{operand}` out of what is differentiated (jax.lax.stop_gradient)."
        )

    return slope


# y = exp(-|x|) I_0(x): I_0' = I_1. DLMF 10.29.3. The slope of |x| at 0 is 1 here, as
# everywhere, so that exp(|x|) y, which is smooth, has its own derivatives at 0.
def _side(x):
    return jnp.where(x >= 0, jnp.ones_like(x), -jnp.ones_like(x))


elementwise("bessel_i0e", slope=lambda x, y: lax.bessel_i1e(x) - _side(x) * y)


# y = exp(-|x|) I_1(x): I_1' = I_0 - I_1 / x. DLMF 10.29.2. Near 0 the quotient is its
# series, I_1(x) / x = 1/2 sum over k of (x^2 / 4)^k / (k! (k + 1)!), DLMF 10.25.2; for
# |x| < 0.1 the next term is 1e-18 of it.
def _bessel_i1e_slope(x, y):
    near_zero = lax.abs(x) < 0.1
    one = jnp.ones_like(x)
    square = lax.square(jnp.where(near_zero, x, 0 * one)) / 4
    series = one
    for k in (4, 3, 2, 1):
        series = 1 + series * square / (k * (k + 1))
    quotient = jnp.where(
        near_zero,
        lax.exp(-lax.abs(x)) * series / 2,
        y / jnp.where(near_zero, one, x),
    )
    return lax.bessel_i0e(x) - y * _side(x) - quotient


elementwise("bessel_i1e", slope=_bessel_i1e_slope)


# The trigamma function, psi_1(x) = pi^2 / sin^2(pi x) - psi_1(1 - x), DLMF 5.15.6: what
# XLA computes it by, Hurwitz's zeta function, is wrong below -9.
def _trigamma(x):
    negative = x < 0
    right = lax.polygamma(jnp.ones_like(x), jnp.where(negative, 1 - x, x))
    wave = lax.sin(
        math.pi * jnp.where(negative, x - lax.round(x), jnp.ones_like(x) / 2)
    )
    return jnp.where(negative, lax.square(math.pi / wave) - right, right)


elementwise("digamma", slope=_trigamma)


# P(a, x) = integral from 0 to x of t^(a - 1) exp(-t) dt / Gamma(a), and Q = 1 - P.
# DLMF 8.2.4; the derivative in a is a primitive of its own.
def _gamma_density(x0, x1):
    return lax.exp((x0 - 1) * lax.log(x1) - x1 - lax.lgamma(x0))


elementwise(
    "igamma",
    slopes=(lambda x0, x1: igamma_grad_a_p.bind(x0, x1), _gamma_density),
)
elementwise(
    "igammac",
    slopes=(
        lambda x0, x1: -igamma_grad_a_p.bind(x0, x1),
        lambda x0, x1: -_gamma_density(x0, x1),
    ),
)
elementwise(
    "igamma_grad_a",
    slopes=(
        lambda x0, x1: gamma_twice_by_a(x0, x1),
        lambda x0, x1: (lax.log(x1) - lax.digamma(x0)) * _gamma_density(x0, x1),
    ),
)
elementwise("log2", slope=lambda x: 1.4426950408889634 / x)
elementwise(
    "polygamma",
    slopes=(_refused("polygamma", "m"), lambda x0, x1: lax.polygamma(x0 + 1, x1)),
)


# y = sum over k of c_k x^k: y_dot = x_dot sum k c_k x^(k-1) + sum c_dot_k x^k, the
# second sum by Horner's rule.
def _polynomial_jvp(primals, tangents, **params):
    (x, *coefficients), (x_dot, *coefficient_dots) = primals, tangents
    polynomial: Any = ir.primitive("polynomial")
    y = polynomial.bind(x, *coefficients, **params)
    shape = ir.typeof(y).shape
    y_dot = None
    x = broadcast(x, shape)
    for c_dot in reversed(coefficient_dots):
        y_dot = None if y_dot is None else lax.mul(y_dot, x)
        y_dot = add(y_dot, None if c_dot is None else broadcast(c_dot, shape))
    if x_dot is not None and len(coefficients) > 1:
        scaled = [
            broadcast(lax.mul(c, lax.full_like(c, k)), shape)
            for k, c in enumerate(coefficients)
        ][1:]
        slope = polynomial.bind(x, *scaled, **params)
        y_dot = add(y_dot, lax.mul(broadcast(x_dot, shape), slope))
    return y, y_dot


general("polynomial", jvp=_polynomial_jvp)


# A draw y from Gamma(a, 1), or its logarithm, moves with a at a fixed probability:
# P(a, y) = const. Figurnov, Mohamed and Mnih 2018, arXiv:1805.08498. A logarithm whose
# exponential is 0 in this dtype counts as the smallest normal number.
def _random_gamma_slope(x1, y, params):
    slope: Any = lax.random_gamma_grad
    if not params["log_space"]:
        return slope(x1, y)
    tiny = jnp.full_like(y, jnp.finfo(y.dtype).tiny)
    sample = lax.exp(y)
    sample = jnp.where(sample == 0, tiny, sample)
    return slope(x1, sample) / sample


elementwise("random_gamma", slopes=(None, _random_gamma_slope))


# I_x(a, b) = integral from 0 to x of t^(a - 1) (1 - t)^(b - 1) dt / B(a, b). DLMF
# 8.17.2.
def _beta_density(x0, x1, x2):
    log_beta = lax.lgamma(x0) + lax.lgamma(x1) - lax.lgamma(x0 + x1)
    return lax.exp((x0 - 1) * lax.log(x2) + (x1 - 1) * lax.log1p(-x2) - log_beta)


elementwise(
    "regularized_incomplete_beta",
    slopes=(
        lambda x0, x1, x2: beta_by_parameters(x0, x1, x2)[0],
        lambda x0, x1, x2: beta_by_parameters(x0, x1, x2)[1],
        _beta_density,
    ),
)
