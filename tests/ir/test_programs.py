"""Inner programs, keys of functions, what a traced function tells, cached replays."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxbp import ir


def test_programs_die_with_their_last_user():
    made = []

    @ir.once_per_program
    def counted(program, key):
        made.append(key)
        return key or program

    program = jax.make_jaxpr(jnp.sin)(1.0).jaxpr
    assert counted(program, 0) is counted(program, 0) is program and made.pop() == 0
    assert counted(program, 1) == counted(program, 1) == 1
    assert counted(program, 2) == 2 and made == [1, 2]
    alive = weakref.ref(program)
    del program
    gc.collect()
    jax.clear_caches()
    gc.collect()
    assert alive() is None


def test_a_static_crosses_a_trace_with_no_leaf():
    @jax.jit
    def f(x):
        return x, ir.Static(("told", x.shape))

    _, static = f(jnp.ones(3))
    assert static.value == ("told", (3,)) and jax.tree.leaves(static) == []


def test_operands_of_loops_are_split_alike():
    def step(c, x):
        return c * w + x, c

    w = jnp.ones(3)
    program = jax.make_jaxpr(lambda w, xs: lax.scan(step, w, xs))(w, jnp.ones((4, 3)))
    (scan,) = [e for e in program.eqns if e.primitive.name == "scan"]
    held, carries, elements = ir.scan_split(scan.invars, scan.params)
    assert len(carries) == len(elements) == 1
    assert [*held, *carries, *elements] == list(scan.invars)
    program = jax.make_jaxpr(
        lambda x, n: lax.while_loop(
            lambda c: c[0] < n, lambda c: (c[1] + x, 2 * c[0]), (x, x)
        )
    )(1.0, 5.0)
    (loop,) = program.eqns
    parts = ir.while_split(loop.invars, loop.params)
    assert [len(part) for part in parts] == [1, 1, 2]


def scaled(factor, x, y):
    return factor * x + y


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3)])
def test_a_replay_is_the_function(shape):
    x, y = jnp.ones(shape), jnp.full(shape, 2.0)
    expected = scaled(3.0, x, y)
    np.testing.assert_array_equal(ir.replay(scaled, (3.0,), x, y), expected)
    again = jax.jit(lambda x, y: ir.replay(scaled, (3.0,), x, y))(x, y)
    np.testing.assert_array_equal(again, expected)
    found = ir.shape_of(scaled, (3.0,), x, y)
    assert (found.shape, found.dtype) == (shape, x.dtype)


def backward(factor, residual, y_bar):
    return (factor * y_bar,)


def recorded(wrapped, x):
    """The custom_vjp's wrapped backward function, as JAX hands it to a trace."""
    program = jax.make_jaxpr(wrapped)(x)
    (call,) = [e for e in program.eqns if e.primitive.name == "custom_vjp_call"]
    return ir.call_params(call.primitive, call.params)["subfuns"][2]


def test_keys_of_functions_tell_apart_what_differs():
    x = jnp.ones(2)

    def of(factor):
        @jax.custom_vjp
        def f(x):
            return x

        f.defvjp(lambda x: (x, None), lambda r, y_bar: backward(factor, r, y_bar))
        return f

    one, other = recorded(of(2), x), recorded(of(3), x)
    assert ir.function_key(one) == ir.function_key(one)
    assert ir.function_key(one) != ir.function_key(other)


def test_the_type_of_an_array_is_jaxs():
    for value in (jnp.ones(2), jnp.float32(1), 2.0, np.ones(3), jnp.array(1)):
        assert ir.typeof(value) == jax.typeof(value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("weak", [False, True])
def test_one_is_made_once_and_of_its_type(dtype, weak):
    aval = jax.core.ShapedArray((), np.dtype(dtype), weak_type=weak)
    found = ir.one(aval)
    assert found == 1 and ir.typeof(found).dtype == dtype
    assert jax.jit(lambda: ir.one(aval))() == 1
