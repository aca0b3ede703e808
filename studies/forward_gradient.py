"""Can one pushforward along a random direction replace backpropagation in training?

Expectation: a forward step is cheaper than a reverse step; published (Baydin et al.
2022) 0.555 of its time for logistic regression, 0.593 for an MLP, about 0.51 for a CNN,
and no gain in a replication. But the forward gradient (g.v) v is unbiased with variance
about n times its square: k directions move the loss in one step about as far as k/n
steps of backpropagation, so that loss per second is worse by far.

First the price of one step of either kind, at the published models' sizes. Then
training 64-32-10 on the 8x8 digits, full batches of 256, plain gradient descent, its
rate scaled by k/(n + k + 1), which keeps every method as stable as backpropagation.

Command: jaxbp study forward_gradient [--quick] [--device cpu|gpu|tpu]
Source: Baydin, Pearlmutter, Syme, Wood and Torr 2022, arXiv:2202.08587.
"""

from functools import lru_cache, partial
from time import perf_counter

import jax
import jax.numpy as jnp
from jax import lax

import jaxbp
from jaxbp import layers, problems
from jaxbp.checks.closeness import largest_closeness
from jaxbp.problems.programs.draw import Draw
from jaxbp.study import (
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    grid,
    measure,
    numbered,
    plots,
    run,
)
from jaxbp.study.unstable import told

MINUTES = 0.7

