"""Does a gradient cost a small multiple of its function, whatever the network?

Expectation: Baur and Strassen 1983: f and its gradient take at most 5 times the
operations of f. In a network of L equal matrix products the pullback takes two
products for each, but for the first, whose input wants no gradient: f and gradient
take (3L - 1)/L times the flops of f. Time follows flops where products are large; the
compiler may fuse f better than its gradient, or the other way round.

tanh MLPs grown in width, depth and batch, and programs as users write them: those of
`problems.programs`, and those of `problems.everyday`, whose gradients are easily dearer
than they need be (tables filled by index, histories, branches in loops, kernels of all
pairs). Times are those of compiled programs, so the theorem does not bind them: a call
takes some 30 us whatever it does, and a compiler may copy an array that f updates in
place.

Command: jaxbp study cheap_gradient [--quick] [--device cpu|gpu|tpu]
"""

from functools import lru_cache
from math import ceil, exp, log
from statistics import mean

import jax
import jax.numpy as jnp

import jaxbp
from jaxbp.problems.everyday import EVERYDAY
from jaxbp.problems.programs import PROGRAMS, program
from jaxbp.problems.programs.draw import Draw
from jaxbp.study import (
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    crossed,
    grid,
    measure,
    numbered,
    plots,
    run,
    sweep,
    tables,
)
from jaxbp.study.unstable import is_unstable, steady, told
from jaxbp.timing import stages

MINUTES = 6

BASE = dict(network="MLP", width=256, depth=4, batch=128)
SWEEPS = dict(
    width=[32, 64, 128, 256, 512, 1024],
    depth=[1, 2, 4, 8, 16, 32],
    batch=[1, 8, 32, 128, 512],
)
QUICK_BASE = BASE | dict(width=32, batch=16)
QUICK_SWEEPS = dict(width=[16, 32, 64], depth=[1, 2, 4, 8], batch=[1, 16])
NAMES = [*PROGRAMS, *EVERYDAY]
QUICK_PROGRAMS = NAMES[::6]
FLOOR_S = 30e-6  # of a call
# Why a program may stay above 5. Only what says "bound" is a lower bound of any reverse
# mode; what does not names what takes the time.
NOTES = {
    "reads_of_a_vector": (
        "bound: any reverse mode writes a gradient of 200,000 numbers (800 kB), of "
        "which f reads 200"
    ),
}
SAME = "the same program"
METHODS = {"jaxbp": jaxbp.value_and_grad, "jax": jax.value_and_grad}
COLOURS = {"jaxbp": "blue", "jax": "black"}


def half_square(params, x):
    """tanh layers of one width under half the sum of squares."""
    for W, b in params:
        x = jnp.tanh(x @ W + b[None])  # (batch, width)
    return 0.5 * jnp.sum(x * x)


@lru_cache(maxsize=1)  # the methods of one network follow one another
def prepared(network, sizes, dtype, seed):
    """f, its arguments, f as a baseline, and JAX's value and gradient, compiled."""
    if network == "MLP":
        width, depth, batch = sizes
        draw = Draw(seed, dtype)
        params = [(draw.normal(width, width), draw.zeros(width)) for _ in range(depth)]
        x = draw.normal(batch, width, scale=1)
        f, args = half_square, jax.device_put((params, x))
    else:
        known = program(network, sizes, seed=seed, dtype=dtype)
        f, args = known.f, known.args
    theirs = stages(jax.value_and_grad(f), *args)
    return f, args, measure.baseline(f, *args, dtype=dtype), theirs


def measured(case):
    """The row of one value_and_grad beside its function."""
    mlp = case["network"] == "MLP"
    sizes = (case["width"], case["depth"], case["batch"]) if mlp else case["size"]
    f, args, base, theirs = prepared(
        case["network"], sizes, case["dtype"], case["seed"]
    )
    row = {"expected_ratio": 3 - 1 / case["depth"]} if mlp else {}
    gradient = METHODS[case["method"]](f)
    beside = {"jax": theirs} if case["method"] == "jaxbp" else None
    row |= measure.contest(gradient, args, base, case, theirs.output, beside=beside)
    if row.get("time_s") is not None:
        row["above_floor"] = above_floor(row)
    return row


