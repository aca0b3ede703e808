"""How wrong are finite differences at their best step, and what do they cost?

Expectation: the error over the step h is a V: truncation falls with h (forward
differences) or h^2 (central), rounding grows as eps/h; the best step is about eps^(1/2)
with error eps^(1/2), or eps^(1/3) with error eps^(2/3). A complex step has no rounding
to amplify and is exact to eps. A whole gradient by differences costs n + 1 or 2n
evaluations of f, by reverse mode a small multiple of one.

f is a tanh network n -> 64 -> 1 of one vector; the error is relative to the largest
entry of the gradient in float64.

Command: jaxbp study finite_differences [--quick] [--device cpu|gpu|tpu]
Source: Squire and Trapp 1998, doi:10.1137/S003614459631241X, for the complex step.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp.checks.closeness import wide
from jaxbp.study import (
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    at_the_end,
    crossed,
    grid,
    measure,
    numbered,
    plots,
    run,
    tables,
)
from jaxbp.study.unstable import largest_whole

MINUTES = 0.4

WIDTH = 64
DTYPES = ("float32", "float64")
STEPS = [round(-k / 2, 1) for k in range(2, 31)]  # log10 of h: 0.1 to 1e-15
QUICK_STEPS = [-1.0, -2.0, -3.0, -4.0, -6.0, -8.0]
SIZES = [8, 32, 128, 512, 2048]
QUICK_SIZES = [8, 32]
SCHEMES = {  # name: (colour, power of eps that is the best step, and its error)
    "forward": ("orange", 1 / 2, 1 / 2),
    "central": ("purple", 1 / 3, 2 / 3),
    "complex step": ("green", None, 1.0),
}
METHODS = {"forward": "orange", "central": "purple", "jaxbp.grad": "blue"}


def network(x, W, b, w):
    """(n,) -> (), defined for complex x as well."""
    return jnp.tanh(x @ W + b) @ w


def differences(scheme, x, h, *weights):
    """The gradient by one scheme, all entries at once."""

    def f(step):
        return network(x + step, *weights)

    steps = jnp.eye(x.size, dtype=x.dtype) * h
    if scheme == "complex step":
        still = jnp.zeros_like(steps)
        steps = jax.lax.complex(still, steps)
        x, *weights = (part.astype(steps.dtype) for part in (x, *weights))
        return jax.vmap(f)(steps).imag / h
    if scheme == "forward":
        return (jax.vmap(f)(steps) - f(jnp.zeros_like(x))) / h
    return (jax.vmap(f)(steps) - jax.vmap(f)(-steps)) / (2 * h)


@lru_cache(maxsize=4)
def arguments(n, dtype, seed):
    """x and weights of the same numbers in either dtype, and the exact gradient."""
    rng = np.random.default_rng(seed)
    shapes = ((n,), (n, WIDTH), (WIDTH,), (WIDTH,))
    draw = [rng.normal(size=shape) / shape[0] ** 0.5 for shape in shapes]
    x, W, b, w = (part.astype(dtype).astype(np.float64) for part in draw)
    slope = 1 - np.tanh(x @ W + b) ** 2
    exact = W @ (slope * w)  # by hand, in float64 of the rounded numbers
    return tuple(jnp.asarray(part, dtype) for part in (x, W, b, w)), exact


def measured(case):
    """A point of a V, or the cost of one gradient."""
    n, dtype = case["n"], case["dtype"]
    args, exact = arguments(n, dtype, case["seed"])
    if case["part"] == "error":
        scheme, h = case["method"], 10.0 ** case["log10_step"]
        x, *weights = args
        step = jnp.asarray(h, dtype)
        program = jax.jit(differences, static_argnums=0)
        found = wide(program(scheme, x, step, *weights))
        off = float(np.abs(found - exact).max() / np.abs(exact).max())
        return {"step": h, "gradient_error": off}
    base = baseline(n, dtype, case["seed"])
    method = case["method"]
    if method == "jaxbp.grad":
        return measure.contest(jaxbp.grad(network), args, base, case, exact)
    _, best, error = SCHEMES[method]
    eps = float(jnp.finfo(dtype).eps)
    h = eps**best

    def gradient(x, *weights):
        return differences(method, x, jnp.asarray(h, x.dtype), *weights)

    # Their error at the best step is eps^error of f and its derivatives, of order one.
    terms = 100 * eps**error / eps ** (2 / 3)
    return measure.contest(gradient, args, base, case, exact, terms=terms)


@lru_cache(maxsize=1)
def baseline(n, dtype, seed):
    """f, compiled."""
    return measure.baseline(network, *arguments(n, dtype, seed)[0], dtype=dtype)


def summary(rows):
    """Each V's lowest point beside the expected one; cost at the largest n."""
    lowest = []
    for scheme, (_, step, error) in SCHEMES.items():
        for dtype in DTYPES:
            chosen = numbered(rows, part="error", method=scheme, dtype=dtype)
            if not chosen:
                continue
            best = min(chosen, key=lambda row: row["gradient_error"])
            eps = float(jnp.finfo(dtype).eps)
            lowest.append(
                {
                    "scheme": scheme,
                    "dtype": dtype,
                    "best step": best["step"],
                    "expected step": eps**step if step else None,
                    "error there": best["gradient_error"],
                    "expected error": eps**error,
                }
            )
    by, grown = ("method", "dtype"), {"growth of time": "time_s"}
    costs = at_the_end(numbered(rows, part="cost"), by, "n", ("ratio",), grown)
    return {
        "The lowest point of each V": lowest,
        "Time of a gradient over f's at the largest n, and its growth": costs,
    }


