"""Samples, pairs and their order."""

import gc
import time

import jax
import jax.numpy as jnp
import pytest

from jaxbp.errors import InvalidArgument
from jaxbp.timing import Timing, interleave, paired, time_calls
from jaxbp.timing.clock import calls_needed, no_collection, sample_s


def sleeper(seconds):
    """A call that lasts a known time."""

    def call(x):
        time.sleep(seconds)
        return x

    return call


def test_a_sample_is_at_least_what_the_call_lasts():
    assert sample_s(sleeper(0.01), (jnp.ones(3),), 2) >= 0.01


def test_a_sample_waits_for_the_device():
    product = jax.jit(lambda a: a @ a @ a @ a)
    a = jnp.full((700, 700), 1e-3)
    jax.block_until_ready(product(a))
    start = time.perf_counter()
    jax.block_until_ready(product(a))
    waited_s = time.perf_counter() - start
    # Dispatch alone takes about 10 µs, the products about 10 ms.
    assert sample_s(product, (a,), 1) > 0.1 * waited_s


@pytest.mark.parametrize(("call_s", "least", "most"), [(0.02, 1, 1), (5e-4, 2, 20)])
def test_short_calls_are_repeated_until_measurable(call_s, least, most):
    calls = calls_needed(sleeper(call_s), (1.0,), min_sample_s=5e-3)
    assert least <= calls <= most


def test_contenders_take_turns():
    order = []

    def sampler(name):
        return lambda: order.append(name) or 1.0

    taken = interleave({"a": sampler("a"), "b": sampler("b")}, rounds=3)
    assert order == ["a", "b"] * 3
    assert taken["a"].samples_s == (1.0,) * 3


def test_the_budget_ends_sampling_after_three_rounds():
    taken = interleave({"a": lambda: 1.0}, rounds=100, budget_s=0.0)
    assert len(taken["a"].samples_s) == 3


def test_too_few_rounds_are_refused():
    with pytest.raises(InvalidArgument, match="`rounds` must be at least 3.*is 2"):
        time_calls({"a": (jnp.sin, (1.0,))}, rounds=2)


def test_statistics_of_a_timing():
    timing = Timing((4.0, 1.0, 2.0, 3.0, 5.0))
    assert (timing.minimum_s, timing.median_s, timing.quantile_s(0.25)) == (1, 3, 2)


def test_ratios_are_paired_round_by_round():
    # Each round is slower than the last for both: the paired ratio stays 2.
    ratio = paired(Timing((2.0, 4.0, 8.0)), Timing((1.0, 2.0, 4.0)))
    assert (ratio.median, ratio.lower, ratio.upper) == (2, 2, 2)


def test_ratios_of_different_runs_are_refused():
    with pytest.raises(InvalidArgument, match="same rounds, but have 2 and 1"):
        paired(Timing((1.0, 2.0)), Timing((1.0,)))


def test_a_slower_contender_has_a_ratio_above_one():
    calls = {"slow": (sleeper(8e-3), (1.0,)), "fast": (sleeper(2e-3), (1.0,))}
    times = time_calls(calls, rounds=3)
    assert 2 < paired(times["slow"], times["fast"]).median < 4.5


def test_the_collector_is_held_off_and_let_go_again():
    with no_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
