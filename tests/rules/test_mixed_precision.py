"""Operands of one type, sums of another: both modes and orders, under strict promotion.

This is what accelerators run: bfloat16 in, float32 out. Answers are JAX's in type, and
in value to a few roundings of the narrowest type: what is converted first differs.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from tests.fuzz import derivatives
from tests.rules.case import floating, normal

TYPES = {  # of the operands, and of the result
    "wide sums": (jnp.bfloat16, jnp.bfloat16, np.float32),
    "wider sums": (np.float32, np.float32, np.float64),
    "float8": (jnp.float8_e4m3fn, jnp.float8_e4m3fn, np.float32),
    "two types": (jnp.bfloat16, np.float32, np.float32),
    "two halves": (np.float16, jnp.bfloat16, np.float32),
    "narrow": (np.float32, np.float32, jnp.bfloat16),
}
SIZES = np.array([2, 1, 3], np.int32)
DOT = (((2,), (1,)), ((0,), (0,)))


def convolved(x, w, dtype):
    return lax.conv_general_dilated(x, w, (1, 2), "SAME", preferred_element_type=dtype)


def multiplied(x, w, dtype):
    return lax.mul(x, w, out_dtype=dtype)


def dotted(x, w, dtype):
    return lax.dot_general(x, w, DOT, preferred_element_type=dtype)


def grouped(x, w, dtype):
    return lax.ragged_dot(x, w, SIZES, preferred_element_type=dtype)


ONE_TYPE = ("wide sums", "wider sums", "float8")
CALLS = [
    *[(convolved, (2, 2, 5, 4), (3, 2, 2, 2), types) for types in ONE_TYPE],
    *[(dotted, (2, 3, 4), (2, 4, 2), types) for types in TYPES],
    *[(grouped, (6, 4), (3, 4, 2), types) for types in TYPES],
    *[(multiplied, (3,), (3,), types) for types in TYPES],
    (multiplied, (3,), (), "two types"),
]


@pytest.mark.parametrize(
    ("call", "left", "right", "types"),
    [pytest.param(*c, id=f"{c[0].__name__}-{c[3]}-{len(c[2])}") for c in CALLS],
)
def test_both_modes_and_orders(call, left, right, types):
    *operands, out = TYPES[types]
    rng = np.random.default_rng(0)
    pairs = list(zip((left, right), operands, strict=True))
    xs, x_dots = ([normal(*s)(rng, t) for s, t in pairs] for _ in range(2))
    y = jax.eval_shape(lambda *xs: call(*xs, out), *xs)
    assert y.dtype == out
    seeds = tuple(xs), tuple(x_dots), [normal(*y.shape)(rng, out)]

    def function(*xs):
        y = call(*xs, out)
        return [y + y * y]

    orders = [derivatives.jvp, derivatives.vjp, *derivatives.SECOND]
    if call is grouped:  # of its second order, JAX has what pushes forward
        orders = [derivatives.jvp, derivatives.vjp, derivatives.jvp_of_jvp]
    rounding = max(float(jnp.finfo(t).eps) for t in (*operands, out))
    for order in orders:
        found, expected = (order(ad, ad, function)(*seeds) for ad in (jaxbp, jax))
        assert_same(found, expected, 4 * rounding)


def assert_same(found, expected, rtol):
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    for a, b in pairs:
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if floating(b):
            a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
            size = np.max(np.abs(b), initial=0)
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * size)


def test_weights_of_a_loop():
    """The one contraction after a loop has the types of those in it."""
    rng = np.random.default_rng(0)
    w, xs = normal(4, 4)(rng, jnp.bfloat16), normal(3, 2, 4)(rng, jnp.bfloat16)

    def loss(w):
        def step(h, x):
            y = lax.dot_general(h, w, (((1,), (0,)), ((), ())), None, np.float32)
            return jnp.tanh(y + x.astype(np.float32)).astype(jnp.bfloat16), y.sum()

        return lax.scan(step, jnp.ones((2, 4), jnp.bfloat16), xs)[1].sum()

    for order in (lambda ad: ad.grad(loss)(w), lambda ad: ad.hessian(loss)(w)):
        assert_same(order(jaxbp), order(jax), 6 * float(jnp.finfo(jnp.bfloat16).eps))
