"""Is a planted error in a custom derivative rule found, and named?

Expectation: `jaxbp.check_rules` sets each rule beside the derivative of its function's
own body, without noise, so that it finds every error that is larger than rounding, in
float32 as in float64, says which argument it is in, and is silent on the right rules.
`jax.test_util.check_grads`, differences of the whole function along one direction,
finds large errors; in float32 its tolerance of .002 and more lets small ones pass; and
it can name neither rule nor argument.

Each row is one function with a rule, right or with one error planted in what its
backward rule gives for one argument.

Command: jaxbp study wrong_rules [--quick] [--device cpu|gpu|tpu]
Source: jax.test_util.check_grads of the installed JAX.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jax.test_util import check_grads

import jaxbp
from jaxbp.study import SETTINGS, Study, crossed, grid, numbered, plots, run

MINUTES = 2.0


# Functions, each with its operands; the right backward rule is made from them. --------


def affine(x, w, b):
    return x @ w + b


def gated(x, w):
    return jnp.tanh(x @ w) * x


def norm(x):
    return jnp.sqrt(jnp.sum(x**2, axis=-1) + 1e-3)


def softmax(x):
    e = jnp.exp(x - jnp.max(x, axis=-1, keepdims=True))
    return e / jnp.sum(e, axis=-1, keepdims=True)


def rectified(x, slope):
    return jnp.where(x > 0, x, slope * x)


def swish(x, beta):
    return x / (1 + jnp.exp(-beta * x))


def standardised(x, scale, shift):
    mean = jnp.mean(x, axis=-1, keepdims=True)
    spread = jnp.mean((x - mean) ** 2, axis=-1, keepdims=True)
    return (x - mean) / jnp.sqrt(spread + 1e-3) * scale + shift


def bilinear(x, a, y):
    return jnp.einsum("bi,ij,bj->b", x, a, y)


def solved(a, b):
    return jnp.linalg.solve(a + 4 * jnp.eye(len(a), dtype=a.dtype), b)


def attention(q, k, v):
    return softmax(q @ k.T) @ v


def rolled(x, w):
    return jnp.roll(x, 1, axis=0) * w


def poisson(x, rate):
    return x * jnp.log(rate**2 + 1) - rate**2 - gammaln(x**2 + 1)


def horner(x, c):
    y = jnp.zeros_like(x)
    for place in range(4):
        y = y * x + c[place]
    return y


def kernel(x, y, width):
    squares = jnp.sum((x[:, None] - y[None]) ** 2, axis=-1)
    return jnp.exp(-squares * width)


def cumulated(x):
    return jnp.cumsum(x, axis=0) * x


SHAPES = {
    affine: ((4, 3), (3, 3), (3,)),
    gated: ((3, 3), (3, 3)),
    norm: ((4, 3),),
    softmax: ((4, 4),),
    rectified: ((4, 4), ()),
    swish: ((4, 4), ()),
    standardised: ((4, 5), (5,), (5,)),
    bilinear: ((4, 3), (3, 3), (4, 3)),
    solved: ((3, 3), (3, 3)),
    attention: ((4, 4), (4, 4), (4, 4)),
    rolled: ((4, 3), (4, 3)),
    poisson: ((5,), (5,)),
    horner: ((5,), (4,)),
    kernel: ((4, 3), (4, 3), ()),
    cumulated: ((4, 4),),
}
FUNCTIONS = {f.__name__: f for f in SHAPES}


# Errors: of all cotangents, one is spoilt. x is its operand. --------------------------


def one_side(bar, x):
    return jnp.where(x < 0, 2 * bar, bar)


def one_element(bar, x):
    return bar.at[(0,) * bar.ndim].multiply(1.1)


def transposed(bar, x):
    return bar.T if bar.ndim == 2 and bar.shape[0] == bar.shape[1] else -bar


ERRORS = {
    "right": lambda bar, x: bar,
    "scaled by 1.001": lambda bar, x: bar * (1 + 1e-3),
    "doubled": lambda bar, x: 2 * bar,
    "negated": lambda bar, x: -bar,
    "zero": lambda bar, x: 0 * bar,
    "transposed": transposed,
    "shifted": lambda bar, x: jnp.roll(bar, 1) if bar.size > 1 else 2 * bar,
    "wrong for x < 0": one_side,
    "one element": one_element,
    "constant added": lambda bar, x: bar + 0.01,
    "not linear": lambda bar, x: bar * (1 + 0.01 * jnp.abs(bar)),
}


def planted(name, error, argument):
    """The function with a rule; what it gives for one argument is spoilt."""
    f = FUNCTIONS[name]

    def body(*operands):
        return f(*operands)

    def forward(*operands):
        return f(*operands), operands

    def backward(operands, bar):
        bars = list(jax.vjp(f, *operands)[1](bar))
        bars[argument] = ERRORS[error](bars[argument], operands[argument])
        return tuple(bars)

    body.__name__ = name
    made = jax.custom_vjp(body)
    made.defvjp(forward, backward)
    return made


def operands(name, dtype, seed):
    """Normal numbers, those of a scalar operand near 1, some of either sign."""
    rng = np.random.default_rng(seed)
    drawn = [rng.normal(size=shape) for shape in SHAPES[FUNCTIONS[name]]]
    return [jnp.asarray(x if x.ndim else 1 + 0.1 * x, dtype) for x in drawn]


def measured(case):
    """What both say of one function."""
    name, error, dtype = case["function"], case["error"], case["dtype"]
    argument = case["argument"] % len(SHAPES[FUNCTIONS[name]])
    with jax.enable_x64(dtype == "float64"):
        args = operands(name, dtype, case["seed"])
        f = planted(name, error, argument)

        def whole(*args):
            return jnp.sum(jnp.sin(f(*args)))

        report = jaxbp.check_rules(whole, *args)
        row = {"found": int(not report), "named": int(not report)}
        if report.failures:
            first = report.failures[0]
            row["named"] = int(first.name == name and first.argument == argument)
            row["said"] = first.pattern or first.what
        try:
            check_grads(partial(whole), args, order=1, modes=["rev"])
            row["check_grads"] = 0
        except AssertionError:
            row["check_grads"] = 1
    return row


def summary(rows):
    """By error and dtype: how many of how many each found."""
    lines = []
    for error in ERRORS:
        for dtype in ("float32", "float64"):
            chosen = numbered(rows, error=error, dtype=dtype)
            if chosen:
                told = {"error": error, "dtype": dtype, "of": len(chosen)}
                for column in ("found", "named", "check_grads"):
                    told[column] = sum(row[column] for row in chosen)
                lines.append(told)
    return {"Alarms, by error": lines}


def claim(rows):
    """All errors, and the right rules."""
    (lines,) = summary(rows).values()
    wrong = [line for line in lines if line["error"] != "right"]
    right = [line for line in lines if line["error"] == "right"]

    def total(lines, column):
        return sum(line[column] for line in lines)

    return (
        f"Of {total(wrong, 'of')} planted errors check_rules found "
        f"{total(wrong, 'found')} and named rule and argument of "
        f"{total(wrong, 'named')}; check_grads found {total(wrong, 'check_grads')}. "
        f"False alarms on {total(right, 'of')} right rules: {total(right, 'found')}, "
        f"and {total(right, 'check_grads')} by check_grads."
    )


def plot(rows, axes):
    for axis, dtype in zip(axes, ("float32", "float64"), strict=True):
        lines = [
            line for line in summary(rows)["Alarms, by error"] if line["dtype"] == dtype
        ]
        places = range(len(lines))
        for column, colour, mark, size in (  # one on the other: both are seen
            ("check_grads", "vermilion", "s", 8),
            ("found", "blue", "o", 4.5),
        ):
            share = [line[column] / line["of"] for line in lines]
            label = "check_rules" if column == "found" else column
            own = plots.COLOURS[colour]
            axis.plot(share, places, mark, color=own, label=label, markersize=size)
        axis.set_yticks(list(places), [line["error"] for line in lines])
        axis.invert_yaxis()
        axis.set_xlim(-0.05, 1.05)
        axis.set_xlabel(f"share with an alarm, {dtype}")
    axes[0].legend()


def cases(functions, errors, arguments):
    rows = grid(function=functions, error=errors, argument=arguments)
    rows = [row for row in rows if _is_error(**row)]
    shared = {"seed": SETTINGS["seed"], "dtype": ["float32", "float64"]}
    return crossed(rows, **shared)


def _is_error(function, error, argument):
    """Whether there is such an argument, and the error changes what is given for it:
    the scalars are above 0."""
    shapes = SHAPES[FUNCTIONS[function]]
    return argument < len(shapes) and (shapes[argument] or error != "wrong for x < 0")


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(list(FUNCTIONS), list(ERRORS), [0, 1]),
    quick=cases(["gated"], ["right", "negated", "scaled by 1.001"], [0]),
    measure=measured,
    columns=(
        *("function", "error", "argument", "dtype", "found", "named", "check_grads"),
        "said",
    ),
    plot=plot,
    panels=2,
    summary=summary,
    claim=claim,
    counts=True,
)

if __name__ == "__main__":
    run(study)