def above_floor(row):
    """Time beside the floor of a call, over that of f."""
    return max(row["time_s"] - FLOOR_S, 0) / row["base_s"]


def summary(rows):
    """Ratios of the MLPs beside the expected one, and of the programs."""
    mlps = [row for row in rows if row["network"] == "MLP"]
    others = [row for row in rows if row["network"] != "MLP"]
    index = ["width", "depth", "batch", "expected_ratio"]
    counted = {tuple(r[k] for k in index): r.get("flops_ratio") for r in mlps}
    times = tables.pivot(mlps, index, "method", "ratio")
    for line in times:
        line["flops"] = counted[tuple(line[k] for k in index)]
    shown = numbered(others, method="jaxbp")
    theirs = {row["network"]: row for row in numbered(others, method="jax")}
    below = sum(row["flops_ratio"] <= 5 for row in shown)
    timed = steady(shown)
    faster = sum(above_floor(row) <= 5 for row in timed)
    title = (
        f"Programs: {below} of {len(shown)} at most 5 times the flops of f, {faster} "
        f"of the {len(timed)} with steady times at most 5 times its time beside 30 us"
    )
    columns = ("network", "flops_ratio", "ratio", "base_s", "time_s", "predicted_ratio")
    lines = []
    for row in shown:
        line = {c: told(row, c) for c in columns}
        other = theirs.get(row["network"])
        if other is not None:
            line |= {"jax_ratio": told(other, "ratio")}
        line |= {"over_jax": over_jax(row)}
        if above_floor(row) > 5:
            line |= {"above 5": NOTES.get(row["network"], "")}
        lines.append(line)
    return {
        "MLPs: f and gradient over f, expected, timed, counted": times,
        title: lines,
    }


def over_jax(row):
    """Time over JAX's, both measured in turn; where XLA made one program of both, the
    ratio is 1 whatever was measured."""
    return SAME if row.get("same_jax") else told(row, "over_jax")


def claim(rows):
    """The bound on the flops, and what the times make of it."""
    ours = numbered(rows, method="jaxbp")
    mlps = [row for row in ours if row["network"] == "MLP"]
    others = [row for row in ours if row["network"] != "MLP"]
    timed = steady(others)
    off = max(abs(r["flops_ratio"] / r["expected_ratio"] - 1) for r in mlps)
    most = ceil(max(row["ratio"] for row in steady(mlps)))
    dear = [row for row in others if row["flops_ratio"] > 5]
    slow = [row for row in timed if above_floor(row) > 5]
    return (
        f"Counted, f and gradient of a tanh MLP take (3L - 1)/L times the flops of f "
        f"to within {off:.1%}; timed, less than {most} times its time. Of "
        f"{len(others)} programs {len(others) - len(dear)} stay below 5 times the "
        f"flops of f{without(dear, 'flops_ratio')}; of the {len(timed)} with steady "
        f"times {len(timed) - len(slow)} stay below 5 times its time, beside 30 us for "
        f"the call{without(slow, 'ratio')}.{beside_jax(numbered(rows))}"
    )


def beside_jax(rows):
    """The geometric means of both methods' ratios, over what both have steady."""
    by_method = {
        method: {
            row["network"]: row["ratio"]
            for row in steady(numbered(rows, method=method))
            if row["network"] != "MLP"
        }
        for method in METHODS
    }
    both = set(by_method["jaxbp"]).intersection(by_method["jax"])
    if not both:
        return ""
    means = {
        method: exp(mean([log(found[name]) for name in both]))
        for method, found in by_method.items()
    }
    return (
        f" Over the {len(both)} programs that both have steady times of, f and "
        f"gradient take {means['jaxbp']:.2f} times f, in JAX {means['jax']:.2f} times "
        f"(geometric means).{in_turn(numbered(rows, method='jaxbp'))}"
        f"{peaks(rows)}"
    )


def in_turn(rows):
    """What was measured in turn with JAX's value and gradient."""
    rows = [row for row in rows if row["network"] != "MLP" and "over_jax" in row]
    same = [row for row in rows if row.get("same_jax")]
    timed = [r for r in rows if r not in same and not is_unstable(r, "over_jax")]
    if not timed:
        return ""
    above = [row for row in timed if row["over_jax"] > 1.05]
    least = exp(mean([log(row["over_jax"]) for row in timed] + [0.0] * len(same)))
    return (
        f" Timed in turns with JAX's, ours take {least:.2f} of the time (geometric "
        f"mean of {len(timed)} programs, and of {len(same)} of which XLA makes the "
        f"same program); above 1.05 of it: {named(above, 'over_jax')}."
    )


