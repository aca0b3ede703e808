"""How does the time of a training step grow, and what does the loop around it add?

Expectation: a step takes at least 6 flops for each weight and example (2 forward, 4
back), so that its time grows in proportion to width squared, depth and batch once the
products are large; small networks take the time of their overhead, which a scan of
steps in one program avoids and a Python loop of jitted steps pays each step. The lab's
loop is as fast as the plainest one written with jax.jit and optax.

MLPs 64-width-...-10 on the 8x8 digits under softmax cross-entropy, ten steps of
descent with momentum. All contenders must reach the plain loop's parameters; each is
timed in turn with it. Torch takes part where it is installed (its CPU build:
`pip install -e .[torch]`).

Command: jaxbp study training_scaling [--quick] [--device cpu|gpu|tpu]
"""

from functools import lru_cache

import jax
import numpy as np
import optax
from jax import lax

import jaxbp
from jaxbp import layers, problems, timing, training
from jaxbp.study import (
    GAP,
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    along,
    crossed,
    distinct,
    growth,
    measure,
    numbered,
    plots,
    run,
    sweep,
    tables,
)

MINUTES = 1.2

STEPS = 10  # of training, timed together
BASE = dict(width=256, depth=2, batch=128, dtype="float32")
SWEEPS = dict(
    width=[32, 64, 128, 256, 512, 1024],
    depth=[1, 2, 4, 8],
    batch=[16, 64, 128, 512],
    dtype=["bfloat16", "float32", "float64"],
)
QUICK_BASE = BASE | dict(width=16, batch=8)
QUICK_SWEEPS = dict(width=[16, 32, 64], batch=[32], dtype=["float64"])
METHODS = {  # name: (its gradient, "scan" or a Python "loop" of jitted steps, colour)
    "scan, jaxbp": (jaxbp.value_and_grad, "scan", "blue"),
    "scan, jax": (jax.value_and_grad, "scan", "black"),
    "scan, layers": (None, "scan", "green"),
    "loop, jaxbp": (jaxbp.value_and_grad, "loop", "sky"),
    "loop, torch": (None, "torch", "vermilion"),
}
RATE, MOMENTUM = 0.1, 0.9


@lru_cache(maxsize=1)
def prepared(width, depth, batch, dtype, seed):
    """Model, optimizer, (params, state), data, the plain loop, where it arrives."""
    model = layers.mlp([64, *[width] * depth, 10], activation="tanh")
    loss = layers.loss_fn(model, layers.softmax_cross_entropy)
    optimizer = optax.sgd(RATE, momentum=MOMENTUM)
    params = model.init(jax.random.key(seed), dtype)
    start = params, optimizer.init(params)
    images = problems.digits(seed).train
    inputs, labels = (jax.device_put(part[:batch]) for part in images)
    data = inputs.astype(dtype), labels

    @jax.jit
    def plain_step(params, state, *data):
        _, gradient = jax.value_and_grad(loss)(params, *data)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    def plain():
        now = start
        for _ in range(STEPS):
            now = plain_step(*now, *data)
        return now[0]

    return model, loss, optimizer, start, data, plain, jax.device_get(plain())


def contender(method, model, loss, optimizer):
    """One step, (params, state, *data) -> (params, state, loss)."""
    gradient = METHODS[method][0]
    if gradient is None:
        by_hand = layers.value_and_grad(model, layers.softmax_cross_entropy)
        return training.make_step(by_hand, optimizer)
    return training.make_step(gradient(loss), optimizer)


def scanned(step):
    """`STEPS` steps as one program."""

    def program(start, data):
        def advance(now, _):
            params, state, value = step(*now, *data)
            return (params, state), value

        return lax.scan(advance, start, None, length=STEPS)[0][0]

    return program


def measured(case):
    """The row of one loop on one network: where it arrives, then how fast."""
    names = ("width", "depth", "batch", "dtype", "seed")
    model, loss, optimizer, start, data, plain, wanted = prepared(
        *(case[name] for name in names)
    )
    step = contender(case["method"], model, loss, optimizer)
    program = scanned(step)
    row = measure.priced(program, start, data, dtype=case["dtype"])
    kind = METHODS[case["method"]][1]
    if kind == "torch":
        call, args = torch_loop(start[0], data), ()
        if call is None:
            return {GAP: "not installed: torch"}
        found = call()
    elif kind == "scan":
        built = timing.stages(program, start, data)
        row |= built.columns()
        call, args, found = built.compiled, (start, data), built.output
    else:
        call, args = python_loop(step, start, data), ()
        found = call()
    row["parameters"] = sum(leaf.size for leaf in jax.tree.leaves(wanted))
    found, wanted = jax.tree.leaves(found), jax.tree.leaves(wanted)
    row |= measure.correctness(found, wanted, 0.0, case["dtype"])
    if GAP in row:
        return row
    calls = {"contender": (call, args), "plain": (plain, ())}
    budget = dict(rounds=case["rounds"], budget_s=case["budget_s"])
    times = timing.time_calls(calls, **budget)
    row |= measure.time_columns(times["contender"], times["plain"])
    row["step_s"] = row["time_s"] / STEPS
    return measure.below_roof(row, "counted_flops", case["dtype"])


