"""How little memory can a gradient do with, and what does it cost in time?

Expectation: `jaxbp.checkpointed` keeps within every budget that it accepts, by bytes
predicted before anything is compiled to a tenth or so; half of the plain gradient's
bytes cost a third of one more evaluation of f or less in time, since what is cheap to
compute again goes first. Fixed policies, a checkpoint on every layer or step, or one
that saves products, have one point each.

An MLP with a bottleneck, a transformer, a U-net, an RNN and an ODE by scan. Gradients
by the parameters, or, where these are larger than all else, by the input. A budget is a
share of what the plain gradient takes beside its arguments: temporaries and outputs.
A CPU's compiler may undo a fixed policy's recomputation. Predicted times are those of
the plain gradient.

Command: jaxbp study memory_budget [--quick] [--device cpu|gpu|tpu]
Source: Beaumont et al. 2024, doi:10.1145/3648633.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
from jax import lax

import jaxbp
from jaxbp.errors import InvalidArgument
from jaxbp.problems.programs.draw import Draw
from jaxbp.study import (
    GAP,
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    crossed,
    measure,
    numbered,
    plots,
    run,
)
from jaxbp.study.unstable import steady
from jaxbp.timing import stages

MINUTES = 6.0

SHARES = [0.85, 0.7, 0.5, 0.35]
POLICIES = {"plain": "black", "every layer": "orange", "products saved": "vermilion"}
BUDGET = "blue"
SIZES = {"plain": 11, "every layer": 7.5}  # of points that lie on each other


# Programs: layers one after the other, each wrapped as a policy has it. ---------------


def mlp(draw, batch, width, layers):
    """Widths that vary, by the input: its weights' gradients would hide the rest."""
    widths = [width * (1 + i % 3) for i in range(layers + 1)]
    pairs = zip(widths, widths[1:], strict=False)
    weights = [draw.normal(n, m, scale=n**-0.5) for n, m in pairs]

    def f(x, weights, wrap):
        for w in weights:
            x = wrap(lambda x, w: jnp.tanh(x @ w))(x, w)
        return jnp.mean(x**2)

    return f, (draw.normal(batch, widths[0], scale=1), weights)


def transformer(draw, batch, time, width, layers):
    def block():
        scale = width**-0.5
        sizes = [(width, 3 * width), (width, width), (width, 2 * width)]
        return [draw.normal(*s, scale=scale) for s in [*sizes, (2 * width, width)]]

    def layer(x, weights):
        into, out, up, down = weights
        q, k, v = jnp.split(x @ into, 3, axis=-1)
        scores = jnp.einsum("btd,bsd->bts", q, k) * width**-0.5
        x = x + jax.nn.softmax(scores, -1) @ v @ out
        y = x - jnp.mean(x, -1, keepdims=True)
        y = y / jnp.sqrt(jnp.mean(y**2, -1, keepdims=True) + 1e-5)
        return x + jax.nn.gelu(y @ up) @ down

    def f(params, x, wrap):
        for weights in params:
            x = wrap(layer)(x, weights)
        return jnp.mean(x**2)

    return f, ([block() for _ in range(layers)], draw.normal(batch, time, width))


def unet(draw, batch, side, channels, layers):
    """Down by strides, up by repetition; what came down is added on the way up."""
    dims = ("NHWC", "HWIO", "NHWC")

    def conv(x, w, stride=1):
        y = lax.conv_general_dilated(
            x, w, (stride, stride), "SAME", dimension_numbers=dims
        )
        return jax.nn.relu(y)

    def kernels():
        return draw.normal(3, 3, channels, channels, scale=0.3 * channels**-0.5)

    def up(x, skip, w):
        return conv(jnp.repeat(jnp.repeat(x, 2, 1), 2, 2) + skip, w)

    def f(params, x, wrap):
        downs, ups = params
        skips = []
        for w in downs:
            skips.append(x)
            x = wrap(lambda x, w: conv(conv(x, w), w, 2))(x, w)
        for w in ups:
            x = wrap(up)(x, skips.pop(), w)
        return jnp.mean(x**2)

    weights = [kernels() for _ in range(layers)], [kernels() for _ in range(layers)]
    return f, (weights, draw.normal(batch, side, side, channels, scale=1))


