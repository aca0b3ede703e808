"""In which order should two derivatives be nested, for products, Hessians, Laplacians?

Expectation: JAX's documentation advises forward over reverse for products with the
Hessian, since it writes no second tape; in torch reverse over reverse was measured
faster. Griewank and Walther 2008 bound second-order adjoints by 7 to 10 times f. A
product costs the same for any n where a reverse sweep is involved, and n times more in
forward over forward. Diagonal and Laplacian need n forward sweeps of second order, or n
products.

f is a tanh network n -> 128 -> 128 -> 1 averaged over 32 offsets, as where a network is
put into a differential equation. Everything is compared with jax.hessian and timed in
turn with the gradient of f.

Command: jaxbp study hessian_products [--quick] [--device cpu|gpu|tpu]
"""

from functools import lru_cache
from math import ceil

import jax
import jax.numpy as jnp

import jaxbp
from jaxbp.problems.programs.draw import Draw
from jaxbp.study import (
    GAP,
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    grid,
    growth,
    measure,
    numbered,
    plots,
    run,
    tables,
)
from jaxbp.study.unstable import largest_whole

MINUTES = 0.4

SIZES = [4, 16, 64, 128]
QUICK_SIZES = [4, 16]
ORDERS = {  # outer over inner: colour
    "forward over reverse": "blue",
    "reverse over reverse": "vermilion",
    "reverse over forward": "green",
    "forward over forward": "purple",
}
WHAT = ("product", "hessian", "diagonal", "laplacian")
BY_COLUMNS = 64  # the largest n at which forward over forward is asked for every pair


def network(x, W1, W2, w3):
    """(n,) -> (): a mean over a batch of offsets."""
    offsets = jnp.linspace(-1, 1, 32, dtype=x.dtype)[:, None]
    hidden = jnp.tanh(x[None] @ W1 + offsets)  # (32, 128)
    return (jnp.tanh(hidden @ W2) @ w3).mean()


def along(f, v):
    """x -> the derivative of f along v, by a pushforward."""
    return lambda x: jaxbp.jvp(f, (x,), (v,))[1]


def product(order, f, x, v):
    """The Hessian times v."""
    if order == "forward over reverse":
        return along(jaxbp.grad(f), v)(x)
    if order == "reverse over reverse":
        return jaxbp.grad(lambda x: jnp.vdot(jaxbp.grad(f)(x), v))(x)
    if order == "reverse over forward":
        return jaxbp.grad(along(f, v))(x)
    return jax.vmap(lambda e: along(along(f, v), e)(x))(jnp.eye(x.size, dtype=x.dtype))


def hessian(order, f, x):
    """The whole Hessian by the modes' Jacobians."""
    modes = {"forward": jaxbp.jacfwd, "reverse": jaxbp.jacrev}
    outer, inner = (modes[name] for name in order.split(" over "))
    return outer(inner(f))(x)


def diagonal(order, f, x):
    """Second derivatives along each axis, n at once."""

    def entry(e):
        if order == "forward over forward":
            return along(along(f, e), e)(x)
        return jnp.vdot(e, product(order, f, x, e))

    return jax.vmap(entry)(jnp.eye(x.size, dtype=x.dtype))


def contender(what, order):
    """(x, v, *weights) -> what is asked for."""

    def call(x, v, *weights):
        def f(x):
            return network(x, *weights)

        if what == "product":
            return product(order, f, x, v)
        if what == "hessian":
            return hessian(order, f, x)
        entries = diagonal(order, f, x)
        return entries if what == "diagonal" else entries.sum()

    return call


@lru_cache(maxsize=1)
def prepared(n, dtype, seed):
    """Arguments, the gradient as a baseline, the Hessian as JAX has it."""
    draw = Draw(seed, dtype)
    shapes = ((n, 128), (128, 128), (128,), (n,), (n,))
    drawn = (draw.normal(*shape, scale=shape[0] ** -0.5) for shape in shapes)
    W1, W2, w3, x, v = jax.device_put(list(drawn))
    weights = (W1, W2, w3)
    base = measure.baseline(jax.grad(network), x, *weights, dtype=dtype)
    wanted = jax.device_get(jax.jit(jax.hessian(network))(x, *weights))
    return (x, v, *weights), base, wanted


