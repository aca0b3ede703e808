"""Trace, lower, compile and first run apart; XLA's counts."""

import jax
import jax.numpy as jnp
import pytest

from jaxbp import timing

A = jnp.full((64, 64), 0.5)


def test_stages_are_timed_apart_and_the_program_runs():
    built = timing.stages(lambda a, b: a @ b, A, A)
    assert list(built.columns()) == ["trace_s", "lower_s", "compile_s", "first_run_s"]
    assert all(seconds > 0 for seconds in built.columns().values())
    assert jnp.array_equal(built.output, A @ A)
    assert jnp.array_equal(built.compiled(A, A), A @ A)


def test_stages_trace_even_what_was_jitted_before():
    traces = []

    def f(a):
        traces.append(a)
        return a + 1

    jax.jit(f)(A)
    timing.stages(f, A)
    assert len(traces) == 2


def test_flops_of_a_product():
    built = timing.stages(lambda a, b: a @ b, A, A)
    assert timing.xla_flops(built.compiled) == pytest.approx(2 * 64**3, rel=0.01)


def test_xla_counts_a_loop_body_once():
    """Why studies multiply by the trip count: this must fail when XLA learns to."""

    def loop(a):
        return jax.lax.fori_loop(0, 10, lambda _, b: jnp.tanh(b @ a), a)

    assert timing.xla_flops(timing.stages(loop, A).compiled) < 2 * 2 * 64**3


def test_peak_memory_is_temp_plus_arguments_plus_outputs_minus_alias():
    plan = timing.Memory(argument_bytes=8, output_bytes=4, temp_bytes=2, alias_bytes=1)
    assert plan.peak_bytes == 13


def test_memory_of_a_compiled_program():
    plan = timing.memory(timing.stages(lambda a: (a, a + 1), A).compiled)
    assert plan.argument_bytes == A.nbytes
    assert plan.output_bytes >= 2 * A.nbytes


def test_xla_columns_are_named_with_their_units():
    columns = timing.xla_columns(timing.stages(jnp.tanh, A).compiled)
    assert set(columns) == {"xla_flops", "xla_peak_bytes", "xla_temp_bytes"}


class Silent:
    """A backend that reports nothing."""

    def cost_analysis(self):
        return None

    def memory_analysis(self):
        return None


def test_a_backend_without_counts_gives_none():
    assert set(timing.xla_columns(Silent()).values()) == {None}


@pytest.mark.parametrize("forget", [None, jax.clear_caches])
def test_every_trace_sample_traces_anew(forget):
    traces = []

    def f(a):
        traces.append(a)
        return jnp.where(a > 0, a, 0.0)

    times = timing.time_traces({"f": (f, (A,))}, rounds=3, forget=forget)
    assert len(traces) == 3 + 1  # and one to warm Python up
    assert min(times["f"].samples_s) > 0


def test_a_cold_trace_finds_no_inner_program_of_an_earlier_one():
    traces = []

    @jax.jit
    def inner(a):
        traces.append(a)
        return a * 2

    timing.time_traces({"f": (lambda a: inner(a), (A,))}, rounds=3)
    cold = len(traces)
    timing.time_traces({"f": (lambda a: inner(a), (A,))}, rounds=3, forget=None)
    assert cold == 4 and len(traces) == cold


def test_the_same_operations_are_the_same_program():
    one, other = (
        timing.stages(f, A, A).compiled
        for f in (lambda a, b: jnp.sin(a) * b + 1, lambda x, y: jnp.sin(x) * y + 1)
    )
    assert timing.is_same_program(one, other)


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: jnp.sin(b) * a + 1,
        lambda a, b: jnp.cos(a) * b + 1,
        lambda a, b: jnp.sin(a) * b + 2,
        lambda a, b: jnp.sin(a) * b - a,
    ],
)
def test_other_operands_or_operations_are_not(f):
    one = timing.stages(lambda a, b: jnp.sin(a) * b + 1, A, A).compiled
    assert not timing.is_same_program(one, timing.stages(f, A, A).compiled)
