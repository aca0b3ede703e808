"""What do all partial derivatives cost, beside one evaluation of the loss?

Operations are counted, no time is taken. Reverse mode gives all n partial derivatives
for a bounded multiple of the loss, the cheap gradient principle; forward mode needs one
sweep for each parameter, and its multiple grows with n.

One number at a time, on the tape of `jaxbp.scalar`: an operation costs 1, and each of
its operands a multiplication and an addition on the way back, which makes 5 with two
operands and 3 with one. A gradient therefore never costs more than 5 times the loss.
By arrays, in the linear program of the engine, less: a product of matrices passes
sums on without multiplying them by 1, and the inputs have no gradient.

The networks are 10-h-h-1 of logistic units, from 69 to 18,049 parameters; number by
number a logistic is four operations, 1/(1 + exp(-z)). The list of known figures counts
a pushforward at 3/5 of a reverse pass; here both go once over the same operands.

Source: Baur and Strassen 1983, doi:10.1016/0304-3975(83)90110-X; Griewank and Walther
2008, chapter 3 (at most 5 in their count of operations and moves).
Command: jaxbp classics cost_of_derivatives
"""

from random import Random

import jax
import jax.numpy as jnp

import jaxbp
from jaxbp import layers, scalar
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import INDEPENDENT, SOUGHT, at_least, at_most, exactly, within
from jaxbp.study import plots

INPUTS, HIDDEN = 10, (4, 8, 16, 32, 64, 128)


def by_arrays(hidden):
    """Parameters, and operations of the loss, of its gradient and of n pushforwards;
    one example in, so that every weight is used once."""
    model = layers.mlp([INPUTS, hidden, hidden, 1], activation="logistic")
    f = layers.loss_fn(model, layers.half_sum_of_squares)
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.float64))
    n = sum(leaf.size for leaf in jax.tree.leaves(params))
    x, target = jnp.zeros(INPUTS), jnp.zeros(1)
    report = jaxbp.cost(lambda params: f(params, x, target), params)
    operations = lambda amount: amount.flops.high + amount.transcendentals.high  # noqa: E731
    once, reverse, forward = map(operations, (report.f, report.vjp, report.jvp))
    return n, once, reverse, n * forward


def logistic(z):
    return (1.0 + scalar.exp(-z)) ** -1


def by_numbers(hidden):
    """Operations of the same loss on the scalar tape, and of its gradient."""
    params = scalar.initial([INPUTS, hidden, hidden, 1], Random(0))
    inputs = [scalar.Value(1.0)] * INPUTS
    (y,) = scalar.mlp(params, inputs, logistic)
    loss = (y - 1.0) ** 2 / 2.0
    made = [value for value in scalar.order(loss) if value.parents]
    operands = sum(len(value.parents) for value in made)
    return len(made), len(made) + 2 * operands


def compute(quick):
    rows = [(*by_arrays(hidden), *by_numbers(hidden)) for hidden in HIDDEN]
    numbers = {"parameters, smallest": rows[0][0], "parameters, largest": rows[-1][0]}
    for n, once, reverse, forward, made, with_gradient in rows:
        numbers[f"gradient over f, by numbers, n = {n}"] = with_gradient / made
        numbers[f"gradient over f, by arrays, n = {n}"] = reverse / once
        numbers[f"n pushforwards over one reverse pass, n = {n}"] = forward / reverse
    numbers["largest ratio of reverse mode"] = max(row[5] / row[4] for row in rows)
    growth = (rows[-1][3] / rows[-1][2]) / (rows[0][3] / rows[0][2])
    numbers["growth of forward over reverse, per growth of n"] = growth / (
        rows[-1][0] / rows[0][0]
    )
    return numbers, rows


def draw(rows, axes):
    n = [row[0] for row in rows]
    ways = (("n pushforwards", 3, 1, "vermilion"),
            ("reverse, by numbers", 5, 4, "sky"),
            ("reverse, by arrays", 2, 1, "blue"))  # fmt: skip
    for name, over, under, colour in ways:
        plots.line(axes[0], n, [row[over] / row[under] for row in rows], name, colour)
    title = "operations of all partial derivatives / of f"
    plots.log_log(axes[0], "parameters n", title)
    axes[0].set_ylim(bottom=1)


def answer(numbers):
    most = numbers["largest ratio of reverse mode"]
    arrays = max(v for k, v in numbers.items() if "by arrays" in k)
    last = [v for k, v in numbers.items() if k.startswith("n pushforwards")][-1]
    return (
        f"In reverse mode at most {most:.2f} times the loss number by number, and "
        f"{arrays:.2f} times by arrays, whatever the size; forward mode ends at "
        f"{last:,.0f} times that."
    )


classic = Classic(
    file=__file__,
    text=__doc__,
    systems={14: "cost of all partial derivatives; forward mode beside it"},
    compute=compute,
    known={
        "parameters, smallest": exactly(69, INDEPENDENT),
        "parameters, largest": exactly(18_049, INDEPENDENT),
        "gradient over f, by numbers, n = 69": within(4.70, 0.05, SOUGHT),
        "gradient over f, by numbers, n = 18049": within(4.96, 0.005, SOUGHT),
        "largest ratio of reverse mode": at_most(5, "3 or 5 an operation"),
        "growth of forward over reverse, per growth of n": at_least(0.8, "linear in n"),
    },
    draw=draw,
    answer=answer,
    inches=(7.0, 4.2),
)

if __name__ == "__main__":
    run(classic)
