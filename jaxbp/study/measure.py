"""The columns that most studies share: one contender beside one baseline."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from jaxbp.checks.closeness import largest_closeness, rtol, wide
from jaxbp.study.base import GAP, Row
from jaxbp.timing import (
    Stages,
    Timing,
    paired,
    refusal,
    roof_fraction,
    time_calls,
    xla_columns,
)


def against(
    baseline: Callable,
    built: Stages,
    args: tuple[Any, ...],
    *,
    rounds: int,
    budget_s: float,
    loop_steps: int = 1,
) -> Row:
    """Time a contender against a baseline in turn, A B A B.

    Args:
      baseline: compiled already; called with `args`.
      built: the contender, from `timing.stages` with the same `args`.
      rounds, budget_s: as in `time_calls`.
      loop_steps: trip count of the loop that holds nearly all work; XLA counts a
        loop's body once, so its flops are multiplied by this.

    Returns:
      Columns `trace_s`, `lower_s`, `compile_s`, `first_run_s`, `time_s` (median),
      `time_min_s`, `ratio`, `ratio_q25`, `ratio_q75` (paired, to the baseline),
      `xla_flops`, `xla_peak_bytes`, `xla_temp_bytes`.
    """
    calls = {"contender": (built.compiled, args), "baseline": (baseline, args)}
    times = time_calls(calls, rounds=rounds, budget_s=budget_s)
    xla = xla_columns(built.compiled)
    if xla["xla_flops"] is not None:
        xla["xla_flops"] *= loop_steps
    return built.columns() | time_columns(times["contender"], times["baseline"]) | xla


def time_columns(contender: Timing, baseline: Timing) -> Row:
    """Median and minimum time, and the paired ratio with its quartiles."""
    ratio = paired(contender, baseline)
    return {
        "time_s": contender.median_s,
        "time_min_s": contender.minimum_s,
        "ratio": ratio.median,
        "ratio_q25": ratio.lower,
        "ratio_q75": ratio.upper,
    }


def correctness(found: Any, wanted: Any, terms: float, dtype: str) -> Row:
    """Is a result right? Asked before any time is taken.

    Args:
      found, wanted: pytrees of arrays of one structure.
      terms: size of terms that cancelled on the way to the result; rounding of
        their size is explained. 0 where none are larger than the result.
      dtype: that both were computed in.

    Returns:
      Columns `closeness` (ADBench's, largest) and `error` (largest difference over
      the largest entry wanted), and a stated gap where rounding, 2 eps^(2/3) of the
      largest of entries and terms, does not explain the difference.
    """
    pairs = list(zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True))
    largest = largest_entry(y for _, y in pairs)
    gap = largest_entry(wide(x) - wide(y) for x, y in pairs)
    row = {
        "closeness": max(largest_closeness(x, y)[0] for x, y in pairs),
        "error": gap / largest if largest else gap,
    }
    allowed = rtol(dtype) * max(largest, terms)
    if gap <= allowed:  # a NaN is not
        return row
    return row | {
        GAP: f"wrong result: off by {gap:.1e}, rounding explains {allowed:.1e}"
    }


def largest_entry(arrays: Iterable[Any]) -> float:
    """The largest magnitude in some arrays; NaN if there is one."""
    largest = [np.abs(wide(array)).max(initial=0) for array in arrays]
    return float(np.max(largest, initial=0))


def below_roof(row: Row, flops_column: str, dtype: str) -> Row:
    """The row with `roof_fraction`, or a stated gap if its rate is impossible."""
    flops = row.get(flops_column)
    if not flops:
        return row
    if reason := refusal(flops, row["time_s"], dtype):
        return {**row, "time_s": None, "ratio": None, GAP: reason}
    return row | {"roof_fraction": roof_fraction(flops, row["time_s"], dtype)}