def rnn(draw, batch, time, width):
    def step(h, x, w):
        return jnp.tanh(h @ w + x)

    def f(w, xs, wrap):
        advance = wrap(step)
        h, _ = lax.scan(lambda h, x: (advance(h, x, w), None), xs[0], xs)
        return jnp.mean(h**2)

    w = draw.normal(width, width, scale=0.9 * width**-0.5)
    return f, (w, draw.normal(time, batch, width, scale=1))


def ode(draw, size, steps):
    """Runge and Kutta's steps of a reaction with diffusion."""

    def slope(y, rates):
        spread = jnp.roll(y, 1) + jnp.roll(y, -1) - 2 * y
        return rates[0] * spread + rates[1] * y * (1 - y)

    def step(y, rates):
        h = 0.05
        k1 = slope(y, rates)
        k2 = slope(y + h / 2 * k1, rates)
        k3 = slope(y + h / 2 * k2, rates)
        k4 = slope(y + h * k3, rates)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def f(rates, y, wrap):
        advance = wrap(step)
        y, _ = lax.scan(lambda y, _: (advance(y, rates), None), y, length=steps)
        return jnp.mean(y**2)

    return f, (jnp.array([0.7, 1.3], draw.dtype), draw.uniform(size))


PROGRAMS = {
    "MLP": (mlp, dict(batch=1024, width=128, layers=24)),
    "transformer": (transformer, dict(batch=8, time=128, width=128, layers=8)),
    "U-net": (unet, dict(batch=8, side=64, channels=16, layers=3)),
    "RNN": (rnn, dict(batch=64, time=256, width=128)),
    "ODE": (ode, dict(size=1000, steps=1000)),
}
QUICK = {
    "MLP": dict(batch=256, width=16, layers=6),
    "transformer": dict(batch=2, time=16, width=16, layers=2),
    "U-net": dict(batch=2, side=16, channels=4, layers=2),
    "RNN": dict(batch=16, time=32, width=16),
    "ODE": dict(size=100, steps=50),
}
PRODUCTS = jax.checkpoint_policies.dots_saveable
WRAPS = {
    "plain": lambda f: f,
    "every layer": jax.checkpoint,
    "products saved": lambda f: jax.checkpoint(f, policy=PRODUCTS),
}


def taken_bytes(compiled):
    """What a program takes beside its arguments: XLA's temporaries and outputs."""
    used = compiled.memory_analysis()
    return (
        used.temp_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes
    )


@lru_cache(maxsize=1)
def prepared(program, sizes, dtype, seed):
    """f, arguments, f as a baseline, value and gradient as JAX has them, its bytes."""
    make, full = PROGRAMS[program]
    f, args = make(Draw(seed, dtype), **(full if sizes == "full" else QUICK[program]))
    args = jax.device_put(args)
    plain = wrapped(f, "plain")
    built = stages(jax.value_and_grad(plain), *args)
    base = measure.baseline(plain, *args, dtype=dtype)
    ours = stages(jaxbp.value_and_grad(plain), *args)
    wanted = jax.device_get(built.output)
    price = measure.priced(jaxbp.value_and_grad(plain), *args, dtype=dtype)
    return f, args, base, wanted, price, taken_bytes(ours.compiled)


def wrapped(f, policy):
    return lambda *args: f(*args, WRAPS[policy])


def measured(case):
    """The row of one gradient: right and within its budget, then its time."""
    names = ("program", "sizes", "dtype", "seed")
    f, args, base, wanted, price, plain_bytes = prepared(
        *(case[name] for name in names)
    )
    row = {"plain_bytes": plain_bytes}
    if case["method"] in POLICIES:
        gradient = jaxbp.value_and_grad(wrapped(f, case["method"]))
    else:
        budget = int(float(case["method"].split()[1]) * plain_bytes)
        kept = jaxbp.checkpointed(wrapped(f, "plain"), budget)
        try:
            plan = kept.plan(*args)
        except InvalidArgument as refused:
            least = str(refused).partition("here is ")[2].partition(" bytes")[0]
            return row | {GAP: f"the least is {least} bytes"}
        gradient = jaxbp.value_and_grad(kept)
        row |= {
            "budget_bytes": budget,
            "planned_bytes": plan.predicted_bytes,
            "times_f": plan.times_f,
            "planning_s": plan.planning_s,
        }
    built = stages(gradient, *args)
    row["taken_bytes"] = taken_bytes(built.compiled)
    if row["taken_bytes"] > row.get("budget_bytes", row["taken_bytes"]):
        return row | {GAP: f"wrong: it takes {row['taken_bytes']} bytes"}
    row["share"] = row["taken_bytes"] / plain_bytes
    row |= measure.correctness(built.output, wanted, 0.0, case["dtype"])
    if GAP in row:
        return row
    timed = dict(rounds=case["rounds"], budget_s=case["budget_s"])
    return row | price | measure.against(base, built, args, **timed)


