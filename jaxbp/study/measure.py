"""The columns that most studies share: one contender beside one baseline."""

from collections.abc import Callable
from typing import Any

from jaxbp.study.base import Row
from jaxbp.timing import paired, stages, time_calls, xla_columns


def against(
    baseline: Callable,
    contender: Callable,
    args: tuple[Any, ...],
    *,
    rounds: int,
    budget_s: float,
    loop_steps: int = 1,
) -> Row:
    """Compile `contender`, then time it against `baseline` in turn, A B A B.

    Args:
      baseline: compiled already; called with `args`.
      contender: a function of `args`, not yet jitted.
      rounds, budget_s: as in `time_calls`.
      loop_steps: trip count of the loop that holds nearly all work; XLA counts a
        loop's body once, so its flops are multiplied by this.

    Returns:
      Columns `trace_s`, `lower_s`, `compile_s`, `first_run_s`, `time_s` (median),
      `time_min_s`, `ratio`, `ratio_q25`, `ratio_q75` (paired, to the baseline),
      `xla_flops`, `xla_peak_bytes`, `xla_temp_bytes`.
    """
    built = stages(contender, *args)
    calls = {"contender": (built.compiled, args), "baseline": (baseline, args)}
    times = time_calls(calls, rounds=rounds, budget_s=budget_s)
    xla = xla_columns(built.compiled)
    if xla["xla_flops"] is not None:
        xla["xla_flops"] *= loop_steps
    return built.columns() | time_columns(times["contender"], times["baseline"]) | xla


def time_columns(contender, baseline) -> Row:
    """Median and minimum time, and the paired ratio with its quartiles."""
    ratio = paired(contender, baseline)
    return {
        "time_s": contender.median_s,
        "time_min_s": contender.minimum_s,
        "ratio": ratio.median,
        "ratio_q25": ratio.lower,
        "ratio_q75": ratio.upper,
    }
