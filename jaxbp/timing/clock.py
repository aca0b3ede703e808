"""How long does one call take, warm and waited for?

A sample is the mean of enough calls in a row to last a measurable time; the
device is waited for after every call and the result stays alive until the clock
has stopped. Contenders are sampled once a round each, so that a machine that slows
down slows both; what is claimed is the ratio of neighbouring samples.

Source: ADBench, docs/Methodology.md (minimum measurable time, minimum of samples).
"""

import gc
import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxbp.errors import InvalidArgument

ROUNDS = 7  # an odd count has a median that was measured
LEAST_ROUNDS = 3  # fewer have no quartiles worth the name
UNSTABLE = 1.5  # quartiles further apart than this make a row that proves nothing
MIN_SAMPLE_S = 2e-3  # 10,000 ticks of a 200 ns clock read

Call = tuple[
    Callable[..., Any], tuple[Any, ...]
]  # what is called, and the arguments it gets


SCALE = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def seconds(time_s: float) -> str:
    """A time in three digits: "12.3 µs"."""
    size, unit = next((s for s in SCALE if time_s >= s[0]), SCALE[-1])
    return f"{time_s / size:.3g} {unit}"


@dataclass(frozen=True, repr=False)
class Timing:
    """Seconds per call, one entry per sample, in the order they were taken."""

    samples_s: tuple[float, ...]

    def __repr__(self) -> str:
        low, middle, high = (seconds(self.quantile_s(q)) for q in (0.25, 0.5, 0.75))
        count = len(self.samples_s)
        return f"Timing(median {middle}, quartiles {low} to {high}, {count} samples)"

    @property
    def minimum_s(self) -> float:
        """The least disturbed sample, s."""
        return min(self.samples_s)

    @property
    def median_s(self) -> float:
        """The middle sample, s."""
        return self.quantile_s(0.5)

    def quantile_s(self, q: float) -> float:
        """The sample below which a share `q` of all samples lies, s."""
        return float(np.quantile(self.samples_s, q))


@dataclass(frozen=True)
class Ratio:
    """Median and quartiles of paired ratios: what a timing claim rests on."""

    median: float
    lower: float
    upper: float

    @property
    def unstable(self) -> bool:
        """Whether the quartiles lie too far apart to rest a claim on."""
        return self.upper > UNSTABLE * self.lower


def paired(contender: Timing, baseline: Timing) -> Ratio:
    """The ratio contender/baseline, round by round.

    Args:
      contender, baseline: samples of the same rounds of one `time_calls`.

    Raises:
      InvalidArgument: the two do not have one sample per round each.
    """
    if len(contender.samples_s) != len(baseline.samples_s):
        raise InvalidArgument(
            "paired timings must come from the same rounds, but have "
            f"{len(contender.samples_s)} and {len(baseline.samples_s)} samples. "
            "Take both from one call of `time_calls`."
        )
    ratios = np.divide(contender.samples_s, baseline.samples_s)
    lower, median, upper = np.quantile(ratios, (0.25, 0.5, 0.75))
    return Ratio(float(median), float(lower), float(upper))


def time_calls(
    calls: Mapping[str, Call],
    *,
    rounds: int = ROUNDS,
    budget_s: float = float("inf"),
    least_s: float = 0.0,
    min_sample_s: float = MIN_SAMPLE_S,
) -> dict[str, Timing]:
    """Steady run time of every contender, sampled in turn.

    Args:
      calls: name -> (f, args). Compile `f` first and pass its inputs as `args`:
        XLA folds what `f` closes over.
      rounds: samples of each contender.
      budget_s: stop early when this much time went by, after 3 rounds at least.
      least_s: go on after `rounds` until this much time went by: a handful of samples
        of 2 ms fits into one disturbance of the machine.
      min_sample_s: a sample repeats its call until it lasts this long.

    Returns:
      name -> Timing, one sample per round.

    Cost: at least one warm-up call and 3 samples of every contender.
    """
    samplers = {
        name: partial(sample_s, f, args, calls_needed(f, args, min_sample_s))
        for name, (f, args) in calls.items()
    }
    return interleave(samplers, rounds=rounds, budget_s=budget_s, least_s=least_s)


def interleave(
    samplers: Mapping[str, Callable[[], float]],
    *,
    rounds: int = ROUNDS,
    budget_s: float = float("inf"),
    least_s: float = 0.0,
) -> dict[str, Timing]:
    """Ask every sampler for its seconds once a round, for some rounds.

    In an order drawn anew each round: what comes after a call that writes much, or
    wakes many threads, reads slow, and no contender is to have such a one before it
    always.
    """
    if rounds < LEAST_ROUNDS:
        raise InvalidArgument(
            f"`rounds` must be at least {LEAST_ROUNDS}, so that there are quartiles, "
            f"but is {rounds}."
        )
    samples = {name: [] for name in samplers}
    rng = random.Random(0)
    start_s = time.perf_counter()
    with no_collection():
        for done in itertools.count():
            elapsed_s = time.perf_counter() - start_s
            if done >= rounds and elapsed_s >= least_s:
                break
            if done >= LEAST_ROUNDS and elapsed_s > budget_s:
                break
            for name in rng.sample(list(samplers), len(samplers)):
                samples[name].append(samplers[name]())
    return {name: Timing(tuple(taken)) for name, taken in samples.items()}


def sample_s(f: Callable, args: tuple, calls: int) -> float:
    """Mean seconds of `calls` calls in a row, each waited for."""
    out = None
    start = time.perf_counter()
    for _ in range(calls):
        out = jax.block_until_ready(f(*args))  # the name keeps the result alive
    elapsed_s = time.perf_counter() - start
    del out
    return elapsed_s / calls


def calls_needed(f: Callable, args: tuple, min_sample_s: float) -> int:
    """How many calls in a row last `min_sample_s`; warms `f` up on the way."""
    calls = 1
    if sample_s(f, args, 1) > 20 * min_sample_s:
        return calls  # no second call: warming up took no such share of it
    while (elapsed_s := sample_s(f, args, calls) * calls) < min_sample_s:
        # Grow by what is missing, at least twofold and at most tenfold.
        calls *= int(np.clip(np.ceil(min_sample_s / max(elapsed_s, 1e-9)), 2, 10))
    return calls


@contextmanager
def no_collection() -> Iterator[None]:
    """Hold Python's garbage collector off, as `timeit` does."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