def summary(rows):
    """Every program and method: bytes and time."""
    names = ("program", "method", "share", "taken_bytes", "planned_bytes", "ratio")
    shown = [{name: row.get(name) for name in (*names, GAP)} for row in rows]
    return {"share: of the plain gradient's bytes; ratio: time over f's": shown}


def claim(rows):
    """What half of the bytes cost, and how good the prediction was."""
    kept = [row for row in numbered(rows) if row.get("budget_bytes")]
    off = sorted(abs(r["planned_bytes"] / r["taken_bytes"] - 1) for r in kept)
    within = sum(row["taken_bytes"] <= row["budget_bytes"] for row in kept)
    refused = [row for row in rows if GAP in row and "least" in row[GAP]]
    told = []
    for program in PROGRAMS:
        of_program = steady(numbered(rows, program=program))
        by_method = {row["method"]: row for row in of_program}
        plain = by_method.get("plain")
        budgets = [r for r in of_program if r.get("budget_bytes") and r["share"] < 1]
        if plain and budgets:
            least = min(budgets, key=lambda row: row["share"])
            times = least["ratio"] / plain["ratio"]
            told.append(f"{program} {100 * least['share']:.0f} % at {times:.2g}")
    return (
        f"Of {len(kept) + len(refused)} budgets {within} are kept, {len(refused)} are "
        f"refused with the least that is had, {len(kept) - within} are not kept; "
        f"predicted bytes are off by {100 * off[len(off) // 2]:.0f} % (median), "
        f"{100 * off[-1]:.0f} % at most. "
        "The fewest bytes kept, as a share of the plain gradient's, and the time over "
        f"its time: {', '.join(told)}."
    )


def plot(rows, axes):
    for axis, program in zip(axes, PROGRAMS, strict=False):
        shown = numbered(rows, program=program)
        # Budgets stand at what may be taken: several may be kept by one plan.
        budgets = [
            r | {"method": "budget", "share": r["budget_bytes"] / r["plain_bytes"]}
            for r in shown
            if r.get("budget_bytes")
        ]
        fixed = [row for row in shown if row["method"] in POLICIES]
        colours = {"budget": BUDGET, **POLICIES}
        largest = max([1.0, *(row["share"] for row in fixed)])
        for method, colour in colours.items():  # the larger below: none is covered
            plots.lines(
                axis, [*budgets, *fixed], "share", "ratio", {method: colour},
                markersize=SIZES.get(method, 4.5),
            )  # fmt: skip
        axis.set(
            xlabel="bytes over the plain gradient's: budgets asked, policies taken",
            xlim=(0.2, 1.3 * largest),
        )
        axis.set_ylim(bottom=0)
        axis.set_title(f"{program}: time over f's")
    axes[-1].axis("off")


def cases(sizes, settings, shares):
    methods = [*POLICIES, *[f"budget {share}" for share in shares]]
    programs = [dict(program=name, sizes=sizes) for name in PROGRAMS]
    return crossed(programs, method=methods, **settings)


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases("full", SETTINGS, SHARES),
    quick=cases("quick", QUICK_SETTINGS, [0.7]),
    measure=measured,
    columns=(
        *("program", "method", "plain_bytes", "budget_bytes", "planned_bytes"),
        *("taken_bytes", "share", "times_f", "planning_s"),
        *("closeness", "ratio", "ratio_q25", "ratio_q75", "base_s", "time_s"),
        *("predicted_s", "xla_temp_bytes", "device_peak_bytes", "compile_s"),
    ),
    plot=plot,
    panels=(3, 2),
    summary=summary,
    claim=claim,
    counts=True,
)

if __name__ == "__main__":
    run(study)
