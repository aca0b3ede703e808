"""What does a gradient for every example cost, four ways to compute it?

Expectation: the outer products of residuals and cotangents cost about one ordinary
backward pass and the writing of B gradients; vmap of the gradient does the same work,
in smaller products; a loop over the examples pays each example's overhead; the
Jacobian of the vector of losses asks B pullbacks of the whole batch, B times too many.

A tanh MLP of two hidden layers on the 8x8 digits under softmax cross-entropy. Every
result is compared with JAX's and timed in turn with one ordinary gradient.

Command: jaxbp study per_example [--quick] [--device cpu|gpu|tpu]
Source: Goodfellow 2015, arXiv:1510.01799, for the outer products.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp

import jaxbp
from jaxbp import problems
from jaxbp.problems.programs.draw import Draw
from jaxbp.study import (
    GAP,
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    crossed,
    growth,
    measure,
    numbered,
    plots,
    run,
    sweep,
    tables,
)
from jaxbp.study.unstable import largest_whole

MINUTES = 0.5

BASE = dict(width=128, batch=64)
SWEEPS = dict(batch=[1, 4, 16, 64, 256], width=[32, 64, 128, 256, 512])
QUICK_SWEEPS = dict(batch=[1, 4, 16], width=[32])
LOOP = "loop of grad"
BY_ROWS = 64  # the largest batch whose Jacobian is asked for by B pullbacks
METHODS = {
    "outer products": "green",
    "vmap of grad": "blue",
    "loop of grad": "orange",
    "jacrev of losses": "vermilion",
}


def scores(params, x):
    """The output and what each layer reads."""
    read = []
    for k, (W, b) in enumerate(params):
        read.append(x)
        x = x @ W + b[None]
        x = jnp.tanh(x) if k < len(params) - 1 else x
    return x, read


def losses(params, x, labels):
    """(batch,): cross-entropy of each example."""
    log_p = jax.nn.log_softmax(scores(params, x)[0])
    return -jnp.take_along_axis(log_p, labels[:, None], axis=1)[:, 0]


def total(params, x, labels):
    """() : the sum of the losses."""
    return losses(params, x, labels).sum()


def outer_products(params, x, labels):
    """One backward pass by hand: each weight's gradient is input times cotangent."""
    out, read = scores(params, x)
    z_bar = jax.nn.softmax(out) - jax.nn.one_hot(labels, out.shape[1], dtype=x.dtype)
    found = []
    for k in reversed(range(len(params))):
        found.append((jnp.einsum("bi,bo->bio", read[k], z_bar), z_bar))
        z_bar = (z_bar @ params[k][0].T) * (1 - read[k] ** 2) if k else None
    return found[::-1]


def one_example(params, x, label):
    """The loss of a batch of one."""
    return total(params, x[None], label[None])


def contender(method):
    """(params, x, labels) -> gradients with the batch in front of each."""
    gradient = jaxbp.grad(one_example)
    if method == "outer products":
        return outer_products
    if method == "vmap of grad":
        return jax.vmap(gradient, in_axes=(None, 0, 0))
    if method == "jacrev of losses":
        return jaxbp.jacrev(losses)
    return lambda params, *data: jax.lax.map(lambda one: gradient(params, *one), data)


@lru_cache(maxsize=1)
def prepared(width, batch, dtype, seed):
    """Arguments, one ordinary gradient as a baseline, JAX's per-example gradients."""
    sizes = (64, width, width, 10)
    draw, pairs = Draw(seed, dtype), zip(sizes[:-1], sizes[1:], strict=True)
    params = [(draw.normal(m, n), draw.zeros(n)) for m, n in pairs]
    images = problems.digits(seed, dtype=dtype).train
    args = jax.device_put((params, *(part[:batch] for part in images)))
    each = jax.vmap(jax.grad(one_example), in_axes=(None, 0, 0))
    wanted = jax.device_get(jax.jit(each)(*args))
    return args, measure.baseline(jax.grad(total), *args, dtype=dtype), wanted


def measured(case):
    """The row of one way."""
    method, batch = case["method"], case["batch"]
    if method == "jacrev of losses" and batch > BY_ROWS:
        return {GAP: f"left out: B times the work, batch above {BY_ROWS}"}
    args, base, wanted = prepared(case["width"], batch, case["dtype"], case["seed"])
    f, steps = contender(method), batch if method == "loop of grad" else 1
    return measure.contest(f, args, base, case, wanted, loop_steps=steps)


def swept(rows, axis):
    """The rows of a sweep along one axis."""
    other = next(name for name in BASE if name != axis)
    return numbered(rows, **{other: BASE[other]})


def summary(rows):
    """Time over one ordinary gradient's, and its growth with the batch."""
    growths = [
        {
            "method": method,
            "time over batch": growth(
                numbered(swept(rows, "batch"), method=method), "batch", "time_s"
            ),
        }
        for method in METHODS
    ]
    return {
        "Time over one ordinary gradient's": tables.pivot(
            rows, ["batch", "width"], "method", "ratio"
        ),
        "Growth of the time with the batch b": growths,
    }


def claim(rows):
    """The four ways at the largest batch that all of them are asked for."""
    width = BASE["width"]
    of_width = numbered(rows, width=width)
    batch = largest_whole(of_width, "batch", "method", METHODS)
    shown = numbered(of_width, batch=batch)
    (least, best), *others = sorted((row["ratio"], row["method"]) for row in shown)
    return (
        f"For {batch} examples at width {width}, {best} take {least:.2g} times as long "
        f"as one ordinary gradient; "
        + ", then ".join(method for _, method in others)
        + f" take longer. {loops(rows)}".rstrip()
    )


def loops(rows):
    """Where the loop over the examples takes the least time, of all that are timed."""
    sizes = [(row["batch"], row["width"]) for row in numbered(rows, method=LOOP)]
    least = []
    for batch, width in sizes:
        price = {
            row["method"]: row["ratio"]
            for row in numbered(rows, batch=batch, width=width)
        }
        if {"outer products", "vmap of grad"} <= price.keys():
            least += [(batch, width)] * (price[LOOP] == min(price.values()))
    told = " and ".join(f"{b} examples at width {w}" for b, w in least if b > 1)
    return f"The loop is the cheapest way for {told}." if told else ""


def plot(rows, axes):
    for axis, name in zip(axes, ("batch", "width"), strict=True):
        plots.lines(axis, swept(rows, name), name, "ratio", METHODS)
        plots.over_sizes(axis, name, "time / one ordinary gradient's", "log")


def cases(sweeps, settings):
    return crossed(sweep(BASE, **sweeps), method=list(METHODS), **settings)


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(SWEEPS, SETTINGS),
    quick=cases(QUICK_SWEEPS, QUICK_SETTINGS),
    measure=measured,
    columns=(
        *("batch", "width", "method", *measure.COMPARED, *measure.TIMED),
        *("xla_temp_bytes", "xla_peak_bytes"),
    ),
    plot=plot,
    panels=2,
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
