"""Operations element by element: real, complex, special, and those with kinks."""

import numpy as np

from tests.fuzz.domains import (
    ABOVE_ONE,
    ANY,
    FRACTION,
    MODERATE,
    NONZERO,
    POSITIVE,
    UNIT,
)
from tests.fuzz.scope import BOTH, COMPLEX, FLOATS, REAL, WIDE


def unary(name, domain=ANY, dtypes=REAL):
    """name(x), with x in a domain."""
    return lambda scope: f"{name}({scope.value(domain, dtypes)})"


def text(template, *domains, dtypes=REAL):
    """A template of operands of one type, one domain each."""

    def row(scope):
        x = scope.value(domains[0], dtypes)
        return template.format(x, *[scope.like(x, d) for d in domains[1:]])

    return row


# Entire, or with poles that the domain keeps away from, over the complex numbers too.
ANALYTIC = [
    unary("lax.sin", ANY, FLOATS),
    unary("lax.cos", ANY, FLOATS),
    unary("lax.exp", MODERATE, FLOATS),
    unary("lax.expm1", MODERATE, BOTH),
    unary("lax.sinh", MODERATE, BOTH),
    unary("lax.cosh", MODERATE, BOTH),
    unary("lax.tanh", UNIT, FLOATS),
    unary("lax.tan", UNIT, BOTH),
    unary("lax.log", POSITIVE, FLOATS),
    unary("lax.log1p", POSITIVE, BOTH),
    unary("lax.sqrt", POSITIVE, FLOATS),
    unary("lax.rsqrt", POSITIVE, FLOATS),
    unary("lax.asin", UNIT, WIDE),
    unary("lax.acos", UNIT, WIDE),
    unary("lax.atanh", UNIT, WIDE),
    unary("lax.acosh", ABOVE_ONE, WIDE),
    unary("lax.logistic", MODERATE, FLOATS),
    unary("lax.square", MODERATE, FLOATS),
    unary("lax.neg", ANY, FLOATS),
    unary("lax.exp2", MODERATE, FLOATS),
    text("lax.integer_pow({0}, 3)", MODERATE, dtypes=FLOATS),
    text("lax.integer_pow({0}, -2)", NONZERO, dtypes=FLOATS),
    text("2.5 * {0}", ANY, dtypes=FLOATS),
    text("1.5 - {0}", ANY, dtypes=FLOATS),
    text("0.5 / {0}", NONZERO, dtypes=FLOATS),
]
REAL_ONLY = [
    unary("lax.tanh"),
    unary("lax.atan", ANY, WIDE),
    unary("lax.asinh", ANY, WIDE),
    unary("lax.cbrt", POSITIVE, WIDE),
    text("{0} ** 2.5", POSITIVE),
    text("{0} ** 3", MODERATE),
]
BINARY = [
    text("lax.add({0}, {1})", ANY, ANY, dtypes=FLOATS),
    text("lax.sub({0}, {1})", ANY, ANY, dtypes=FLOATS),
    text("lax.mul({0}, {1})", ANY, ANY, dtypes=FLOATS),
    text("lax.div({0}, {1})", ANY, NONZERO, dtypes=FLOATS),
    text("lax.pow({0}, {1})", POSITIVE, UNIT, dtypes=BOTH),
    text("lax.atan2({0}, {1})", ANY, POSITIVE, dtypes=WIDE),
    text("jnp.hypot({0}, {1})", ANY, POSITIVE, dtypes=WIDE),
    text("jnp.logaddexp({0}, {1})", MODERATE, MODERATE, dtypes=WIDE),
    text("jnp.where({0} > {0} - 1, {0}, {1})", ANY, ANY),
    text("lax.select({0} < {1} - 9, {0}, {1})", ANY, ANY),
]
SPECIAL = [
    unary("lax.erf", ANY, WIDE),
    unary("lax.erfc", MODERATE, WIDE),
    unary("lax.erf_inv", UNIT, WIDE),
    unary("lax.lgamma", POSITIVE, WIDE),
    unary("lax.digamma", POSITIVE, WIDE),
    unary("lax.bessel_i0e", ANY, WIDE),
    unary("lax.bessel_i1e", NONZERO, WIDE),
    text("lax.polygamma(jnp.full_like({0}, 1.0), {0})", POSITIVE, dtypes=WIDE),
    text("lax.igamma(jnp.full_like({0}, 1.3), {0})", POSITIVE, dtypes=WIDE),
    text("lax.igammac(jnp.full_like({0}, 0.7), {0})", POSITIVE, dtypes=WIDE),
    text(
        "lax.betainc(jnp.full_like({0}, 1.3), jnp.full_like({0}, 0.7), "
        "0.5 + 0.4 * {0})",
        UNIT,
        dtypes=WIDE,
    ),
    text("jax.scipy.special.xlogy({0}, {1})", ANY, POSITIVE, dtypes=WIDE),
    text("jax.scipy.special.entr({0})", POSITIVE, dtypes=WIDE),
    text("jax.scipy.special.log_ndtr({0})", MODERATE, dtypes=WIDE),
    text("jax.scipy.special.logit(0.5 + 0.4 * {0})", UNIT, dtypes=WIDE),
    text("jnp.sinc({0})", NONZERO, dtypes=WIDE),
]
NETWORK = [
    unary(f"jax.nn.{name}", domain, WIDE)
    for name, domain in [
        ("relu", NONZERO),
        ("softplus", MODERATE),
        ("gelu", ANY),
        ("silu", ANY),
        ("elu", NONZERO),
        ("selu", NONZERO),
        ("celu", NONZERO),
        ("mish", MODERATE),
        ("leaky_relu", NONZERO),
        ("log_sigmoid", MODERATE),
    ]
]
KINKS = [
    unary("lax.abs", NONZERO),
    unary("lax.sign", NONZERO),  # of complex numbers JAX's derivative is wrong
    unary("lax.floor", FRACTION),
    unary("lax.ceil", FRACTION),
    unary("lax.round", FRACTION),
    text("lax.rem({0}, jnp.full_like({0}, 0.5))", FRACTION),
    text("lax.clamp(jnp.full_like({0}, -0.5), {0}, jnp.full_like({0}, 0.5))", FRACTION),
    text("lax.max({0}, jnp.full_like({0}, 0.25))", FRACTION),
    text("lax.min({0}, jnp.zeros_like({0}))", NONZERO),
    # Two that are apart by how they are made: no tie at any point.
    text("lax.max({0}, {0} + 1.5 + lax.sin({1}))", ANY, ANY),
    text("lax.min({0}, {0} + lax.cos({1}) - 1.5)", ANY, ANY),
]
# What stands still beside what moves: a derivative keeps both, and they are two values.
STOPPED = [
    unary("lax.stop_gradient", ANY, FLOATS),
    text("{0} * {0} * lax.stop_gradient({0})", MODERATE, dtypes=FLOATS),
    text("lax.sin({0} * {1}) * lax.stop_gradient({0})", ANY, ANY, dtypes=FLOATS),
]
PARTS = [
    unary("lax.real", ANY, COMPLEX),
    unary("lax.imag", ANY, COMPLEX),
    unary("lax.conj", ANY, COMPLEX),
    unary("lax.abs", NONZERO, COMPLEX),
    unary("jnp.angle", POSITIVE, COMPLEX),
    text("lax.complex({0}, {1})", ANY, ANY, dtypes=WIDE),
    text("lax.complex({0}, jnp.zeros_like({0}))", ANY, dtypes=WIDE),
    text("{0} * lax.conj({1})", ANY, ANY, dtypes=COMPLEX),
]


def cast(scope):
    """To another precision, or to integers, which carry no tangent."""
    x = scope.value(FRACTION, REAL)
    names = ["jnp.float64", "jnp.float32", "jnp.bfloat16", "jnp.int32"]
    return f"lax.convert_element_type({x}, {scope.of(names)})"


def counted(scope):
    """Integers take part: indices, counts and masks become numbers."""
    x = scope.value(dtypes=WIDE)
    i = scope.value(dtypes=(np.int32,), fits=lambda i: i.shape in ((), x.shape))
    return scope.of(
        [
            f"{x} * {i}.astype({x}.dtype)",
            f"jnp.where({i} > 0, {x}, {x} * {x})",
            f"lax.integer_pow({x}, 2) + ({i} + 1).astype({x}.dtype)",
        ]
    )


CASTS = [cast, counted]
