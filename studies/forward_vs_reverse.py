"""What does a gradient cost as a network grows, by seven ways to compute it?

Expectation: reverse mode costs a small multiple of one evaluation of the loss f,
whatever the number of parameters n; forward mode and central differences ask for
each entry by itself, and cost a multiple that grows in proportion to n.

The networks are MLPs on the 8x8 digits under softmax cross-entropy, grown in width,
depth and batch, of other activations and dtypes, and one that is trained first; and a
convolutional, a recurrent and a transformer network on the same digits. Every gradient
is compared with jax.grad before it is timed, and is timed in turn with f. Differences
that step across a kink of relu or a maximum are wrong, and their times are refused.

Command: jaxbp study forward_vs_reverse [--quick] [--device cpu|gpu|tpu]
"""

from functools import cache, lru_cache

import jax
import numpy as np

import jaxbp
from jaxbp import costs, layers, problems, training
from jaxbp.study import (
    GAP,
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    along,
    crossed,
    gradients,
    growth,
    measure,
    numbered,
    plots,
    run,
    sweep,
    tables,
)
from jaxbp.study.unstable import is_unstable

MINUTES = 2.5

# A batch at which the products of f, not its overhead, take most of its time.
BASE = dict(
    network="mlp", width=64, depth=2, batch=128, activation="tanh", dtype="float32"
)  # depth: hidden layers
SWEEPS = dict(
    width=[16, 24, 32, 48, 64, 128, 256, 512],  # n from 1,482 to 301,066
    depth=[1, 2, 4, 8, 16],
    batch=[1, 16, 64, 512],
    activation=["relu", "gelu"],
    dtype=["bfloat16", "float64"],
)
QUICK_SWEEPS = dict(width=[16, 24, 32, 128], batch=[32])  # three, for a growth
DIGITS = BASE | dict(network="digits", width=32, depth=1)  # 64-32-10, trained
FAMILIES = [
    BASE | dict(network="cnn", width=8, depth=2),  # channels, doubled; layers
    BASE | dict(network="rnn", width=32, depth=1),  # reads the rows of an image
    BASE | dict(network="transformer", width=16, depth=1, batch=4),  # reads pixels
]

FULL = SETTINGS | dict(
    chunk=gradients.CHUNK,
    budget_flops=1.2e11,  # of one gradient: about 1 s on 2 CPU cores
    budget_bytes=4 * 2**30,  # of one gradient's tangents held at once
)
QUICK = FULL | QUICK_SETTINGS | dict(budget_flops=1e10, budget_bytes=2**30)

GROWN = ("width", "depth", "batch")

# Of peaks that are the same, the one drawn last is named for all.
ON_TOP = {
    "layers": "", "engine reverse": "", "jax.grad": "jax.grad, layers,\nengine reverse"
}  # fmt: skip
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
MODES = {"engine forward": "forward", "engine reverse": "reverse"}
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
def prepared(network, width, depth, batch, activation, dtype, seed):
    """Model, f, arguments, f as a baseline, value and gradient of f, columns."""
    model = built(network, width, depth, activation)
    f = layers.loss_fn(model, layers.softmax_cross_entropy)
    told = {}
    if network == "digits":
        outcome = trained(width, depth, dtype, seed)
        params, told["test_accuracy"] = outcome.training.params, outcome.accuracy
    else:
        params = model.init(jax.random.key(seed), dtype)
    inputs, labels = (part[:batch] for part in problems.digits(seed).train)
    args = params, jax.device_put(seen(network, inputs, dtype)), jax.device_put(labels)
    told["parameters"] = sum(leaf.size for leaf in jax.tree.leaves(params))
    told |= costs.counted(f, *args)
    reference = jax.device_get(jax.jit(jax.value_and_grad(f))(*args))
    return model, f, args, measure.baseline(f, *args, dtype=dtype), reference, told


def built(network, width, depth, activation):
    """The layers of a network."""
    if network == "cnn":
        channels = [width * 2**k for k in range(depth)]
        return layers.cnn((8, 8, 1), channels, 10, activation=activation)
    if network == "rnn":
        return layers.recurrent_classifier("rnn", 8, width, 10)
    if network == "transformer":
        options = dict(n_blocks=depth, max_length=64)
        return layers.transformer_classifier(17, width, 2, 2 * width, 10, **options)
    return layers.mlp([64, *[width] * depth, 10], activation=activation)


def seen(network, inputs, dtype):
    """The images (b, 64) in [0, 1] as a network reads them."""
    if network == "transformer":  # the 17 grey levels of 64 pixels
        return np.rint(16 * inputs).astype(np.int32)
    shape = {"cnn": (8, 8, 1), "rnn": (8, 8)}.get(network, (64,))
    return inputs.reshape(-1, *shape).astype(dtype)


@cache
def trained(width, depth, dtype, seed):
    """The digits network after 20 epochs, by the engine's own gradient."""
    hidden = (width,) * depth
    return training.fit_digits("engine", seed, 20, hidden=hidden, dtype=dtype)