PUBLISHED = {"logistic": 0.555, "MLP": 0.593, "CNN": 0.51}
MODELS = {
    "logistic": lambda width: layers.mlp([784, 10]),
    "MLP": lambda width: layers.mlp([784, width, width, 10], activation="relu"),
    "CNN": lambda width: layers.cnn((28, 28, 1), [width // 32] * 2, 10),
}
STEPS = [2**k for k in range(11)]
QUICK_STEPS = [1, 4, 16]
TANGENTS = {0: "blue", 1: "orange", 16: "vermilion", 128: "purple"}  # 0: backprop
RATE = 0.5


def forward_gradient(f, params, directions, *data):
    """The mean of (g.v) v over directions, a pytree with k in front of each leaf."""

    def along(v):
        slope = jaxbp.jvp(lambda params: f(params, *data), (params,), (v,))[1]
        return jax.tree.map(lambda leaf: slope * leaf, v)

    found = jax.vmap(along)(directions)
    return jax.tree.map(lambda leaf: leaf.mean(0), found)


def drawn(key, params, k):
    """k standard normal directions."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    pairs = zip(keys, leaves, strict=True)
    draw = [jax.random.normal(key, (k, *x.shape), x.dtype) for key, x in pairs]
    return structure.unflatten(draw)


def expected(f, params, directions, *data):
    """The same from JAX's gradient."""
    gradient = jax.grad(f)(params, *data)
    pairs = jax.tree.map(
        lambda g, v: jnp.einsum("...,k...->k", g, v), gradient, directions
    )
    slopes = sum(jax.tree.leaves(pairs))  # (k,)
    return jax.tree.map(
        lambda v: jnp.einsum("k,k...->...", slopes, v) / slopes.size, directions
    )


def step_row(case):
    """One forward step of a published model beside one reverse step."""
    model, dtype = MODELS[case["model"]](case["width"]), case["dtype"]
    f = layers.loss_fn(model, layers.softmax_cross_entropy)
    key, draw = jax.random.key(case["seed"]), Draw(case["seed"], dtype)
    params = model.init(key, dtype)
    image = (28, 28, 1) if case["model"] == "CNN" else (784,)
    x = draw.normal(case["batch"], *image, scale=1)
    x, labels = jax.device_put((x, draw.integers(10, case["batch"])))
    directions = jax.jit(partial(drawn, k=1))(key, params)
    base = measure.baseline(jaxbp.grad(f), params, x, labels, dtype=dtype)
    args = (params, directions, x, labels)
    wanted = jax.jit(partial(expected, f))(*args)
    row = measure.contest(partial(forward_gradient, f), args, base, case, wanted)
    return row | {"published_ratio": PUBLISHED[case["model"]]}


@lru_cache(maxsize=1)  # the steps of one training follow one another
def trained(tangents, steps, dtype, seed):
    """(loss before each step, s a step, closeness of the first forward gradient)."""
    model = layers.mlp([64, 32, 10], activation="tanh")
    f = layers.loss_fn(model, layers.softmax_cross_entropy)
    params = model.init(jax.random.key(seed), dtype)
    images = problems.digits(seed, dtype=dtype).train
    data = tuple(jax.device_put(part[:256]) for part in images)
    n = sum(leaf.size for leaf in jax.tree.leaves(params))
    rate = RATE * (tangents / (n + tangents + 1) if tangents else 1)

    def step(params, key):
        if tangents:
            v = drawn(key, params, tangents)
            gradient = forward_gradient(f, params, v, *data)
        else:
            gradient = jaxbp.grad(f)(params, *data)
        moved = jax.tree.map(lambda p, g: p - rate * g, params, gradient)
        return moved, f(params, *data)

    keys = jax.random.split(jax.random.key(seed + 1), steps)
    program = jax.jit(lambda params, keys: lax.scan(step, params, keys)[1])
    losses = jax.block_until_ready(program(params, keys))
    start = perf_counter()
    jax.block_until_ready(program(params, keys))
    step_s = (perf_counter() - start) / steps
    v = jax.jit(partial(drawn, k=max(1, tangents)))(keys[0], params)
    pairs = zip(
        jax.tree.leaves(jax.jit(partial(forward_gradient, f))(params, v, *data)),
        jax.tree.leaves(jax.jit(partial(expected, f))(params, v, *data)),
        strict=True,
    )
    closeness = max(largest_closeness(ours, theirs)[0] for ours, theirs in pairs)
    return jax.device_get(losses), step_s, closeness


def measured(case):
    """The price of a step, or a point of a training curve."""
    if case["part"] == "step":
        return step_row(case)
    settings = (case[name] for name in ("tangents", "steps", "dtype", "seed"))
    losses, step_s, closeness = trained(*settings)
    at = case["step"]
    return {"closeness": closeness, "loss": losses[at - 1], "elapsed_s": at * step_s}


def named(tangents):
    """A training method in words."""
    many = "s" * (tangents > 1)
    return f"{tangents} tangent{many}" if tangents else "backprop"


def summary(rows):
    """Prices beside the published ones; the loss each method reaches, and when."""
    names = ("model", "published_ratio", "ratio", "ratio_q25", "ratio_q75")
    names += ("flops_ratio", "predicted_ratio", "base_s", "time_s")
    prices = [
        {name: told(row, name) for name in names} for row in numbered(rows, part="step")
    ]
    ends = []
    for tangents in TANGENTS:
        curve = numbered(rows, part="training", tangents=tangents)
        if curve:
            last = max(curve, key=lambda row: row["step"])
            line = {"method": named(tangents), "steps": last["step"]}
            ends.append(line | {k: last[k] for k in ("loss", "elapsed_s")})
    return {
        "One forward step over one reverse step": prices,
        "The loss after the last step, and the seconds until then": ends,
    }


def claim(rows):
    """The price of a step, and what steps are worth."""
    prices, ends = summary(rows).values()
    loss = {line["method"]: line["loss"] for line in ends}
    told = ", ".join(
        f"{line['ratio']:.2f} for the {line['model']} ({line['published_ratio']:.2f})"
        for line in prices
    )
    reached = "; ".join(f"{name}: {value:.2g}" for name, value in loss.items())
    return (
        f"A forward step takes this many times a reverse step (published): {told}. "
        f"The training loss after {ends[0]['steps']} steps: {reached}."
    )


def plot(rows, axes):
    price, by_step, by_second, spare = axes
    spare.set_axis_off()
    shown = numbered(rows, part="step")
    names = [row["model"] for row in shown]
    plots.ratio_dots(price, names, shown, "ratio", "blue")
    known = [row["published_ratio"] for row in shown]
    places = range(len(known))
    price.plot(known, places, "s", color=plots.COLOURS["grey"])
    for ratio, place in zip(known, places, strict=True):
        price.annotate("published", (ratio, place), (0, 6), textcoords="offset points",
                       ha="center", fontsize=plots.LABEL_POINTS)  # fmt: skip
    price.margins(x=0.15, y=0.2)
    price.set_title("time of a forward step / reverse step")
    for axis, column in ((by_step, "step"), (by_second, "elapsed_s")):
        told = dict(by="tangents", named=named)
        plots.lines(axis, rows, column, "loss", TANGENTS, **told)
    plots.over_sizes(by_step, "step", "training loss by step")
    plots.log_log(by_second, "seconds", "training loss by time")


def cases(steps, sizes, settings):
    curves = grid(part="training", tangents=list(TANGENTS), step=steps)
    shared = settings | {"steps": max(steps)}
    prices = grid(part="step", **sizes, **settings)
    return [*prices, *(case | shared for case in curves)]


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(
        STEPS,
        dict(model=list(MODELS), width=1024, batch=64),
        SETTINGS | {"budget_s": 2.0},
    ),
    quick=cases(QUICK_STEPS, dict(model=["MLP"], width=128, batch=8), QUICK_SETTINGS),
    measure=measured,
    columns=(
        *("part", "model", "tangents", "step", "published_ratio"),
        *(*measure.COMPARED, *measure.TIMED, "loss", "elapsed_s"),
    ),
    plot=plot,
    panels=(2, 2),
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
