"""What does a program cost before it runs, and what does XLA say about it?

Trace, lower, compile and first run are separate times: only the first is ours,
the rest is XLA's. XLA's counts are evidence, not truth: on a CPU it counts the
body of a loop once, whatever the trip count.
"""

import gc
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax

from jaxbp.timing.clock import ROUNDS, Call, Timing, interleave


@dataclass(frozen=True)
class Stages:
    """One program's way from Python to its first result; times in s."""

    trace_s: float
    lower_s: float
    compile_s: float
    first_run_s: float
    compiled: Any  # call it with the same arguments; runs nothing but the program
    output: Any

    def columns(self) -> dict[str, float]:
        """The four times, named for a row."""
        names = ("trace_s", "lower_s", "compile_s", "first_run_s")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Memory:
    """XLA's plan of a program's buffers, in bytes."""

    argument_bytes: int
    output_bytes: int
    temp_bytes: int
    alias_bytes: int  # outputs that live in an argument's buffer

    @property
    def peak_bytes(self) -> int:
        """temp + args + outs - alias."""
        held = self.argument_bytes + self.output_bytes + self.temp_bytes
        return held - self.alias_bytes


def stages(f: Callable, *args) -> Stages:
    """Trace, lower, compile and run `f` once, each on the clock.

    Args:
      f: a function of `args`; not jitted, or its trace may come from a cache.
      args: pytrees of arrays. What `f` closes over instead, XLA may fold.

    Cost: one compilation and one run of `f`.
    """
    traced, trace_s = clocked(jax.jit(fresh(f)).trace, *args)
    lowered, lower_s = clocked(traced.lower)
    compiled, compile_s = clocked(lowered.compile)
    output, first_run_s = clocked(lambda: jax.block_until_ready(compiled(*args)))
    return Stages(trace_s, lower_s, compile_s, first_run_s, compiled, output)


def clocked(f: Callable, *args) -> tuple[Any, float]:
    """What `f` returns, and the seconds it took."""
    start = time.perf_counter()
    out = f(*args)
    return out, time.perf_counter() - start


def time_traces(
    calls: Mapping[str, Call],
    *,
    rounds: int = ROUNDS,
    budget_s: float = float("inf"),
    forget: Callable[[], None] | None = jax.clear_caches,
) -> dict[str, Timing]:
    """Tracing time of every contender, sampled in turn.

    JAX keeps the programs of functions jitted inside (`jnp.where`, `jax.nn.relu`,
    ...) from one trace to the next, so a second trace is not the first. Each
    sample therefore traces a function object that JAX has never seen, and before it
    `forget` empties caches, by default all of JAX's, as in a new process. All
    contenders start each sample from the same state.

    Args:
      calls: name -> (f, args).
      rounds: samples of each contender.
      budget_s: stop early when this much time went by, after 3 rounds at least.
      forget: called before each sample; None keeps all caches, as when one function
        after another is traced in a process that runs for long. After
        `jax.clear_caches` functions jitted earlier compile again when next called.

    Returns:
      name -> Timing, one sample per round.
    """
    samplers = {n: partial(trace_sample_s, *c, forget) for n, c in calls.items()}
    gc.collect()
    gc.freeze()  # what the process holds by now is not gone through before each sample
    try:
        for sampler in samplers.values():
            sampler()  # Python's own first-time work (imports, code) is not tracing
        return interleave(samplers, rounds=rounds, budget_s=budget_s)
    finally:
        gc.unfreeze()


def trace_sample_s(
    f: Callable, args: tuple, forget: Callable[[], None] | None
) -> float:
    """Seconds to trace `f` as a new function object."""
    if forget:
        forget()
    gc.collect()  # or one contender pays for what the other left
    _, trace_s = clocked(jax.jit(fresh(f)).trace, *args)
    return trace_s


def fresh(f: Callable) -> Callable:
    """`f` as a function object no cache has seen."""

    def call(*args):
        return f(*args)

    return call


def memory(compiled) -> Memory | None:
    """XLA's buffer plan of a compiled program, or None where it reports none."""
    plan = compiled.memory_analysis()
    if plan is None:
        return None
    return Memory(
        argument_bytes=plan.argument_size_in_bytes,
        output_bytes=plan.output_size_in_bytes,
        temp_bytes=plan.temp_size_in_bytes,
        alias_bytes=plan.alias_size_in_bytes,
    )


def is_same_program(one, other) -> bool:
    """Whether XLA made the same of two programs: the same operations on the same
    operands in the same order, whatever they are called and wherever they come from.

    Of such programs a ratio of times is noise. Two that only differ in the order of
    their text are told apart.

    Args:
      one, other: compiled programs, from `jax.jit(f).lower(*args).compile()`.
    """
    return _normal_text(one) == _normal_text(other)


def _normal_text(compiled) -> str:
    """A compiled program's text with names numbered as they come, without sources."""
    text = compiled.as_text()
    text = text[text.find("\n\n%") :] if "\n\n%" in text else text.partition("\n")[2]
    text = _SOURCES.sub("", text)
    names: dict[str, str] = {}
    return _NAMES.sub(lambda found: names.setdefault(found[0], f"%{len(names)}"), text)


_SOURCES = re.compile(r",? ?(metadata|frontend_attributes)=\{[^{}]*\}")
_NAMES = re.compile(r"%[\w.-]+|\b[A-Za-z_][\w.]*(?=: )")


def xla_flops(compiled) -> float | None:
    """XLA's count of a compiled program's flops, or None where it counts none."""
    analysis = compiled.cost_analysis()
    return analysis.get("flops") if analysis else None


def xla_columns(compiled) -> dict[str, float | None]:
    """`xla_flops`, `xla_peak_bytes` and `xla_temp_bytes`, named for a row."""
    plan = memory(compiled)
    return {
        "xla_flops": xla_flops(compiled),
        "xla_peak_bytes": plan and plan.peak_bytes,
        "xla_temp_bytes": plan and plan.temp_bytes,
    }