def peaks(rows):
    """XLA's peak memory above JAX's."""
    peak = "xla_peak_bytes"
    theirs = {
        row["network"]: row[peak]
        for row in numbered(rows, method="jax")
        if row["network"] != "MLP" and row.get(peak)
    }
    ours = [
        row | {"over": row[peak] / theirs[row["network"]]}
        for row in numbered(rows, method="jaxbp")
        if row["network"] in theirs and row.get(peak)
    ]
    above = [row for row in ours if row["over"] > 1.05]
    return f" Peak memory above 1.05 of JAX's: {named(above, 'over')}." if ours else ""


def named(rows, column):
    """Rows by name with their figures, or none."""
    listed = ", ".join(f"`{row['network']}`: {row[column]:.3g}" for row in rows)
    return listed or "none"


def without(rows, column):
    """The exceptions with their figures, in brackets."""
    return f" (not {named(rows, column)})" if rows else ""


def plot(rows, axes):
    """Every program at its ratios, JAX's beside ours, and at its counted flops."""
    others = [row for row in rows if row["network"] != "MLP"]
    ours = sorted(numbered(others, method="jaxbp"), key=lambda row: row["ratio"])
    theirs = {row["network"]: row for row in numbered(others, method="jax")}
    names = [row["network"].replace("_", " ") for row in ours]
    timed, counted = axes
    timed.figure.set_size_inches(9, 2 + 0.19 * len(names))
    both = [(i, row, theirs[row["network"]]) for i, row in enumerate(ours)
            if row["network"] in theirs]  # fmt: skip
    for place, row, other in both:
        timed.hlines(place, row["ratio"], other["ratio"], color=plots.INK, alpha=0.25)
    places = [place for place, *_ in both]
    timed.plot([other["ratio"] for *_, other in both], places, "s", markersize=7,
               color=plots.COLOURS[COLOURS["jax"]],
               label="JAX, timed apart")  # fmt: skip
    plots.ratio_dots(timed, names, ours, "ratio", COLOURS["jaxbp"])
    counted.plot([row["flops_ratio"] for row in ours], range(len(ours)), "o",
                 color=plots.COLOURS[COLOURS["jaxbp"]])  # fmt: skip
    counted.set_yticks(range(len(names)), [])
    timed.plot([], [], "o", color=plots.COLOURS[COLOURS["jaxbp"]], label="jaxbp")
    for axis, what in ((timed, "time"), (counted, "counted flops")):
        said = f"5 times; a call may\ntake {FLOOR_S * 1e6:.0f} µs more"
        axis.axvline(5, color=plots.COLOURS["vermilion"], linewidth=1, label=said)
        axis.axvline(1, color=plots.INK, linewidth=0.8)
        axis.set(xscale="log", ylim=(len(names) - 0.5, -0.5))
        axis.tick_params(axis="y", labelsize=plots.LABEL_POINTS)
        axis.set_title(f"{what} of f and gradient / f")
    timed.legend(loc="upper right")


def cases(base, sweeps, programs, size, settings):
    others = grid(network=programs, size=size)
    networks = [*sweep(base, **sweeps), *others]
    return crossed(networks, method=list(METHODS), **settings)


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(BASE, SWEEPS, NAMES, "real", SETTINGS),
    quick=cases(QUICK_BASE, QUICK_SWEEPS, QUICK_PROGRAMS, "small", QUICK_SETTINGS),
    measure=measured,
    columns=(
        *("network", "width", "depth", "batch", "method", "expected_ratio"),
        *(*measure.COMPARED, *measure.TIMED, "above_floor", "counted_bytes"),
        *("xla_peak_bytes", "over_jax", "over_jax_q25", "over_jax_q75", "same_jax"),
    ),
    plot=plot,
    panels=2,
    summary=summary,
    claim=claim,
    counts=True,
)

if __name__ == "__main__":
    run(study)