def python_loop(step, start, data):
    """A function that runs the jitted step `STEPS` times from Python."""
    jitted = jax.jit(step)

    def call():
        now = start
        for _ in range(STEPS):
            now = jitted(*now, *data)[:2]
        return now[0]

    return call


def torch_loop(params, data):
    """A function that runs the same steps in torch, eagerly; None without torch."""
    try:
        import torch
    except ImportError:
        return None

    def tensor(array):
        wide = np.asarray(array, np.float32) if array.dtype == "bfloat16" else array
        made = torch.from_numpy(np.array(wide))
        return made.to(getattr(torch, str(array.dtype)))

    inputs, labels = tensor(data[0]), tensor(data[1]).long()
    begun = [(tensor(layer["W"]), tensor(layer["b"])) for layer in params if layer]

    def call():
        weights = [part.clone().requires_grad_() for pair in begun for part in pair]
        optimizer = torch.optim.SGD(weights, lr=RATE, momentum=MOMENTUM)
        for _ in range(STEPS):
            x = inputs
            for k in range(0, len(weights), 2):
                x = torch.addmm(
                    weights[k + 1], x if k == 0 else torch.tanh(x), weights[k]
                )
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(x, labels).backward()
            optimizer.step()
        return [part.detach().double().numpy() for part in weights]

    return call


def base_of(rows):
    """The base that the rows were swept from."""
    return BASE if along(rows, BASE, "width") else QUICK_BASE


def summary(rows):
    """A step's time and its ratio to the plain loop; growth over each sweep."""
    index = ["width", "depth", "batch", "dtype"]
    named = [{"parameters": None} | row for row in rows]
    growths = [
        {"method": method}
        | {
            axis: growth_along(rows, method, axis)
            for axis in ("width", "depth", "batch")
        }
        for method in METHODS
    ]
    return {
        "Time over the plain loop's": tables.pivot(named, index, "method", "ratio"),
        "Fraction of the roof of matrix products": tables.pivot(
            named, index, "method", "roof_fraction"
        ),
        "Growth of a step's time, over the larger half of each sweep": growths,
    }


def growth_along(rows, method, axis):
    """Fitted power of an axis, over the larger half of its sweep, as text."""
    chosen = numbered(along(rows, base_of(rows), axis), method=method)
    chosen = sorted(chosen, key=lambda row: row[axis])[len(chosen) // 3 :]
    return growth(chosen, axis, "step_s", symbol=axis)


def claim(rows):
    """What the scan saves, and how near the roof it comes."""
    scans = [row for row in numbered(rows) if row["method"].startswith("scan")]
    ratios = sorted(row["ratio"] for row in scans)
    best = max(scans, key=lambda row: row["roof_fraction"])
    return (
        f"Scanned, a step takes {ratios[0]:.2f} to {ratios[-1]:.2f} of its time in the "
        f"plain loop (median {ratios[len(ratios) // 2]:.2f}); at best "
        f"{best['roof_fraction']:.0%} of the roof of matrix products, at width "
        f"{best['width']}."
    )


def plot(rows, axes):
    colours = {method: colour for method, (_, _, colour) in METHODS.items()}
    base, told = base_of(rows), dict(named=lambda m: "predicted", linestyle=":")
    for axis, name in zip(axes, ("width", "batch"), strict=False):
        swept = along(rows, base, name)
        plots.lines(axis, swept, name, "step_s", colours)
        steps = [
            row | {"predicted_step_s": row["predicted_s"] / STEPS}
            for row in numbered(swept, method="scan, jaxbp")
        ]
        one = {"scan, jaxbp": "orange"}
        plots.lines(axis, steps, name, "predicted_step_s", one, **told)
        plots.over_sizes(axis, name, "time of a step (s)", "log")
    plots.lines(axes[2], along(rows, base, "width"), "width", "roof_fraction", colours)
    plots.over_sizes(axes[2], "width", "fraction of the matmul roof")


def cases(base, sweeps, settings):
    networks = [settings | network for network in sweep(base, **sweeps)]
    return distinct(crossed(networks, method=list(METHODS)))


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(BASE, SWEEPS, SETTINGS),
    quick=cases(QUICK_BASE, QUICK_SWEEPS, QUICK_SETTINGS),
    measure=measured,
    columns=(
        *("width", "depth", "batch", "dtype", "parameters", "method", "closeness"),
        *("ratio", "ratio_q25", "ratio_q75", "step_s", "time_s", "predicted_s"),
        *("counted_flops", "roof_fraction", "compile_s"),
    ),
    plot=plot,
    panels=(2, 2),
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
