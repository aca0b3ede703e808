"""What does a gradient cost as a network grows, by seven ways to compute it?

Expectation: reverse mode costs a small multiple of one evaluation of the loss f,
whatever the number of parameters n; forward mode and central differences ask for
each entry by itself, and cost a multiple that grows in proportion to n.

The networks are tanh MLPs on the 8x8 digits under softmax cross-entropy, grown in
width, depth and batch, and one that is trained first. Every gradient is compared
with jax.grad before it is timed, and is timed in turn with f.

Command: jaxbp study forward_vs_reverse [--quick] [--device cpu|gpu|tpu]
"""

from functools import cache, lru_cache

import jax
import numpy as np

import jaxbp
from jaxbp import costs, layers, problems, training
from jaxbp.study import (
    GAP,
    Study,
    along,
    crossed,
    fit_power,
    gradients,
    measure,
    plots,
    run,
    sweep,
    tables,
)

MINUTES = 25

# A batch at which the products of f, not its overhead, take most of its time.
BASE = dict(network="mlp", width=64, depth=2, batch=256)  # depth: hidden layers
SWEEPS = dict(
    width=[16, 24, 32, 48, 64, 96, 128, 192, 256, 512],  # n from 1,482 to 301,066
    depth=[1, 2, 4, 8, 16],
    batch=[1, 16, 64, 256, 1024],
)
QUICK_SWEEPS = dict(width=[16, 24, 48, 256], depth=[8], batch=[32])
DIGITS = dict(network="digits", width=32, depth=1, batch=256)  # 64-32-10, trained

FULL = dict(
    dtype="float32",
    precision="highest",  # of products; what correctness is judged at
    seed=0,
    chunk=gradients.CHUNK,
    rounds=9,  # odd, and enough for quartiles
    budget_s=8.0,  # of timing a row; three rounds in any case
    budget_flops=1.5e12,  # of one gradient: about 10 s on 2 CPU cores
    budget_bytes=8 * 2**30,  # of one gradient's tangents held at once
)
QUICK = FULL | dict(rounds=5, budget_s=0.2, budget_flops=5e10, budget_bytes=2**30)

METHODS = {  # name: colour in the figure
    "f": "grey",
    "layers": "green",
    "engine reverse": "blue",
    "jax.grad": "black",
    "one pushforward": "sky",
    "engine forward": "vermilion",
    "jax.jacfwd": "orange",
    "differences": "purple",
}
CHUNKED = ("engine forward", "differences")  # n columns, a chunk at a time
COLUMN_WISE = (*CHUNKED, "jax.jacfwd")  # n columns, however many at a time


def contender(method, model, f, chunk):
    """The gradient function (params, *data) -> gradient of a method."""
    if method == "layers":
        by_hand = layers.value_and_grad(model, layers.softmax_cross_entropy)
        return lambda *args: by_hand(*args)[1]
    if method == "one pushforward":
        return lambda *args: gradients.slope_along_ones(jaxbp.jvp, f, *args)
    if method == "engine forward":
        return gradients.by_pushforwards(jaxbp.jvp, f, chunk)
    if method == "differences":
        return gradients.by_differences(f, chunk)
    whole = {"engine reverse": jaxbp.grad, "jax.grad": jax.grad}
    return (whole | {"jax.jacfwd": jax.jacfwd, "f": lambda f: f})[method](f)


@lru_cache(maxsize=1)  # the cases of one network follow one another
def prepared(network, width, depth, batch, dtype, seed):
    """Model, f, arguments, f compiled, value and gradient of f, columns."""
    model = layers.mlp([64, *[width] * depth, 10], activation="tanh")
    f = layers.loss_fn(model, layers.softmax_cross_entropy)
    told = {}
    if network == "digits":
        outcome = trained(width, depth, dtype, seed)
        params, told["test_accuracy"] = outcome.training.params, outcome.accuracy
    else:
        params = model.init(jax.random.key(seed), dtype)
    images = problems.digits(seed, dtype=dtype).train
    args = (params, *(jax.device_put(part[:batch]) for part in images))
    told["parameters"] = sum(leaf.size for leaf in jax.tree.leaves(params))
    told |= costs.counted(f, *args)
    reference = jax.device_get(jax.jit(jax.value_and_grad(f))(*args))
    return model, f, args, measure.baseline(f, *args, dtype=dtype), reference, told


@cache
def trained(width, depth, dtype, seed):
    """The digits network after 20 epochs, by the engine's own gradient."""
    hidden = (width,) * depth
    return training.fit_digits("engine", seed, 20, hidden=hidden, dtype=dtype)


def measured(case):
    """The row of one method on one network: correctness first, then cost."""
    names = (*BASE, "dtype", "seed")
    model, f, args, base, reference, told = prepared(*(case[k] for k in names))
    method, chunk, n = case["method"], case["chunk"], told["parameters"]
    row = dict(told)
    if reason := too_dear(case, n, told["f_flops"]):
        return row | {GAP: reason}
    gradient = contender(method, model, f, chunk)
    wanted, terms = expected(method, reference)
    steps = gradients.loop_steps(n, chunk) if method in CHUNKED else 1
    return row | measure.contest(
        gradient, args, base, case, wanted, terms=terms, loop_steps=steps
    )