def measured(case):
    """The row of one order beside the gradient."""
    what, order, n = case["what"], case["order"], case["n"]
    if order == "forward over forward" and what == "product" and n > BY_COLUMNS:
        return {GAP: f"left out: asks n sweeps, n above {BY_COLUMNS}"}
    args, base, matrix = prepared(n, case["dtype"], case["seed"])
    entries = matrix.diagonal()
    wanted = {
        "product": matrix @ args[1],
        "hessian": matrix,
        "diagonal": entries,
        "laplacian": entries.sum(),
    }[what]
    terms = {"laplacian": abs(entries).sum(), "product": abs(matrix).sum(0).max()}
    f = contender(what, order)
    return measure.contest(f, args, base, case, wanted, terms=terms.get(what, 0.0))


def summary(rows):
    """Times over the gradient's, every order; the growth with n."""
    told = {}
    for what in WHAT:
        chosen = [row for row in rows if row["what"] == what]
        told[f"{what}: time over the gradient's"] = tables.pivot(
            chosen, ["n"], "order", "ratio"
        )
    told["Growth of the time with n"] = [
        {"what": what}
        | {
            order: growth(numbered(rows, what=what, order=order), "n", "time_s")
            for order in ORDERS
        }
        for what in WHAT
    ]
    return told


def claim(rows):
    """Each kind of product at the largest n where all its orders have a steady row."""
    rows = numbered(rows)
    parts = [_claimed(what, numbered(rows, what=what)) for what in CLAIMS]
    return " ".join(filter(None, parts))


def _claimed(what, rows):
    told_of = [o for o in ORDERS if what != "product" or "reverse" in o]
    n = largest_whole(rows, "n", "order", told_of)
    if n is None:
        return ""
    told = {row["order"]: row["ratio"] for row in numbered(rows, n=n)}
    reverse = [ratio for order, ratio in told.items() if "reverse" in order]
    best = min(told, key=told.__getitem__)
    inner = min(ratio for order, ratio in told.items() if "over forward" in order)
    return CLAIMS[what].format(
        n=n, least=min(reverse), most=max(reverse), best=best, ratio=told[best],
        inner=tables.order(inner), factor=ceil(max(told.values()) / min(told.values())),
    )  # fmt: skip


# By what is computed; of a gradient's time.
CLAIMS = {
    "product": "At n = {n} a product with the Hessian takes {least:.2g} to {most:.2g} "
    "gradients in the three orders with a reverse sweep.",
    "hessian": "At n = {n}, the largest where every order has a steady row, the whole "
    "Hessian takes fewest {best}, {ratio:.2g} gradients, and {inner} a gradient's time "
    "where the gradient itself is by pushforwards.",
    "laplacian": "At n = {n}, likewise, the orders of the Laplacian are within a "
    "factor of {factor}.",
}


def plot(rows, axes):
    for axis, what in zip(axes, ("product", "hessian", "laplacian"), strict=False):
        plots.lines(axis, numbered(rows, what=what), "n", "ratio", ORDERS, "order")
        plots.over_sizes(axis, "inputs n", f"{what}: time / gradient's", "log")


def cases(sizes, settings):
    return grid(n=sizes, what=WHAT, order=list(ORDERS), **settings)


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(SIZES, SETTINGS),
    quick=cases(QUICK_SIZES, QUICK_SETTINGS),
    measure=measured,
    columns=(
        *("n", "what", "order", *measure.COMPARED, *measure.TIMED),
        *("trace_s", "compile_s", "xla_temp_bytes"),
    ),
    plot=plot,
    panels=(2, 2),
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
