"""Two moons: does a classifier train alike on a scalar tape, by hand, and in JAX?

A 2-16-16-1 relu network of 337 parameters, on 100 points labelled -1 and 1:

    L = mean max(0, 1 - t y) + 1e-4 sum p^2,     p <- p - lr dL/dp,   lr = 1 - .9 k/100

with all points in every one of 100 steps. The same losses must come from hand-written
layers, the engine and JAX; the scalar tape, number by number, is the slow witness. A
line fitted by the same updates is the smallest such program.

Source: micrograd's demo.ipynb, https://github.com/karpathy/micrograd.
Command: jaxbp classics moons
"""

import random
import time

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp import layers, problems
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import at_least, between, exactly, within
from jaxbp.scalar import flat, mlp, values
from jaxbp.study import plots, tables

STEPS, DECAY = 100, 1e-4
SHOWN = (0, 1, 10, 50, 99)
SCALAR_STEPS = 3

MODEL = layers.mlp([2, 16, 16, 1], activation="relu")


def data(dtype=np.float64):
    """Points, labels (100, 1), and the first parameters as the layers hold them."""
    demo = problems.moons_demo(dtype)
    dense = [{"W": w.T, "b": b} for w, b in demo.params]
    params = (dense[0], {}, dense[1], {}, dense[2])
    return demo.inputs, demo.labels[:, None], params


def penalty(params):
    return DECAY * sum(jnp.sum(p * p) for p in jax.tree.leaves(params))


def loss(params, x, labels):
    return layers.hinge.apply(MODEL.apply(params, x), labels) + penalty(params)


def by_hand(params, x, labels):
    """The layers' own backward pass, and the penalty's gradient 2e-4 p."""
    value, bars = layers.value_and_grad(MODEL, layers.hinge)(params, x, labels)
    grads = jax.tree.map(lambda p, bar: bar + 2 * DECAY * p, params, bars)
    return value + penalty(params), grads


WITNESSES = {
    "layers": by_hand,
    "engine": jaxbp.value_and_grad(loss),
    "jax": jax.value_and_grad(loss),
}


def trainer(value_and_grad):
    """Losses of all steps and the last parameters, as one compiled program."""

    @jax.jit
    def train(params, x, labels):
        def step(params, k):
            value, grads = value_and_grad(params, x, labels)
            rate = 1 - 0.9 * k / STEPS
            return jax.tree.map(lambda p, g: p - rate * g, params, grads), value

        steps = jnp.arange(STEPS, dtype=x.dtype)
        return jax.lax.scan(step, params, steps)

    return train


def on_the_tape(steps):
    """The first losses by single numbers, and seconds a step."""
    demo = problems.moons_demo()
    params, losses = values(demo.params), []
    start_s = time.perf_counter()
    for k in range(steps):
        scores = [mlp(params, list(map(float, x)))[0] for x in demo.inputs]
        margins = [1 - float(t) * y for t, y in zip(demo.labels, scores, strict=True)]
        hinge = sum(margin.relu() for margin in margins) / len(margins)
        total = hinge + DECAY * sum(p * p for p in flat(params))
        total.backward()
        losses.append(total.data)
        for p in flat(params):
            p.data -= (1 - 0.9 * k / STEPS) * p.grad
            p.grad = 0.0
    return losses, (time.perf_counter() - start_s) / steps


def fit_line():
    """y = 3 x - 1 with noise, one point an update: slope and offset found."""
    rng = random.Random(0)
    xs = [rng.uniform(-1, 1) for _ in range(200)]
    points = [(x, 3 * x - 1 + rng.gauss(0, 0.1)) for x in xs]
    ((weights, biases),) = values([([[0.0]], [0.0])])
    w, b = weights[0][0], biases[0]
    for x, y in points * 5:
        error = (w * x + b - y) ** 2
        error.backward()
        for p in (w, b):
            p.data -= 0.02 * p.grad
            p.grad = 0.0
    return w.data, b.data, points


def compute(quick):
    x, labels, params = data()
    runs = {name: trainer(f)(params, x, labels) for name, f in WITNESSES.items()}
    runs = jax.device_get(runs)
    numbers = {}
    for name, (_, losses) in runs.items():
        numbers |= {f"loss {k}, {name}": losses[k] for k in SHOWN}
    last, losses = runs["layers"]
    scores = np.asarray(MODEL.apply(last, x))
    numbers["accuracy"] = np.mean((scores > 0) == (labels > 0))
    for name in ("engine", "jax"):
        gap = np.abs(runs[name][1] - losses).max()
        numbers[f"all {STEPS} losses, {name} against layers"] = gap
    x32, labels32, params32 = data(np.float32)
    in32 = np.asarray(trainer(by_hand)(params32, x32, labels32)[1])
    numbers["all losses, float32 against float64"] = np.abs(in32 - losses).max()
    timed, tape = on_the_clock(
        losses, (params, x, labels), 1 if quick else SCALAR_STEPS
    )
    numbers |= timed
    w, b, points = fit_line()
    numbers |= {"line: slope": w, "line: offset": b}
    return numbers, (x, labels, last, losses, tape, (w, b, points))


