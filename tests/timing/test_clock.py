"""Samples, pairs and their order."""

import gc
import itertools
import time

import jax
import jax.numpy as jnp
import pytest

from jaxbp.errors import InvalidArgument
from jaxbp.timing import Timing, interleave, paired, time_calls
from jaxbp.timing.clock import calls_needed, no_collection, sample_s


class Clock:
    """A clock that only moves when a call says how long it took."""

    now_s = 0.0

    def perf_counter(self):
        return self.now_s

    def lasting(self, seconds):
        """A call that takes this long."""

        def call(x):
            self.now_s += seconds
            return x

        return call


@pytest.fixture
def clock(monkeypatch):
    """The module's clock, moved by hand: no test waits, or fails on a busy machine."""
    clock = Clock()
    monkeypatch.setattr("jaxbp.timing.clock.time", clock)
    return clock


def test_a_sample_is_the_mean_of_its_calls(clock):
    assert sample_s(clock.lasting(0.01), (1.0,), 2) == pytest.approx(0.01)


def test_a_sample_waits_for_the_device():
    product = jax.jit(lambda a: a @ a @ a @ a)
    a = jnp.full((700, 700), 1e-3)
    jax.block_until_ready(product(a))
    start = time.perf_counter()
    jax.block_until_ready(product(a))
    waited_s = time.perf_counter() - start
    # Dispatch alone takes about 10 µs, the products about 10 ms.
    assert sample_s(product, (a,), 1) > 0.1 * waited_s


@pytest.mark.parametrize(
    ("call_s", "calls"),
    [(0.2, 1), (0.02, 1), (5e-3, 1), (4e-3, 2), (5e-4, 10), (1e-6, 5000)],
)
def test_short_calls_are_repeated_until_measurable(clock, call_s, calls):
    found = calls_needed(clock.lasting(call_s), (1.0,), min_sample_s=5e-3)
    assert calls <= found <= 2 * calls


def test_a_long_call_is_warmed_up_once(clock):
    calls_needed(clock.lasting(1.0), (1.0,), min_sample_s=5e-3)
    assert clock.now_s == 1.0


def test_contenders_take_turns():
    order = []

    def sampler(name):
        return lambda: order.append(name) or 1.0

    names = ["a", "b", "c"]
    taken = interleave({name: sampler(name) for name in names}, rounds=40)
    assert taken["a"].samples_s == (1.0,) * 40
    turns = [order[k : k + 3] for k in range(0, 120, 3)]
    assert all(sorted(turn) == names for turn in turns)
    assert {tuple(turn[:2]) for turn in turns} == set(itertools.permutations(names, 2))


def test_the_budget_ends_sampling_after_three_rounds():
    taken = interleave({"a": lambda: 1.0}, rounds=100, budget_s=0.0)
    assert len(taken["a"].samples_s) == 3


def test_short_calls_go_on_until_the_least_time_is_spent(clock):
    short, long = (clock.lasting(5e-3), (1.0,)), (clock.lasting(2.0), (1.0,))
    taken = time_calls({"f": short}, rounds=3, least_s=0.5, budget_s=1.0)
    assert 0.49 < sum(taken["f"].samples_s) < 0.52  # samples of one call
    assert len(time_calls({"f": long}, rounds=3, least_s=0.5)["f"].samples_s) == 3
    short_of_it = time_calls({"f": short}, rounds=3, least_s=1.0, budget_s=0.1)
    assert 0.09 < sum(short_of_it["f"].samples_s) < 0.12  # the budget ends it


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


def test_a_slower_contender_has_a_ratio_above_one(clock):
    slow, fast = clock.lasting(8e-3), clock.lasting(2e-3)
    times = time_calls({"slow": (slow, (1.0,)), "fast": (fast, (1.0,))}, rounds=3)
    assert paired(times["slow"], times["fast"]).median == pytest.approx(4)
    assert len(times["slow"].samples_s) == len(times["fast"].samples_s) == 3


def test_the_collector_is_held_off_and_let_go_again():
    with no_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
