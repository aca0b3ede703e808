"""Primitives with kinks, steps and comparisons.

At a tie of `max` and `min` each operand gets half, as in JAX.
"""

import jax.numpy as jnp
from jax import lax

from .. import ir
from .registry import elementwise, general, linear, zero

zero(
    "and",
    "argmax",
    "argmin",
    "ceil",
    "clz",
    "eq",
    "eq_to",
    "floor",
    "ge",
    "gt",
    "iota",
    "is_finite",
    "le",
    "le_to",
    "lt",
    "lt_to",
    "ne",
    "nextafter",
    "not",
    "or",
    "population_count",
    "reduce_and",
    "reduce_or",
    "reduce_xor",
    "round",
    "shift_left",
    "shift_right_arithmetic",
    "shift_right_logical",
    "sign",
    "stop_gradient",
    "xor",
)


def _wins(a, b):
    """1 where a > b, 1/2 at a tie, else 0."""
    one = jnp.ones((), a.dtype)
    return jnp.where(a > b, one, jnp.where(a == b, one / 2, 0 * one))


# y = |x|: the slope at 0 is sign(0) = 0. Of a complex number it is the pushforward
# Re(conj(x) x_dot) / |x|, with 0 at 0.
def _abs_jvp(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    y = lax.abs(x)
    if not jnp.iscomplexobj(x):
        return y, x_dot * lax.sign(x)
    safe = jnp.where(y == 0, jnp.ones_like(y), y)
    phase = lax.complex(lax.real(x) / safe, lax.imag(x) / safe)
    return y, lax.real(lax.conj(phase) * x_dot)


general("abs", jvp=_abs_jvp)

# clamp(lo, x, hi): the slope belongs to whichever of the three comes out; between
# equals it is 0, as in JAX.
elementwise(
    "clamp",
    slopes=(
        lambda x0, x1, x2: (x0 > x1) & (x0 < x2),
        lambda x0, x1, x2: (x1 > x0) & (x1 < x2),
        lambda x1, x2: x2 < x1,
    ),
)
elementwise("max", slopes=(lambda x0, x1: _wins(x0, x1), lambda x0, x1: _wins(x1, x0)))
elementwise("min", slopes=(lambda x0, x1: _wins(x1, x0), lambda x0, x1: _wins(x0, x1)))
elementwise(
    "rem", slopes=(1, lambda x0, x1: -lax.sign(x0 / x1) * lax.floor(lax.abs(x0 / x1)))
)


def _select_transpose(y_bar, which, *cases):
    zero = ir.zeros(ir.typeof(y_bar))

    def chosen(i):
        if ir.typeof(which).dtype == bool:
            mask = which if i else lax.bitwise_not(which)
        else:
            mask = lax.eq(which, jnp.asarray(i, ir.typeof(which).dtype))
        if not ir.typeof(mask).shape:
            mask = lax.broadcast(mask, ir.typeof(y_bar).shape)
        return lax.select(mask, y_bar, zero)

    return [None, *(chosen(i) for i in range(len(cases)))]


linear("select_n", transpose=_select_transpose, operands=None)
