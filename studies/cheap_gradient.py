"""Does a gradient cost a small multiple of its function, whatever the network?

Expectation: Baur and Strassen 1983: f and its gradient take at most 5 times the
operations of f. In a network of L equal matrix products the pullback takes two
products for each, but for the first, whose input wants no gradient: f and gradient
take (3L - 1)/L times the flops of f. Time follows flops where products are large; the
compiler may fuse f better than its gradient, or the other way round.

tanh MLPs grown in width, depth and batch, and programs of other kinds.

Command: jaxbp study cheap_gradient [--quick] [--device cpu|gpu|tpu]
"""

from functools import lru_cache
from math import ceil

import jax
import jax.numpy as jnp

import jaxbp
from jaxbp.problems.programs import PROGRAMS, program
from jaxbp.problems.programs.draw import Draw
from jaxbp.study import (
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    along,
    crossed,
    grid,
    measure,
    numbered,
    plots,
    run,
    sweep,
    tables,
)
from jaxbp.study.unstable import steady, told

MINUTES = 1

BASE = dict(network="MLP", width=256, depth=4, batch=128)
SWEEPS = dict(
    width=[32, 64, 128, 256, 512, 1024],
    depth=[1, 2, 4, 8, 16, 32],
    batch=[1, 8, 32, 128, 512],
)
QUICK_BASE = BASE | dict(width=32, batch=16)
QUICK_SWEEPS = dict(width=[16, 32, 64], depth=[1, 2, 4, 8], batch=[1, 16])
QUICK_PROGRAMS = list(PROGRAMS)[::4]
METHODS = {"jaxbp": jaxbp.value_and_grad, "jax": jax.value_and_grad}
COLOURS = {"jaxbp": "blue", "jax": "black"}


def half_square(params, x):
    """tanh layers of one width under half the sum of squares."""
    for W, b in params:
        x = jnp.tanh(x @ W + b[None])  # (batch, width)
    return 0.5 * jnp.sum(x * x)


@lru_cache(maxsize=1)  # the methods of one network follow one another
def prepared(network, sizes, dtype, seed):
    """f, its arguments, f as a baseline, and value and gradient as JAX has them."""
    if network == "MLP":
        width, depth, batch = sizes
        draw = Draw(seed, dtype)
        params = [(draw.normal(width, width), draw.zeros(width)) for _ in range(depth)]
        x = draw.normal(batch, width, scale=1)
        f, args = half_square, jax.device_put((params, x))
    else:
        known = program(network, sizes, seed=seed, dtype=dtype)
        f, args = known.f, known.args
    wanted = jax.device_get(jax.jit(jax.value_and_grad(f))(*args))
    return f, args, measure.baseline(f, *args, dtype=dtype), wanted


def measured(case):
    """The row of one value_and_grad beside its function."""
    mlp = case["network"] == "MLP"
    sizes = (case["width"], case["depth"], case["batch"]) if mlp else case["size"]
    f, args, base, wanted = prepared(
        case["network"], sizes, case["dtype"], case["seed"]
    )
    row = {"expected_ratio": 3 - 1 / case["depth"]} if mlp else {}
    gradient = METHODS[case["method"]](f)
    return row | measure.contest(gradient, args, base, case, wanted)


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
    below = sum(row["flops_ratio"] <= 5 for row in shown)
    timed = steady(shown)
    faster = sum(row["ratio"] <= 6 for row in timed)
    title = (
        f"Programs: {below} of {len(shown)} at most 5 times the flops of f, {faster} "
        f"of the {len(timed)} with steady times at most 6 times its time"
    )
    columns = ("network", "flops_ratio", "ratio", "base_s", "time_s", "predicted_ratio")
    return {
        "MLPs: f and gradient over f, expected, timed, counted": times,
        title: [{c: told(row, c) for c in columns} for row in shown],
    }


