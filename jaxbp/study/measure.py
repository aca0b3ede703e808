"""The columns that most studies share: one contender beside one baseline.

Right first, timed second, counted and predicted beside both.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxbp.checks.closeness import largest_closeness, rtol, wide
from jaxbp.costs import traced_amount
from jaxbp.study.base import GAP, Case, Row
from jaxbp.timing import (
    Stages,
    Timing,
    allocated_peak_bytes,
    device_roofs,
    is_same_program,
    paired,
    refusal,
    roof_fraction,
    stages,
    time_calls,
    xla_columns,
)

# The columns of a contest that tables show: is it right and how does it compare; how
# long, beside the prediction, and how near the roof.
COMPARED = ("closeness", "ratio", "ratio_q25", "ratio_q75")
COMPARED += ("predicted_ratio", "flops_ratio")
TIMED = ("base_s", "time_s", "predicted_s", "roof_fraction")


@dataclass(frozen=True)
class Baseline:
    """What contenders are timed beside: a program that is compiled and priced."""

    compiled: Callable
    args: tuple[Any, ...]
    output: Any
    flops: float
    predicted_s: float


def baseline(f: Callable, *args, dtype: str = "float32") -> Baseline:
    """Compile, run and price `f` at `args`."""
    built = stages(f, *args)
    price = priced(f, *args, dtype=dtype)
    return Baseline(
        built.compiled, args, built.output, price["counted_flops"], price["predicted_s"]
    )


def contest(
    f: Callable,
    args: tuple[Any, ...],
    base: Baseline,
    case: Case,
    wanted: Any,
    *,
    terms: float = 0.0,
    loop_steps: int = 1,
    beside: Mapping[str, Stages] | None = None,
) -> Row:
    """The row of one contender: is it right, and then what does it cost?

    Args:
      f: the contender, called with `args`; not compiled yet.
      base: timed in turn with it.
      case: its `dtype`, and `rounds` and `budget_s` of the timing.
      wanted, terms: what `f` must return, and the size of what cancels on the way
        there; see `correctness`.
      loop_steps: trip count of the loop that holds nearly all work; XLA counts a
        loop's body once, so its flops are multiplied by this.
      beside: other contenders with the same arguments, as in `against`.

    Returns:
      The columns of `correctness`, `against` and `priced`, `flops_ratio` and
      `predicted_ratio` to the baseline's, `roof_fraction`; a gap for a wrong result
      or an impossible rate.
    """
    built = stages(f, *args)
    row = correctness(built.output, wanted, terms, case["dtype"])
    row |= priced(f, *args, dtype=case["dtype"])
    if GAP in row:
        return row
    budget = dict(rounds=case["rounds"], budget_s=case["budget_s"])
    row |= against(base, built, args, loop_steps=loop_steps, beside=beside, **budget)
    if base.flops:
        row["flops_ratio"] = row["counted_flops"] / base.flops
    row["predicted_ratio"] = row["predicted_s"] / base.predicted_s
    return below_roof(row, "counted_flops", case["dtype"])


def against(
    base: Baseline,
    built: Stages,
    args: tuple[Any, ...],
    *,
    rounds: int,
    budget_s: float,
    loop_steps: int = 1,
    beside: Mapping[str, Stages] | None = None,
) -> Row:
    """Time a contender against a baseline, each once a round.

    Args:
      base: what is timed beside it.
      built: the contender, from `timing.stages` with `args`.
      rounds, budget_s: as in `time_calls`, of either contest; one of short calls goes
        on for more rounds until half of the budget is spent.
      loop_steps: as in `contest`.
      beside: name -> another contender. They are timed with the contender in turns of
        their own: a slow call that came before, with the memory that it went through,
        would make the next one slower than it is beside the baseline.

    Returns:
      Columns `trace_s`, `lower_s`, `compile_s`, `first_run_s`, `time_s` (median),
      `time_min_s`, `base_s`, `ratio`, `ratio_q25`, `ratio_q75` (paired, to the
      baseline), `xla_flops`, `xla_peak_bytes`, `xla_temp_bytes`, and
      `device_peak_bytes` where the device's allocator tells; of each of `beside`
      `over_NAME`, `over_NAME_q25`, `over_NAME_q75` (the contender's time over its own,
      paired) and `same_NAME`: whether XLA made one program of both.
    """
    sampled = functools.partial(
        time_calls, rounds=rounds, budget_s=budget_s, least_s=budget_s / 2
    )
    contender = (built.compiled, args)
    times = sampled({"contender": contender, "baseline": (base.compiled, base.args)})
    xla = xla_columns(built.compiled)
    if xla["xla_flops"] is not None:
        xla["xla_flops"] *= loop_steps
    row = built.columns() | time_columns(times["contender"], times["baseline"]) | xla
    if beside:
        others = {f"over_{name}": (o.compiled, args) for name, o in beside.items()}
        times = sampled({"contender": contender, **others})
        for name, other in beside.items():
            ratio = paired(times["contender"], times[f"over_{name}"])
            row |= {
                f"over_{name}": ratio.median,
                f"over_{name}_q25": ratio.lower,
                f"over_{name}_q75": ratio.upper,
                f"same_{name}": is_same_program(built.compiled, other.compiled),
            }
    peak = allocated_peak_bytes()
    return row if peak is None else row | {"device_peak_bytes": peak}


def priced(f: Callable, *args, dtype: str = "float32") -> Row:
    """What `f` costs by its program alone, of branches the dearest.

    Returns:
      `counted_flops`, `counted_bytes` (traffic with memory), and `predicted_s` from
      the roofs of the current device.
    """
    roofs = device_roofs(dtype)
    amount = traced_amount(f, *args, roofs=roofs)
    return {
        "counted_flops": amount.flops.high,
        "counted_bytes": amount.read_bytes.high + amount.written_bytes.high,
        "predicted_s": amount.time_s.high + roofs.call_s,
    }


def time_columns(contender: Timing, baseline: Timing) -> Row:
    """Median and minimum time, the baseline's median, and the paired ratio."""
    ratio = paired(contender, baseline)
    return {
        "time_s": contender.median_s,
        "time_min_s": contender.minimum_s,
        "base_s": baseline.median_s,
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