def claim(rows):
    """The error at the best step, and the price where every method's row is steady."""
    lowest = summary(rows)[next(iter(summary(rows)))]
    error = {(r["scheme"], r["dtype"]): r["error there"] for r in lowest}
    each = "; ".join(
        f"{scheme} {error[scheme, 'float32']:.1e} and {error[scheme, 'float64']:.1e}"
        for scheme in SCHEMES
    )
    prices = "; ".join(filter(None, (_price(rows, dtype) for dtype in DTYPES)))
    return (
        f"At its best step each scheme's error, in float32 and float64: {each}. A "
        "gradient takes, at the largest n where every method has a steady row, of f's "
        f"time: {prices}."
    )


def _price(rows, dtype):
    costs = numbered(rows, part="cost", dtype=dtype)
    n = largest_whole(costs, "n", "method", METHODS)
    if n is None:
        return ""
    price = {row["method"]: row["ratio"] for row in numbered(costs, n=n)}
    forward, central = (tables.order(price[m]) for m in ("forward", "central"))
    return (
        f"in {dtype} at n = {n} {forward} by forward differences, {central} by central "
        f"ones, {price['jaxbp.grad']:.2g} times by jaxbp.grad"
    )


def plot(rows, axes):
    colours = {scheme: colour for scheme, (colour, _, _) in SCHEMES.items()}
    for axis, dtype in zip(axes, DTYPES, strict=False):
        vs = numbered(rows, part="error", dtype=dtype)
        vs = [row for row in vs if row["gradient_error"]]
        plots.lines(axis, vs, "step", "gradient_error", colours)
        plots.log_log(axis, "step h", f"error of the gradient, {dtype}")
    costs = numbered(rows, part="cost", dtype="float32")
    plots.lines(axes[2], costs, "n", "ratio", METHODS)
    plots.over_sizes(axes[2], "inputs n", "time of a gradient / f, float32", "log")


def cases(steps, sizes, settings):
    errors = grid(part="error", method=list(SCHEMES), n=16, log10_step=steps)
    costs = grid(part="cost", n=sizes, method=list(METHODS))
    return [
        *crossed(errors, **settings | {"dtype": DTYPES}),
        *crossed(costs, **settings | {"dtype": DTYPES}),
    ]


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(STEPS, SIZES, SETTINGS),
    quick=cases(QUICK_STEPS, QUICK_SIZES, QUICK_SETTINGS),
    measure=measured,
    columns=(
        *("part", "method", "dtype", "n", "step", "gradient_error"),
        *(*measure.COMPARED, *measure.TIMED),
    ),
    plot=plot,
    panels=(2, 2),
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
