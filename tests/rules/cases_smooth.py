"""Smooth elementwise primitives."""

import jax
import numpy as np
from jax import lax

from tests.rules.case import BOTH, REAL, Case, between, normal

UNIT = (between(-0.9, 0.9, 2, 3),)
POSITIVE = (between(0.3, 2.5, 2, 3),)
ANY = (normal(2, 3),)
PAIR = (normal(2, 3), between(0.5, 2.0, 2, 3))


def unary(name, call, args, dtypes=REAL, **more):
    return Case(name, call, args, "", dtypes, **more)


def whole_power(x):
    with jax.numpy_dtype_promotion("standard"):  # JAX's own rule promotes here
        return lax.pow(x, np.array([0, -1, 2], np.int32))


CASES = [
    unary("acos", lax.acos, UNIT),
    unary("acosh", lax.acosh, (between(1.5, 3.0, 2, 3),)),
    Case("add", lax.add, PAIR, "", BOTH),
    Case("add", lax.add, (normal(), normal()), "scalar"),
    Case("add", lax.add, (normal(0, 2), normal(0, 2)), "empty"),
    unary("asin", lax.asin, UNIT),
    unary("asinh", lax.asinh, ANY),
    unary("atan", lax.atan, ANY),
    Case("atan2", lax.atan2, PAIR),
    unary("atanh", lax.atanh, UNIT),
    unary("cbrt", lax.cbrt, POSITIVE),
    unary("cos", lax.cos, ANY, BOTH),
    unary("cosh", lax.cosh, ANY, BOTH),
    unary("digamma", lax.digamma, POSITIVE, rtol=1e-10, reason="a series near 0.3"),
    Case("div", lax.div, PAIR, "", BOTH),
    unary("erf", lax.erf, ANY),
    unary("erf_inv", lax.erf_inv, UNIT),
    unary("erfc", lax.erfc, ANY),
    unary("exp", lax.exp, ANY, BOTH),
    unary("exp2", lax.exp2, ANY, BOTH),
    unary("expm1", lax.expm1, ANY, BOTH),
    *[
        Case(
            "integer_pow", lambda x, n=n: lax.integer_pow(x, n), POSITIVE, f"{n}", BOTH
        )
        for n in (-2, 0, 1, 3)
    ],
    unary("lgamma", lax.lgamma, POSITIVE, rtol=1e-10, reason="a series near 0.3"),
    unary("log", lax.log, POSITIVE, BOTH),
    unary("log1p", lax.log1p, POSITIVE, BOTH),
    unary("logistic", lax.logistic, ANY, BOTH),
    Case("mul", lax.mul, PAIR, "", BOTH),
    Case("mul", lambda x: lax.mul(x, x), ANY, "square"),
    unary("neg", lax.neg, ANY, BOTH),
    Case("pow", lax.pow, (between(0.3, 2.0, 2, 3), normal(2, 3)), "", BOTH),
    Case(
        "pow",
        whole_power,
        (between(0.3, 2.0, 3),),
        "integers",
    ),
    Case(
        "pow",
        lambda x, y: lax.pow(x * np.array([0, 1, 0], x.dtype), y),
        (between(0.3, 2.0, 3), between(1.5, 2.5, 3)),
        "at-zero",
        order=1,
        reason="0^y has no second derivative for y < 2",
    ),
    unary("rsqrt", lax.rsqrt, POSITIVE, BOTH),
    unary("sin", lax.sin, ANY, BOTH),
    unary("sinh", lax.sinh, ANY, BOTH),
    unary("sqrt", lax.sqrt, POSITIVE, BOTH),
    unary("square", lax.square, ANY, BOTH),
    Case("sub", lax.sub, PAIR, "", BOTH),
    unary("tan", lax.tan, UNIT, BOTH),
    unary("tanh", lax.tanh, ANY, BOTH),
]
