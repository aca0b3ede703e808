"""Types that meet in a derivative though they do not in the function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp

FLOAT8, BFLOAT16 = jnp.float8_e4m3fn, jnp.bfloat16
TWICE = jnp.array([0, 1, 1])


@jax.custom_vjp
def widened(x):
    return x.astype(BFLOAT16)


widened.defvjp(lambda x: (widened(x), None), lambda _, y_bar: (0.3 * y_bar,))

MOVES = {  # each hands on the cotangents 0.3, which float8 rounds to 0.3125
    "gather": lambda x: x.ravel()[TWICE],
    "slice": lambda x: x[:, 1:],
    "dynamic slice": lambda x: lax.dynamic_slice(x, (TWICE[0], 0), (1, 2)),
    "update": lambda x: lax.dynamic_update_slice(x, x[:1], (TWICE[0], 0)),
    "split": lambda x: jnp.split(x, [1], 1)[0],
    "concatenate": lambda x: lax.concatenate([x, x], 0),
    "pad": lambda x: jnp.pad(x, 1),
    "sum": lambda x: jnp.sum(x, 0),
    "product": lambda x: x * x,
    "maximum": lambda x: jnp.maximum(x, x[::-1]),
    "branch": lambda x: lax.cond(TWICE[0] < 1, lambda x: x, lambda x: x * x, x),
}


@pytest.mark.parametrize("name", MOVES)
def test_cotangents_wider_than_float8(name):
    """As wide as a custom rule gave them; so it is in JAX, where JAX has an answer."""
    x = jnp.arange(6.0, dtype=np.float32).reshape(2, 3)

    def loss(x):
        return widened(MOVES[name](x)).astype(np.float32).sum()

    found = jaxbp.grad(loss)(x.astype(FLOAT8))
    expected = jaxbp.grad(loss)(x)
    assert found.dtype == BFLOAT16
    np.testing.assert_allclose(found.astype(np.float32), expected, rtol=1e-2)


PARTS = {
    "slices": lambda x: x[3:5] + x[7:9] + x[3:5],
    "dynamic slices": lambda x: lax.dynamic_slice(x, (TWICE[1],), (2,)) + x[:2],
    "gathers": lambda x: x[TWICE] + x[TWICE + 1] + x[1:4],
    "in a scan": lambda x: lax.scan(
        lambda c, i: (c + x[i], widened(x[i + 1])), x[0], jnp.arange(3)
    )[0],
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_an_array_with_wide_cotangents(name):
    """Parts much smaller than the array, which are added in their places."""
    x = jnp.arange(4096.0, dtype=np.float32) / 4096

    def loss(x):
        return jnp.sum(widened(PARTS[name](x)).astype(np.float32) ** 2)

    found = jaxbp.grad(loss)(x.astype(FLOAT8))
    expected = jaxbp.grad(loss)(x)
    close = {"rtol": 0.2, "atol": 0.05}  # values of 3 bits
    np.testing.assert_allclose(found.astype(np.float32), expected, **close)


def test_real_part_without_a_warning():
    """The cotangent of a real operand beside a complex one: warnings are errors."""

    def modulus(x):
        z = jnp.full(3, 1 + 1j)
        return jnp.abs(lax.dot_general(x, z, (((0,), (0,)), ((), ()))))

    found = jaxbp.grad(modulus)(jnp.arange(3.0))
    np.testing.assert_allclose(found, np.sqrt(2) * np.ones(3))


def by_custom_jvp():
    @jax.custom_jvp
    def sine(x):
        return jnp.sin(x)

    @sine.defjvp
    def sine_jvp(primals, tangents):
        with jax.enable_x64(True):
            x, x_dot = (v.astype(np.float64) for v in (*primals, *tangents))
            y, y_dot = jnp.sin(x), 2 * jnp.cos(x) * x_dot
            return y.astype(np.float32), y_dot.astype(np.float32)

    return sine


def by_custom_vjp():
    @jax.custom_vjp
    def sine(x):
        return jnp.sin(x)

    def backward(x, y_bar):
        with jax.enable_x64(True):
            x_bar = 2 * jnp.cos(x.astype(np.float64)) * y_bar.astype(np.float64)
            return (x_bar.astype(np.float32),)

    sine.defvjp(lambda x: (sine(x), x), backward)
    return sine


@pytest.mark.parametrize("made", [by_custom_jvp, by_custom_vjp])
def test_x64_in_a_custom_rule(made):
    """Types of 64 bits in a few lines of a program that has none elsewhere."""
    sine, x = made(), np.float32(0.7)
    second = jaxbp.grad(jaxbp.grad(sine))
    with jax.enable_x64(False):
        for derivative in (jaxbp.grad(sine), jax.jit(jaxbp.grad(sine))):
            np.testing.assert_allclose(derivative(x), 2 * np.cos(x), rtol=1e-6)
        for derivative in (second, jax.jit(second), jaxbp.jacfwd(jaxbp.grad(sine))):
            found = derivative(x)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, -2 * np.sin(x), rtol=1e-6)


def numbers(x):
    return lax.cond(x > 0, lambda x: (2.0, 1), lambda x: (x**3, 2), x)


@pytest.mark.parametrize("call", [numbers, jax.jit(numbers), jax.checkpoint(numbers)])
def test_a_branch_may_return_a_number(call):
    """User code goes on with it as with the array that it is elsewhere."""

    def function(x):
        y, n = call(x)
        return (y.reshape(1) * x**2)[0] * n.reshape(1).astype(float)[0]

    assert jaxbp.grad(function)(2.0) == 8
    assert jaxbp.grad(jaxbp.grad(function))(2.0) == 4
    assert jax.jit(jaxbp.hessian(function))(2.0) == 4
    assert jax.vmap(jaxbp.grad(jaxbp.grad(function)))(jnp.array([2.0, -1.0]))[1] == -40


def test_float0_is_an_array_that_can_be_reshaped():
    """Of dtype float0 and of any shape, as a primal and in a custom rule as well."""

    @jax.custom_jvp
    def double(i, x):
        return x * 2, i.reshape(3, 1)

    @double.defjvp
    def double_jvp(primals, tangents):
        i_dot, x_dot = tangents
        return double(*primals), (2 * x_dot, jnp.reshape(i_dot, (3, 1)))

    nothing = jaxbp.grad(lambda i: i.astype(float).sum(), allow_int=True)(jnp.arange(3))
    _, (x_dot, i_dot) = jaxbp.jvp(double, (jnp.arange(3), 1.0), (nothing, 1.0))
    assert x_dot == 2 and i_dot.shape == (3, 1) and i_dot.dtype == jax.dtypes.float0
    _, again = jaxbp.jvp(lambda z: z.reshape(1, 3), (nothing,), (nothing,))
    assert again.shape == (1, 3)
