"""Is jaxbp.grad as fast as jax.grad, to trace and to run?

Expectation: it traces in 0.6 times the time or less, since f is recorded once and
each equation has one rule; the compiled gradients run equally fast, but for loops,
where weight gradients contracted once after the loop and fewer stacked residuals
save time.

20 programs, from networks to physics loops. The two gradients of each are compared
first, then timed in turn in one process. Tracing is timed twice over: cold, every
cache of JAX and of the engine emptied before each trace, as in a new process; and
warm, a new function object in a process that has traced before.

Command: jaxbp study engine_speed [--quick] [--device cpu|gpu|tpu]
"""

import sys

import jax
import numpy as np

import jaxbp
from jaxbp import timing
from jaxbp.errors import MissingRule
from jaxbp.problems.programs import PROGRAMS, program
from jaxbp.study import GAP, Study, grid, is_gap, measure, plots, run, stacked_bytes
from jaxbp.study.unstable import MARK, is_unstable, steady

MINUTES = 2

FULL = dict(
    size="real",  # as PROGRAMS documents them
    dtype="float32",
    precision="highest",  # of products; what correctness is judged at
    seed=0,
    rounds=15,  # quartiles of 15 pairs repeat to about 1 %
    budget_s=12.0,  # of timing a program's runs, and of each kind of tracing
)
QUICK = FULL | dict(size="small", rounds=5, budget_s=0.5)

ISSUE_FIRST = ("mlp_deep", "cnn", "transformer_block", "lstm")  # the everyday models
ENGINE_PARTS = (
    "jaxbp.ir",
    "jaxbp.linear",
    "jaxbp.rules",
    "jaxbp.walkers",
    "jaxbp.control",
    "jaxbp.transforms",
)
RATIOS = {"trace": "trace_ratio", "trace warm": "retrace_ratio", "run": "ratio"}


def measured(case):
    """The row of one program: correctness, run time, then both kinds of tracing."""
    told = program(case["name"], case["size"], seed=case["seed"], dtype=case["dtype"])
    args = told.args
    ours, theirs = jaxbp.grad(told.f), jax.grad(told.f)
    try:
        built = {"jaxbp": timing.stages(ours, *args)}
    except MissingRule as error:
        return {GAP: str(error).partition(" (")[0].replace("no rule", "no rule:")}
    built["jax"] = timing.stages(theirs, *args)
    row = measure.correctness(
        built["jaxbp"].output, built["jax"].output, 0.0, case["dtype"]
    )
    if GAP in row:
        return row
    return (
        row
        | run_columns(built, args, case)
        | trace_columns({"jaxbp": (ours, args), "jax": (theirs, args)}, case)
        | {
            "stacked_bytes": stacked_bytes(ours, *args),
            "jax_stacked_bytes": stacked_bytes(theirs, *args),
        }
    )


def run_columns(built, args, case):
    """Run times in turn, and XLA's counts of both programs."""
    times = timing.time_calls(
        {name: (stages.compiled, args) for name, stages in built.items()},
        rounds=case["rounds"],
        budget_s=case["budget_s"],
    )
    row = measure.time_columns(times["jaxbp"], times["jax"])
    row["jax_time_s"] = times["jax"].median_s
    for prefix, name in (("", "jaxbp"), ("jax_", "jax")):
        counts = timing.xla_columns(built[name].compiled)
        row |= {prefix + column: value for column, value in counts.items()}
    return row


def trace_columns(calls, case):
    """Tracing times in turn, cold and warm."""
    row = {}
    for prefix, forget in (("trace", forget_all), ("retrace", None)):
        times = timing.time_traces(
            calls, rounds=case["rounds"], budget_s=case["budget_s"], forget=forget
        )
        ratio = timing.paired(times["jaxbp"], times["jax"])
        row |= {
            f"{prefix}_s": times["jaxbp"].median_s,
            f"jax_{prefix}_s": times["jax"].median_s,
            f"{prefix}_ratio": ratio.median,
            f"{prefix}_ratio_q25": ratio.lower,
            f"{prefix}_ratio_q75": ratio.upper,
        }
    return row


def forget_all():
    """Empty the caches of JAX and of the engine, so that both start as strangers."""
    jax.clear_caches()
    engine = [m for name, m in sys.modules.items() if name.startswith(ENGINE_PARTS)]
    for module in engine:
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def summary(rows):
    """Every program's ratios, and their geometric means."""
    measured_rows = [row for row in rows if not is_gap(row)]
    each = [{"program": row["name"]} | told_ratios(row) for row in rows]
    sure = steady(measured_rows)
    groups = {
        f"all {len(measured_rows)} programs": measured_rows,
        f"the {len(sure)} with steady times": sure,
        "MLP, CNN, transformer, LSTM": [
            row for row in measured_rows if row["name"] in ISSUE_FIRST
        ],
    }
    means = [{"programs": name} | mean_ratios(g) for name, g in groups.items() if g]
    return {
        "Time of jaxbp.grad over time of jax.grad (median, quartiles)": each,
        "Geometric means, and the largest ratio": means,
    }


def told_ratios(row):
    """The three ratios of a program with their quartiles, as text."""
    if is_gap(row):
        return dict.fromkeys(RATIOS, row[GAP].partition(":")[0])
    return {
        name: f"{row[c]:.2f} [{row[c + '_q25']:.2f}, {row[c + '_q75']:.2f}]"
        + f" {MARK}" * is_unstable(row, c)
        for name, c in RATIOS.items()
    }


def mean_ratios(rows):
    """Geometric mean and maximum of each ratio."""
    columns = {name: [row[c] for row in rows] for name, c in RATIOS.items()}
    means = {name: float(np.exp(np.mean(np.log(r)))) for name, r in columns.items()}
    return means | {f"{name}, largest": max(r) for name, r in columns.items()}


def claim(rows):
    """Geometric means and extremes."""
    rows = [row for row in rows if not is_gap(row)]
    if not rows:
        return ""
    told, runs = mean_ratios(rows), [row["ratio"] for row in rows]
    return (
        f"Over {len(rows)} programs jaxbp.grad traces in {told['trace']:.2f} of "
        f"jax.grad's time (geometric mean; the largest {told['trace, largest']:.2f}), "
        f"and what it compiles runs in {told['run']:.2f} of it, from {min(runs):.2f} "
        f"to {max(runs):.2f}."
    )


def plot(rows, axes):
    rows = sorted((r for r in rows if not is_gap(r)), key=lambda r: r["ratio"])
    names = [row["name"].replace("_", " ") for row in rows]
    panels = (("trace_ratio", "trace, cold", "blue"), ("ratio", "run", "vermilion"))
    for axis, (column, title, colour) in zip(axes, panels, strict=True):
        plots.ratio_dots(axis, names, rows, column, colour)
        axis.set_title(f"time to {title}: jaxbp.grad / jax.grad")


study = Study(
    file=__file__,
    question=__doc__,
    cases=grid(name=list(PROGRAMS), **FULL),
    quick=grid(name=list(PROGRAMS), **QUICK),
    measure=measured,
    columns=(
        *("name", "closeness", "error"),
        *("trace_s", "jax_trace_s", "trace_ratio", "retrace_ratio"),
        *("time_s", "jax_time_s", "ratio", "ratio_q25", "ratio_q75"),
        *("xla_temp_bytes", "jax_xla_temp_bytes"),
        *("stacked_bytes", "jax_stacked_bytes"),
    ),
    plot=plot,
    panels=2,
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