def measured(case):
    """The row of one method on one network: correctness first, then cost."""
    names = (*BASE, "seed")
    model, f, args, base, reference, told = prepared(*(case[k] for k in names))
    method, chunk, n = case["method"], case["chunk"], told["parameters"]
    row = dict(told)
    if method in MODES:
        row["mode"] = MODES[method]
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
        | {
            f"{name} over {axis}": growth_along(rows, method, axis, column)
            for axis in GROWN
            for name, column in (("ratio", "ratio"), ("time", "time_s"))
        }
        | {"flops ratio over width": growth_along(rows, method, "width", "flops_ratio")}
        for method in METHODS
    ]
    named = [
        row | {"network": network_name(row), "n": row["parameters"]} for row in rows
    ]
    ratios = tables.pivot(named, ["network", "n"], "method", "ratio")
    accuracies = {row["test_accuracy"] for row in rows if "test_accuracy" in row}
    trained_to = "".join(f"; digits trained to {a:.3f} right" for a in accuracies)
    return {
        f"Time of a gradient over the time of f, paired medians{trained_to}; f over "
        "f, timed like the others, is 1 but for noise, and shows how large that is": (
            ratios
        ),
        "Growth with n (b: with the batch size) of the ratio to f and of the time "
        "itself, and its 95 % interval": growths,
    }


def network_name(row):
    """A network in a few words."""
    if row["network"] != "mlp":
        return {"digits": "digits, trained"}.get(row["network"], row["network"])
    told = [row[k] for k in ("activation", "dtype") if row[k] != BASE[k]]
    return ", ".join([f"{row['width']}x{row['depth']}, batch {row['batch']}", *told])


def growth_along(rows, method, axis, column):
    """Fitted power of a column along a sweep with its confidence interval, as text."""
    chosen = numbered(along(rows, BASE, axis), method=method)
    if axis == "batch":
        return growth(chosen, "batch", column)
    return growth(chosen, "parameters", column, symbol="n")


def claim(rows):
    """Reverse and forward mode along the width."""
    wide = along(rows, BASE, "width")
    reverse = numbered(wide, method="engine reverse")
    forward = numbered(wide, method="engine forward")
    ratios, most = [row["ratio"] for row in reverse], max(forward, key=by_parameters)
    exponent = growth_along(rows, "engine forward", "width", "ratio")
    return (
        f"From n = {min(map(by_parameters, reverse)):,} to "
        f"{max(map(by_parameters, reverse)):,} parameters a gradient by reverse mode "
        f"takes {min(ratios):.2g} to {max(ratios):.2g} times f; by forward mode "
        f"{tables.shown(most['ratio'], 'ratio')} times at n = {most['parameters']:,}, "
        f"growing as {exponent}."
    )


def by_parameters(row):
    """The size of a row's network."""
    return row["parameters"]


# Methods whose price does not grow with n: told apart where the axis is linear.
CHEAP = ("layers", "engine reverse", "jax.grad", "one pushforward", "f")
# Lines that lie on one another in flops and memory: one of them is drawn, all named.
ALIKE = {
    "engine reverse": "all in reverse, and\none pushforward",
    "engine forward": "engine forward, jax.jacfwd",
    "differences": "differences",
    "f": "f",
}


def plot(rows, axes):
    time_axis, near_axis, flops_axis, memory_axis = axes
    width_rows = along(rows, BASE, "width")
    for method, colour in METHODS.items():
        chosen = numbered(width_rows, method=method)
        dear = method not in CHEAP
        label = method if dear else "the others: right" * (method == "jax.grad")
        draw(time_axis, chosen, "ratio", label, colour)
        if not dear:
            draw(near_axis, chosen, "ratio", method, colour)
        if method in ALIKE:
            draw(flops_axis, chosen, "counted_flops", ALIKE[method], colour, marker="")
        draw(flops_axis, chosen, "xla_flops", "", colour, linestyle="", marker="x")
        if method != "one pushforward":
            label = ON_TOP.get(method, method)
            draw(memory_axis, chosen, "xla_peak_bytes", label, colour)
    tape = numbered(width_rows, method="engine reverse")
    draw(memory_axis, tape, "tape_bytes", "tape, counted", "blue", linestyle=":")
    plots.log_log(time_axis, "parameters n", "time / time of f, paired median")
    near_axis.set(xscale="log", xlabel="parameters n", ylim=(0, 4))
    near_axis.set_title("the same, of those that do not grow")
    plots.log_log(flops_axis, "parameters n", "flops: lines counted, crosses XLA's")
    plots.log_log(memory_axis, "parameters n", "peak memory, XLA's plan (bytes)")


def draw(axis, rows, column, label, colour, **style):
    """One contender's column against the number of parameters."""
    x, y = [row["parameters"] for row in rows], [row[column] for row in rows]
    plots.line(axis, x, y, label, colour, **style)
    if column == "ratio":
        plots.quartile_bars(axis, rows, "parameters", "ratio", colour)
        doubtful = [row for row in rows if is_unstable(row, "ratio")]
        plots.mark_unstable(axis, doubtful, "parameters", "ratio", colour)


def cases(networks, settings):
    chosen = [settings | network for network in networks]
    return crossed(chosen, method=list(METHODS))


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases([*sweep(BASE, **SWEEPS), DIGITS, *FAMILIES], FULL),
    quick=cases([*sweep(BASE, **QUICK_SWEEPS), DIGITS], QUICK),
    measure=measured,
    columns=(
        *("network", "width", "depth", "batch", "activation", "dtype"),
        *("parameters", "method", *measure.COMPARED, *measure.TIMED),
        *("trace_s", "compile_s", "counted_flops", "xla_flops"),
        *("f_flops", "pushforward_flops", "pullback_flops"),
        *("tape_bytes", "xla_peak_bytes"),
    ),
    plot=plot,
    panels=(2, 2),
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
