"""Primitives with kinks, steps and comparisons.

At a tie of `max` and `min` each operand gets half, as in JAX.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import ir
from ..linear.diagonal import stepped
from .registry import Elementwise, General, ZeroRule, elementwise, register, zero

zero(
    "and",
    "argmax",
    "argmin",
    "bitcast_convert_type",
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
    "mulhi",
    "ne",
    "not",
    "or",
    "population_count",
    "random_bits",
    "random_fold_in",
    "random_seed",
    "random_split",
    "random_unwrap",
    "random_wrap",
    "reduce_and",
    "reduce_or",
    "reduce_xor",
    "round",
    "shift_left",
    "shift_right_arithmetic",
    "shift_right_logical",
    "stop_gradient",
    "xor",
)


def _wins(a, b):
    """1 where a > b, 1/2 at a tie, else 0."""
    one = jnp.ones((), a.dtype)
    return jnp.where(a > b, one, jnp.where(a == b, one / 2, 0 * one))


# y = |x|: the slope at 0 is 1, as in JAX. Of a complex number it is the pushforward
# Re(conj(x) x_dot) / |x|, with 0 at 0.
def _modulus_jvp(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    y = lax.abs(x)
    safe = jnp.where(y == 0, jnp.ones_like(y), y)
    phase = lax.complex(lax.real(x) / safe, lax.imag(x) / safe)
    return y, lax.real(lax.conj(phase) * x_dot)


@stepped
def _abs_slope(x):
    least, one = lax.full_like(x, 0), lax.full_like(x, 1)
    return lax.select(lax.ge(x, least), one, lax.neg(one))


# y = x / |x| turns with x: of a complex x_dot only the part across x counts. With
# t = Im(conj(y) x_dot) / |x| the pushforward is i t y, with 0 at 0.
def _phase_jvp(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    y, size = lax.sign(x), lax.abs(x)
    turn = lax.imag(lax.conj(y) * x_dot) / jnp.where(
        size == 0, jnp.ones_like(size), size
    )
    return y, y * lax.complex(jnp.zeros_like(turn), turn)


def _by_domain(real, complex):
    """A rule that depends on whether the operand is a complex number."""

    def rule(walker, primitive, values, dots, params):
        is_complex = np.issubdtype(ir.typeof(values[0]).dtype, np.complexfloating)
        chosen = complex if is_complex else real
        return chosen(walker, primitive, values, dots, params)

    return rule


register(
    "abs",
    _by_domain(Elementwise((_abs_slope,)), General(_modulus_jvp)),
    kind="elementwise",
)
register("sign", _by_domain(ZeroRule(), General(_phase_jvp)), kind="elementwise")

# clamp(lo, x, hi): the slope belongs to whichever of the three comes out; between
# equals it is 0, as in JAX.
elementwise(
    "clamp",
    slopes=(
        stepped(lambda x0, x1, x2: (x0 > x1) & (x0 < x2)),
        stepped(lambda x0, x1, x2: (x1 > x0) & (x1 < x2)),
        stepped(lambda x1, x2: x2 < x1),
    ),
)
_first_wins = stepped(lambda x0, x1: _wins(x0, x1))
_second_wins = stepped(lambda x0, x1: _wins(x1, x0))
elementwise("max", slopes=(_first_wins, _second_wins))
elementwise("min", slopes=(_second_wins, _first_wins))
elementwise("nextafter", slopes=(1, None))  # the next number moves with x0
elementwise(
    "rem",
    slopes=(1, lambda x0, x1: -lax.sign(x0 / x1) * lax.floor(lax.abs(x0 / x1))),
)


# select_n(which, x0, x1, ...): a mask per case, so that what is not chosen stays out,
# be it infinite or NaN.
def _case(number):
    @stepped
    def chosen(x0):
        if x0.dtype == bool:
            return x0 if number else lax.bitwise_not(x0)
        return x0 == number

    return chosen


@functools.cache
def _selection(count):
    return Elementwise((None, *map(_case, range(count))))


class _Select(Elementwise):
    """Linear in the cases: a mask is no slope that is computed."""

    def __init__(self):
        self.nonlinear = False

    def __call__(self, walker, primitive, values, dots, params):
        return _selection(len(values) - 1)(walker, primitive, values, dots, params)


register("select_n", _Select())
