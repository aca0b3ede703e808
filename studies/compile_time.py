"""How long until a gradient's first result, and where does that time go?

Expectation: written out layer by layer, a network takes time in proportion to its depth
to trace, to lower and to compile; as a scan over stacked weights it takes the same time
at any depth. Of the whole, compiling is XLA's and the largest part; tracing and
lowering are what an engine can make short.

tanh MLPs of equal layers, the gradient by jaxbp and by JAX, of the layers written out
and scanned. Each time is the median of several builds, JAX's caches emptied before
each.

Command: jaxbp study compile_time [--quick] [--device cpu|gpu|tpu]
"""

from functools import lru_cache
from statistics import median

import jax
import jax.numpy as jnp
from jax import lax

import jaxbp
from jaxbp import timing
from jaxbp.problems.programs.draw import Draw
from jaxbp.study import (
    GAP,
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    at_the_end,
    grid,
    measure,
    numbered,
    plots,
    run,
)
from jaxbp.study.unstable import largest_whole

MINUTES = 1

FULL = SETTINGS | dict(width=64, batch=32, builds=7)
QUICK = QUICK_SETTINGS | dict(width=16, batch=4, builds=1)
DEPTHS = [1, 2, 4, 8, 16, 32, 64]
QUICK_DEPTHS = [1, 2, 4]
STAGES = ("trace_s", "lower_s", "compile_s", "first_run_s")
ENGINES = {"jaxbp": jaxbp.value_and_grad, "jax": jax.value_and_grad}
COLOURS = {"jaxbp": "blue", "jax": "black"}


def layer(x, weights):
    """One tanh layer, (batch, width)."""
    W, b = weights
    return jnp.tanh(x @ W + b[None])


def unrolled(params, x):
    """Layers written out: params is a list of (W, b)."""
    for weights in params:
        x = layer(x, weights)
    return jnp.mean(x * x)


def scanned(params, x):
    """The same layers as a loop: params is (all W, all b)."""
    x, _ = lax.scan(lambda x, weights: (layer(x, weights), None), x, params)
    return jnp.mean(x * x)


FORMS = {"unrolled": unrolled, "scanned": scanned}


@lru_cache(maxsize=2)
def prepared(form, depth, width, batch, dtype, seed):
    """Arguments, and value and gradient as JAX has them."""
    draw = Draw(seed, dtype)
    W, b = draw.normal(depth, width, width), draw.zeros(depth, width)
    params = (W, b) if form == "scanned" else list(zip(W, b, strict=True))
    args = jax.device_put((params, draw.normal(batch, width, scale=1)))
    wanted = jax.device_get(jax.jit(jax.value_and_grad(FORMS[form]))(*args))
    return args, wanted


def measured(case):
    """The row of one gradient: every stage on the clock, several times."""
    names = ("form", "depth", "width", "batch", "dtype", "seed")
    args, wanted = prepared(*(case[name] for name in names))
    f = ENGINES[case["method"]](FORMS[case["form"]])
    row = measure.correctness(
        timing.stages(f, *args).output, wanted, 0.0, case["dtype"]
    )
    if GAP in row:
        return row
    builds = []
    for _ in range(case["builds"]):
        jax.clear_caches()
        builds.append(timing.stages(f, *args).columns())
    row |= {stage: median(build[stage] for build in builds) for stage in STAGES}
    return row | {"until_first_s": sum(row[stage] for stage in STAGES)}


def summary(rows):
    """Stages at the largest depth, and the growth of each with depth."""
    by, deep = ("form", "method"), [row for row in rows if row["depth"] >= 4]
    grown = {stage[:-2]: stage for stage in (*STAGES, "until_first_s")}
    growths = at_the_end(deep, by, "depth", (), grown)
    return {
        "At the largest depth": at_the_end(
            rows, by, "depth", (*STAGES, "until_first_s"), {}
        ),
        "Growth with depth d, from 4 on": growths,
    }


def claim(rows):
    """Both engines at the largest depth, both forms."""
    pairs = [(form, method) for form in FORMS for method in ENGINES]
    depth = largest_whole(numbered(rows), "depth", ("form", "method"), pairs)
    told = {(r["form"], r["method"]): r for r in numbered(rows, depth=depth)}
    ours, theirs = told["unrolled", "jaxbp"], told["unrolled", "jax"]
    loop, their_loop = told["scanned", "jaxbp"], told["scanned", "jax"]
    first = [1e3 * row["until_first_s"] for row in (ours, theirs, loop, their_loop)]
    return (
        f"With {depth} layers written out the first gradient is there after "
        f"{first[0]:.0f} ms by jaxbp and {first[1]:.0f} ms by JAX, as a scan after "
        f"{first[2]:.0f} and {first[3]:.0f} ms. Written out, tracing takes jaxbp "
        f"{ours['trace_s'] / theirs['trace_s']:.2f} of JAX's time; most of the rest is "
        f"XLA's: compiling and the first run are "
        f"{(ours['compile_s'] + ours['first_run_s']) / ours['until_first_s']:.0%} of "
        "the whole."
    )


def plot(rows, axes):
    whole = ("trace_s", "compile_s", "until_first_s")
    titles = ("to trace (s)", "to compile (s)", "until the first result (s)")
    for axis, stage, title in zip(axes, whole, titles, strict=False):
        for form, style in (("unrolled", "-"), ("scanned", ":")):
            told = dict(named=lambda m, form=form: f"{m}, {form}", linestyle=style)
            chosen = numbered(rows, form=form)
            plots.lines(axis, chosen, "depth", stage, COLOURS, **told)
        plots.over_sizes(axis, "layers", title, "log")


def cases(depths, settings):
    return grid(depth=depths, form=list(FORMS), method=list(ENGINES), **settings)


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(DEPTHS, FULL),
    quick=cases(QUICK_DEPTHS, QUICK),
    measure=measured,
    columns=("depth", "form", "method", "closeness", *STAGES, "until_first_s"),
    plot=plot,
    panels=(2, 2),
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
