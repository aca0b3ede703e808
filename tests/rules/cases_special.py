"""Special functions and draws that move with their parameter."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy import special

from tests.rules.case import Case, between, fixed, normal

POSITIVE = (between(0.4, 3, 5),)
SERIES = "JAX refuses the derivative of its derivative in a"
KEY = jax.random.key(3)


def poly(*args):
    return lax.polynomial_p.bind(*args)


CASES = [
    Case("bessel_i0e", lax.bessel_i0e, (normal(5),)),
    Case("bessel_i1e", lax.bessel_i1e, (normal(5),)),
    Case(
        "bessel_i1e",
        lax.bessel_i1e,
        (fixed([0.0, 2.0]),),
        "zero",
        order=1,
        reason="JAX's second derivative is not finite at 0",
    ),
    Case(
        "igamma",
        lax.igamma,
        POSITIVE * 2,
        rtol=1e-11,
        order=1,
        reason=SERIES,
    ),
    Case("igamma", lambda x: lax.igamma(jnp.full_like(x, 1.3), x), POSITIVE, "x"),
    Case("igammac", lax.igammac, POSITIVE * 2, rtol=1e-11, order=1, reason=SERIES),
    Case("igammac", lambda x: lax.igammac(jnp.full_like(x, 1.3), x), POSITIVE, "x"),
    Case("log2", jnp.log2, POSITIVE, since=(0, 11, 2)),
    Case("polygamma", lambda x: lax.polygamma(jnp.full_like(x, 2), x), POSITIVE),
    Case("polynomial", poly, (normal(4),) * 4, since=(0, 12, 0)),
    Case(
        "polynomial", poly, (normal(4), *(normal(),) * 3), "scalars", since=(0, 12, 0)
    ),
    Case("polynomial", poly, (normal(4),) * 2, "constant", since=(0, 12, 0)),
    Case(
        "random_gamma",
        lambda a: jax.random.gamma(KEY, a),
        POSITIVE,
        order=1,
        differences=False,
        reason="JAX has no second order; a draw by rejection is not smooth in a",
    ),
    Case(
        "random_gamma",
        lambda a: jax.random.loggamma(KEY, a),
        POSITIVE,
        "log",
        order=1,
        differences=False,
        reason="JAX has no second order; a draw by rejection is not smooth in a",
    ),
    Case(
        "regularized_incomplete_beta",
        lambda x: special.betainc(jnp.full_like(x, 1.3), jnp.full_like(x, 0.7), x),
        (between(0.1, 0.9, 5),),
    ),
]