def on_the_clock(losses, args, steps):
    """Numbers of the scalar tape with both times of a step, and its losses."""
    tape, tape_s = on_the_tape(steps)
    numbers = {f"loss {k}, scalar tape": value for k, value in enumerate(tape)}
    train = trainer(by_hand)
    jax.block_until_ready(train(*args))
    start_s = time.perf_counter()
    jax.block_until_ready(train(*args))
    array_s = (time.perf_counter() - start_s) / STEPS
    gaps = np.abs(np.array(tape) - losses[:steps])
    numbers["first losses, scalar tape against layers"] = gaps.max()
    times = {"scalar tape": tape_s, "compiled arrays": array_s}
    numbers |= {f"seconds a step, {name}": each for name, each in times.items()}
    return numbers | {"scalar tape over compiled arrays": tape_s / array_s}, tape


def draw(drawn, axes):
    x, labels, params, losses, tape, (w, b, points) = drawn
    grid = np.stack(
        np.meshgrid(np.linspace(-1.6, 2.6, 211), np.linspace(-1.2, 1.7, 146)), -1
    )
    scores = np.asarray(MODEL.apply(params, grid))[..., 0]
    colours = [plots.COLOURS["vermilion"], plots.COLOURS["blue"]]
    axes[0].contourf(grid[..., 0], grid[..., 1], scores, [-99, 0, 99], colors=colours,
                     alpha=0.18)  # fmt: skip
    axes[0].contour(grid[..., 0], grid[..., 1], scores, [0], colors=plots.INK)
    for sign, colour, marker in ((-1, colours[0], "o"), (1, colours[1], "s")):
        chosen = x[labels[:, 0] == sign]
        axes[0].plot(*chosen.T, marker, color=colour, markersize=4.5)
    axes[0].set(title="the two classes and the learnt border", xticks=[], yticks=[])
    plots.line(axes[1], range(STEPS), losses, "", "blue", marker="")
    axes[1].lines[-1].set_label("layers = engine = JAX")
    axes[1].plot(range(len(tape)), tape, "s", color=plots.COLOURS["vermilion"],
                 label=f"scalar tape, first {len(tape)} steps")  # fmt: skip
    axes[1].legend()
    axes[1].set(yscale="log", title="loss", xlabel="step")
    axes[2].plot(*zip(*points, strict=True), ".", color=plots.COLOURS["sky"])
    ends = np.array([-1, 1])
    axes[2].plot(ends, w * ends + b, color=plots.COLOURS["vermilion"])
    axes[2].set(title=f"a line by SGD: y = {w:.3f} x {b:+.3f}", xlabel="x")


def answer(numbers):
    gap = numbers[f"all {STEPS} losses, engine against layers"]
    times = tables.order(numbers["scalar tape over compiled arrays"])
    return (
        f"All {STEPS} losses agree to {gap:.0e} between layers and engine; the last is "
        f"{numbers['loss 99, layers']:.6f}, with {numbers['accuracy']:.0%} right. A "
        f"step on the scalar tape takes {times} as long as the compiled one."
    )


LOSSES = {
    0: 0.8958441028683222,
    1: 1.7235905336972022,
    10: 0.24507023853658053,
    50: 0.09875114765619622,
    99: 0.010978370135492717,
}
PUBLISHED = "micrograd's demo, run"
TAPE = {f"loss {k}, scalar tape": within(LOSSES[k], 1e-12, PUBLISHED) for k in (0, 1)}

classic = Classic(
    file=__file__,
    text=__doc__,
    systems={8: "scalar value engine; line fit by SGD; moons classifier"},
    compute=compute,
    known={
        **{
            f"loss {k}, {name}": within(value, 1e-12, PUBLISHED)
            for name in WITNESSES
            for k, value in LOSSES.items()
        },
        **TAPE,
        "accuracy": exactly(1, PUBLISHED),
        f"all {STEPS} losses, engine against layers": within(0, 1e-12, "agreement"),
        f"all {STEPS} losses, jax against layers": within(0, 1e-12, "agreement"),
        "first losses, scalar tape against layers": within(0, 1e-12, "agreement"),
        "all losses, float32 against float64": within(0, 1e-5, "agreement"),
        "line: slope": between(2.94, 3.06),
        "line: offset": between(-1.06, -0.94),
        "scalar tape over compiled arrays": at_least(10),
    },
    quick_known={"loss 1, scalar tape": None},
    draw=draw,
    answer=answer,
    panels=(2, 2),
)

if __name__ == "__main__":
    run(classic)