def claim(rows):
    """The bound on the flops, and what the times make of it."""
    ours = numbered(rows, method="jaxbp")
    mlps = [row for row in ours if row["network"] == "MLP"]
    others = [row for row in ours if row["network"] != "MLP"]
    timed = steady(others)
    off = max(abs(r["flops_ratio"] / r["expected_ratio"] - 1) for r in mlps)
    most = ceil(max(row["ratio"] for row in steady(mlps)))
    dear = [row for row in others if row["flops_ratio"] > 5]
    slow = [row for row in timed if row["ratio"] > 6]
    return (
        f"Counted, f and gradient of a tanh MLP take (3L - 1)/L times the flops of f "
        f"to within {off:.1%}; timed, less than {most} times its time. Of "
        f"{len(others)} programs {len(others) - len(dear)} stay below 5 times the "
        f"flops of f{without(dear, 'flops_ratio')}; of the {len(timed)} with steady "
        f"times {len(timed) - len(slow)} stay below 6 times its time"
        f"{without(slow, 'ratio')}."
    )


def without(rows, column):
    """The exceptions with their figures, in brackets."""
    listed = ", ".join(f"`{row['network']}`: {row[column]:.3g}" for row in rows)
    return f" (not {listed})" if rows else ""


def plot(rows, axes):
    base = BASE if along(rows, BASE, "width") else QUICK_BASE
    by_depth, by_width, programs, counted = axes
    ours = {"jaxbp": "orange"}
    for axis, size in ((by_depth, "depth"), (by_width, "width")):
        swept = along(rows, base, size)
        plots.lines(axis, swept, size, "ratio", COLOURS, named=lambda m: f"time, {m}")
        told = dict(named=lambda m: "predicted", linestyle=":", marker="")
        plots.lines(axis, swept, size, "predicted_ratio", ours, **told)
    deep, bound = along(rows, base, "depth"), {"jaxbp": "grey"}
    told = dict(named=lambda m: "flops: (3L − 1)/L", marker="")
    plots.lines(by_depth, deep, "depth", "flops_ratio", bound, **told)
    others = [row for row in numbered(rows, method="jaxbp") if row["network"] != "MLP"]
    others.sort(key=lambda row: row["ratio"])
    names = [row["network"].replace("_", " ") for row in others]
    plots.ratio_dots(programs, names, others, "ratio", "blue")
    flops = [row["flops_ratio"] for row in others]
    counted.plot(flops, range(len(others)), "s", color=plots.COLOURS["black"])
    counted.set_yticks(range(len(others)), names)
    counted.invert_yaxis()
    for axis, what in ((programs, "time"), (counted, "counted flops")):
        axis.axvline(5, color=plots.COLOURS["vermilion"], linewidth=1)
        axis.axvline(1, color=plots.INK, linewidth=0.8)
        axis.set(xscale="log", xlim=(0.8, 70))
        axis.set_xticks([1, 2, 5, 10, 50], ["1", "2", "5", "10", "50"], minor=False)
        axis.tick_params(axis="y", labelsize=8)
        axis.set_title(f"{what} of f and gradient / f; the line is at 5")
    plots.over_sizes(by_depth, "layers L", "f and gradient over f, by depth")
    plots.over_sizes(by_width, "width", "f and gradient over f, by width")


def cases(base, sweeps, programs, size, settings):
    others = grid(network=programs, size=size)
    networks = [*sweep(base, **sweeps), *others]
    return crossed(networks, method=list(METHODS), **settings)


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(BASE, SWEEPS, list(PROGRAMS), "real", SETTINGS),
    quick=cases(QUICK_BASE, QUICK_SWEEPS, QUICK_PROGRAMS, "small", QUICK_SETTINGS),
    measure=measured,
    columns=(
        *("network", "width", "depth", "batch", "method", "expected_ratio"),
        *(*measure.COMPARED, *measure.TIMED),
    ),
    plot=plot,
    panels=(2, 2),
    summary=summary,
    claim=claim,
    counts=True,
)

if __name__ == "__main__":
    run(study)
