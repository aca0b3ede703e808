"""How does a gradient's price grow with n on the published Helmholtz benchmark?

Expectation: differences and forward mode cost a multiple of f that grows with the
number of inputs n, reverse mode one that does not. Published for scalar code (Baydin
et al. 2018, table 5): at n = 50 differences 28.6, forward 7.69, reverse 1.96.

The function is the Helmholtz free energy of a mixed fluid,
  f(x) = R T sum_i x_i log(x_i / (1 - b.x))
         - x'A x / (sqrt(8) b.x) log((1 + (1 + sqrt 2) b.x) / (1 + (1 - sqrt 2) b.x)),
with x, b, A ~ 0.1 U(0, 1) and R = T = 1, written once with arrays and once in loops of
scalar operations, as the benchmark was. One call takes 64 points in turn, so
that its overhead, longer than f itself, is not what is compared.

Command: jaxbp study helmholtz [--quick] [--device cpu|gpu|tpu]
Source: Baydin, Pearlmutter, Radul and Siskind 2018, arXiv:1502.05767.
"""

from functools import lru_cache
from math import sqrt

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp.study import (
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    at_the_end,
    gradients,
    grid,
    measure,
    numbered,
    plots,
    run,
)
from jaxbp.study.unstable import largest_whole

MINUTES = 0.4

SIZES = (1, 8, 15, 22, 29, 36, 43, 50)
POINTS = 64
PUBLISHED = {  # gradient's time over f's, at the sizes above
    "differences": (1.08, 6.93, 12.17, 17.15, 19.87, 23.64, 25.67, 28.63),
    "forward": (1.34, 2.66, 3.55, 4.54, 4.77, 5.59, 6.40, 7.69),
    "reverse": (1.52, 2.16, 2.16, 2.31, 2.16, 2.07, 1.99, 1.96),
}
COLOURS = {"differences": "purple", "forward": "vermilion", "reverse": "blue"}
MODES = {"forward": "forward", "reverse": "reverse"}


def arrays(x, b, A):
    """The free energy with vectors and matrices."""
    bx = b @ x
    mixing = jnp.sum(x * jnp.log(x / (1 - bx)))
    return energy(mixing, x @ A @ x, bx)


def scalars(x, b, A):
    """The same, one scalar at a time, in loops."""
    bx = summed(lambda pair: pair[0] * pair[1], (b, x))
    mixing = summed(lambda x_i: x_i * jnp.log(x_i / (1 - bx)), x)

    def row(pair):
        x_i, A_i = pair
        return x_i * summed(lambda pair: pair[0] * pair[1], (A_i, x))

    return energy(mixing, summed(row, (x, A)), bx)


def summed(term, items):
    """The sum of `term` over the first axis, one item at a time."""
    zero = jnp.zeros((), jax.tree.leaves(items)[0].dtype)
    return jax.lax.scan(lambda s, item: (s + term(item), None), zero, items)[0]


def energy(mixing, xAx, bx):
    """The free energy from its sums."""
    inside = jnp.log((1 + (1 + sqrt(2)) * bx) / (1 + (1 - sqrt(2)) * bx))
    return mixing - xAx / (sqrt(8) * bx) * inside


FORMS = {"arrays": arrays, "scalars": scalars}


@lru_cache(maxsize=1)
def prepared(form, n, dtype, seed):
    """f, arguments, f as a baseline, its gradient by JAX."""
    rng = np.random.default_rng(seed)
    draw = [rng.uniform(0.01, 0.1, shape) for shape in ((POINTS, n), (n,), (n, n))]
    args = tuple(jnp.asarray(part, dtype) for part in draw)
    f = FORMS[form]
    wanted = jax.device_get(jax.jit(in_turn(jax.grad(arrays)))(*args))
    return f, args, measure.baseline(in_turn(f), *args, dtype=dtype), wanted


def in_turn(f):
    """f at one point after another, (points, n) -> (points, ...)."""
    return lambda xs, *data: jax.lax.map(lambda x: f(x, *data), xs)


def forward_differences(f):
    """n + 1 evaluations, batched: what the benchmark calls numerical."""

    def gradient(x, *data):
        h = float(jnp.finfo(x.dtype).eps) ** 0.5
        steps = h * jnp.eye(x.size, dtype=x.dtype)
        ahead = jax.vmap(lambda step: f(x + step, *data))(steps)
        return (ahead - f(x, *data)) / h

    return gradient


METHODS = {
    "differences": forward_differences,
    "forward": lambda f: gradients.by_pushforwards(jaxbp.jvp, f),
    "reverse": jaxbp.grad,
}


def measured(case):
    """The row of one gradient beside f."""
    method, n = case["method"], case["n"]
    setting = (case[name] for name in ("form", "n", "dtype", "seed"))
    f, args, base, wanted = prepared(*setting)
    row = {"published_ratio": PUBLISHED[method][SIZES.index(n)]}
    if method in MODES:
        row["mode"] = MODES[method]
    # One-sided differences: right to the square root of rounding.
    eps = float(jnp.finfo(case["dtype"]).eps)
    terms = 100 * eps ** (1 / 2 - 2 / 3) if method == "differences" else 0.0
    gradient = in_turn(METHODS[method](f))
    return row | measure.contest(gradient, args, base, case, wanted, terms=terms)


def summary(rows):
    """Every method at the largest n beside the published ratio, and its growth."""
    larger = [row for row in rows if row["n"] >= 8]
    grown = {
        "published growth": "published_ratio",
        "growth": "ratio",
        "growth of flops": "flops_ratio",
    }
    names = ("published_ratio", "ratio", "flops_ratio")
    lines = at_the_end(larger, ("method", "form"), "n", names, grown)
    return {"Gradient over f at the largest n, and growth with n": lines}


def claim(rows):
    """All ways at the largest n."""
    forms = ("arrays", "scalars")
    pairs = [(method, form) for method in METHODS for form in forms]
    n = largest_whole(numbered(rows), "n", ("method", "form"), pairs)
    lines = numbered(rows, n=n)
    told = {(line["method"], line["form"]): line["ratio"] for line in lines}
    each = "; ".join(
        f"{method} {told[method, 'arrays']:.3g} and {told[method, 'scalars']:.3g} "
        f"({PUBLISHED[method][SIZES.index(n)]:.3g})"
        for method in METHODS
    )
    return (
        f"At n = {n} a gradient takes this many times f, written with "
        f"arrays and with scalars (published, scalars): {each}."
    )


def plot(rows, axes):
    for axis, form in zip(axes, FORMS, strict=True):
        chosen = numbered(rows, form=form)
        plots.lines(axis, chosen, "n", "ratio", COLOURS)
        known = dict(named=lambda method: "", linestyle=":", marker="")
        plots.lines(axis, chosen, "n", "published_ratio", COLOURS, **known)
        axis.set(yscale="log", xlabel="inputs n")
        axis.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
        axis.set_title(f"gradient over f, {form};  dotted: published")


def cases(sizes, settings):
    return grid(n=sizes, form=list(FORMS), method=list(METHODS), **settings)


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(SIZES, SETTINGS | {"dtype": "float64"}),
    quick=cases([1, 8, 15], QUICK_SETTINGS | {"dtype": "float64"}),
    measure=measured,
    columns=(
        *("form", "n", "method", "published_ratio"),
        *(*measure.COMPARED, *measure.TIMED, "compile_s"),
    ),
    plot=plot,
    panels=2,
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
