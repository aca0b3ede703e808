"""Primitives with kinks and steps, at and away from them."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import primitives

from tests.rules.case import BOTH, Case, between, distinct, fixed, normal

ANY = (distinct(2, 3),)
PAIR = (distinct(2, 3), normal(2, 3))
TIES = (fixed([-1.0, 0.0, 0.0, 2.0]), fixed([0.0, 0.0, -1.0, 2.0]))
AT_TIE = "at the tie itself"
COMPARISONS = ("eq", "eq_to", "ge", "gt", "le", "le_to", "lt", "lt_to", "ne")
BITS = ("and", "or", "xor", "shift_left")
SHIFTS = ("shift_right_arithmetic", "shift_right_logical")
INTEGER_PAIRS = (*BITS, *SHIFTS)


def bind(name, *operands, **params):
    found = getattr(primitives, f"{name}_p", None) or getattr(lax, f"{name}_p")
    return found.bind(*operands, **params)


def whole(x):
    return lax.convert_element_type(x, np.int32)


def stepping(name, call, args=ANY, **more):
    """A primitive whose result carries no derivative, beside one that does."""
    return Case(name, lambda *xs: (call(*xs), lax.sin(xs[0])), args, **more)


def comparison(name):
    return stepping(name, lambda x, y: bind(name, x, y), PAIR)


def integers(name):
    return stepping(name, lambda x: bind(name, whole(x), whole(x)))


def keys(x):
    """A key made of a floating number: what is drawn with it does not depend on it."""
    return jax.random.key(whole(jnp.sum(x)))


CASES = [
    Case("abs", lax.abs, ANY),
    Case("abs", lax.abs, (normal(2, 3),), "modulus", ("complex",)),
    Case("abs", lax.abs, TIES[:1], "at-zero", differences=False, reason=AT_TIE),
    Case("clamp", lax.clamp, (distinct(3), normal(3), between(1.0, 2.0, 3))),
    Case(
        "clamp",
        lambda x: lax.clamp(np.array(-0.3, x.dtype), x, np.array(0.4, x.dtype)),
        ANY,
        "scalars",
    ),
    Case("max", lax.max, PAIR),
    Case("max", lax.max, TIES, "ties", differences=False, reason=AT_TIE),
    Case("min", lax.min, PAIR),
    Case("min", lax.min, TIES, "ties", differences=False, reason=AT_TIE),
    Case(
        "nextafter",
        lambda x, y: lax.nextafter(x, y),
        PAIR,
        since=(0, 12, 0),
        reason="JAX has no rule before",
    ),
    Case("rem", lax.rem, (normal(2, 3, scale=3.0), between(0.5, 1.5, 2, 3))),
    Case("select_n", lambda x, y: lax.select(x > 0, x, y), PAIR, "", BOTH),
    Case(
        "select_n",
        lambda x, y: lax.select_n(np.array([0, 2, 1], np.int32), x, y, x * y),
        (normal(3), normal(3)),
        "three",
    ),
    Case(
        "select_n", lambda x, y: lax.select_n(np.array(True), x, y), PAIR, "one-choice"
    ),
    Case("sign", lax.sign, ANY),
    Case("sign", lax.sign, (normal(2, 3),), "phase", ("complex",), since=(0, 12, 0)),
    *map(comparison, COMPARISONS),
    *map(integers, INTEGER_PAIRS),
    stepping("argmax", lambda x: lax.argmax(x, 0, np.int32)),
    stepping("argmin", lambda x: lax.argmin(x, 0, np.int32)),
    stepping(
        "bitcast_convert_type",
        lambda x: lax.bitcast_convert_type(x, np.uint8),
    ),
    stepping("ceil", lax.ceil),
    stepping("clz", lambda x: lax.clz(whole(x))),
    stepping("floor", lax.floor),
    stepping("iota", lambda x: lax.iota(np.int32, 3)),
    stepping("is_finite", lax.is_finite),
    stepping(  # the CPU's compiler cannot compile it before
        "mulhi", lambda x: lax.mulhi(whole(x), whole(x)), since=(0, 12, 0)
    ),
    stepping("not", lambda x: lax.bitwise_not(x > 0)),
    stepping("population_count", lambda x: lax.population_count(whole(x))),
    stepping("random_bits", lambda x: jax.random.bits(keys(x), (2,))),
    stepping(
        "random_fold_in",
        lambda x: jax.random.key_data(jax.random.fold_in(keys(x), 1)),
    ),
    stepping("random_seed", lambda x: jax.random.key_data(keys(x))),
    stepping("random_split", lambda x: jax.random.key_data(jax.random.split(keys(x)))),
    stepping("random_unwrap", lambda x: jax.random.key_data(keys(x))),
    stepping(
        "random_wrap",
        lambda x: jax.random.key_data(
            jax.random.wrap_key_data(
                lax.full((2,), 1, np.uint32) + whole(jnp.sum(x)).astype(np.uint32)
            )
        ),
    ),
    stepping("reduce_and", lambda x: lax.reduce_and(x > 0, (0,))),
    stepping("reduce_or", lambda x: lax.reduce_or(x > 0, (0,))),
    stepping("reduce_xor", lambda x: lax.reduce_xor(x > 0, (0,))),
    stepping("round", lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)),
    stepping(
        "stop_gradient",
        lambda x: bind("stop_gradient", x),
        differences=False,
        reason="it hides a slope that is there",
    ),
]
