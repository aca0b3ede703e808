"""Where in the user's code: lines of frames, origins, what is told of them."""

import functools

import jax
import jax.numpy as jnp

from jaxbp import ir


def own_line(offset=0):
    return ir.line_of(ir.here())


def test_the_line_that_runs_now():
    found = own_line()
    assert found.endswith("test_sources.py:12 (own_line)")


def test_frames_of_jax_and_of_the_lab_are_not_the_users():
    assert ir.is_ours(jax.__file__) and ir.is_ours(ir.__file__)
    assert ir.is_ours(functools.__file__)
    assert not ir.is_ours(__file__)


def test_an_equation_without_a_line_has_that_of_the_call_around_it():
    program = jax.make_jaxpr(lambda x: jnp.linalg.norm(x))(jnp.ones(2))
    (call,) = program.eqns[:1]
    inner = ir.inner_programs(call.params)[0]
    outer = ir.Origin("jit", call.source_info, 0, 1)
    nested = ir.inner(inner)[0].eqns[0]
    origin = ir.Origin(nested.primitive.name, nested.source_info, 0, 3, outer)
    assert "test_sources.py:" in origin.source
    assert str(origin).startswith(f"`{nested.primitive.name}`, equation 1 of 3, ")


def test_origins_are_neutral():
    one, other = ir.Origin("sin"), ir.Origin("cos", ir.here(), 1, 2)
    assert one == other and hash(one) == hash(other) and one != "sin"


def test_the_nearest_of_two():
    inner, outer = ir.Origin("sin"), ir.Origin("jit", ir.here())
    found = ir.Origin.nearest(inner, outer)
    assert found.primitive == "sin" and "test_sources.py" in found.source
    assert ir.Origin.nearest(None, outer) is outer