def expected(method, reference):
    """What a method must return, and how large an absolute error is explained by
    cancellation: the terms of a sum, or the steps of differences."""
    value, gradient = reference
    if method == "f":
        return value, 0.0
    if method == "one pushforward":
        leaves = jax.tree.leaves(gradient)
        return sum(g.sum() for g in leaves), float(sum(np.abs(g).sum() for g in leaves))
    # f's rounding over the step, and the step's truncation: eps^(2/3) each.
    return gradient, 2 * max(1.0, float(value)) if method == "differences" else 0.0


def too_dear(case, n, f_flops):
    """Why a method that asks column by column is left out here, or nothing."""
    if case["method"] not in COLUMN_WISE:
        return ""
    flops, limit = 2 * n * f_flops, case["budget_flops"]
    if flops > limit:
        return f"over budget: about {flops:.1e} flops, limit {limit:.1e}"
    # Seeds (n, n), and tangents of two layers at a time: (n, batch, width).
    columns = case["chunk"] if case["method"] in CHUNKED else n
    held = 4 * columns * (n + 2 * case["batch"] * max(64, case["width"]))
    limit = case["budget_bytes"]
    if held > limit:
        return f"over budget: {held:.1e} bytes of tangents, limit {limit:.1e}"
    return ""


def summary(rows):
    """Time over f's time by network, and how it grows over each sweep."""
    growths = [
        {"method": method}
        | {f"time over {axis}": growth(rows, method, axis, "ratio") for axis in SWEEPS}
        | {"flops over width": growth(rows, method, "width", "flops_ratio")}
        for method in METHODS
    ]
    named = [
        row | {"network": network_name(row), "n": row["parameters"]} for row in rows
    ]
    ratios = tables.pivot(named, ["network", "n"], "method", "ratio")
    accuracies = {row["test_accuracy"] for row in rows if "test_accuracy" in row}
    trained_to = "".join(f"; digits trained to {a:.3f} right" for a in accuracies)
    return {
        f"Time of a gradient over the time of f, paired medians{trained_to}": ratios,
        "Growth with n (b: with the batch size), and its 95 % interval": growths,
    }


def network_name(row):
    """A network in a few words."""
    sizes = f"{row['width']}x{row['depth']}, batch {row['batch']}"
    return "digits, trained" if row["network"] == "digits" else sizes


def growth(rows, method, axis, column):
    """Fitted power of a column along a sweep with its confidence interval, as text."""
    chosen = numbered(along(rows, BASE, axis), method)
    x = "batch" if axis == "batch" else "parameters"
    if len({row[x] for row in chosen}) < 3:
        return "-"  # two points have an exponent, but no doubt of it
    fit = fit_power([row[x] for row in chosen], [row[column] for row in chosen])
    return f"{'b' if axis == 'batch' else 'n'}^{fit}"


def numbered(rows, method):
    """The rows of a method that have numbers."""
    return [row for row in rows if row["method"] == method and "ratio" in row]


def plot(rows, axes):
    time_axis, flops_axis, memory_axis = axes
    width_rows = along(rows, BASE, "width")
    for method, colour in METHODS.items():
        chosen = numbered(width_rows, method)
        exponent = growth(rows, method, "width", "ratio").split(" ")[0]
        label = f"{method} {exponent}" if exponent.startswith("n") else method
        draw(time_axis, chosen, "ratio", label, colour)
        draw(flops_axis, chosen, "xla_flops", method, colour, linestyle="")
        draw(flops_axis, chosen, "counted_flops", "", colour, marker="")
        draw(memory_axis, chosen, "xla_peak_bytes", method, colour)
    tape = numbered(width_rows, "engine reverse")
    draw(memory_axis, tape, "tape_bytes", "tape, counted", "blue", linestyle=":")
    plots.log_log(time_axis, "parameters n", "time / time of f, paired median")
    plots.log_log(flops_axis, "parameters n", "flops: lines counted, dots XLA's")
    plots.log_log(memory_axis, "parameters n", "peak memory, XLA's plan (bytes)")


def draw(axis, rows, column, label, colour, **style):
    """One contender's column against the number of parameters."""
    x, y = [row["parameters"] for row in rows], [row[column] for row in rows]
    plots.line(axis, x, y, label, colour, **style)


def cases(sweeps, settings):
    networks = [DIGITS, *sweep(BASE, **sweeps)]
    return crossed(networks, method=list(METHODS), **settings)


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(SWEEPS, FULL),
    quick=cases(QUICK_SWEEPS, QUICK),
    measure=measured,
    columns=(
        *("network", "width", "depth", "batch", "parameters", "method"),
        *("closeness", "ratio", "ratio_q25", "ratio_q75", "time_s"),
        *("trace_s", "compile_s", "counted_flops", "xla_flops", "roof_fraction"),
        *("f_flops", "pushforward_flops", "pullback_flops"),
        *("tape_bytes", "xla_peak_bytes"),
    ),
    plot=plot,
    panels=3,
    summary=summary,
)

if __name__ == "__main__":
    run(study)
