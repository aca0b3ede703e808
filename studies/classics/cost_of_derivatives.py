"""What do all partial derivatives cost, beside one evaluation of the loss?

Operations are counted from the traced programs, nothing is run. Reverse mode gives all
n partial derivatives for a bounded multiple of the loss, the cheap gradient principle;
forward mode needs one sweep for each parameter, and its multiple grows with n.

Source: Baur and Strassen 1983, doi:10.1016/0304-3975(83)90110-X; Griewank and Walther
2008, chapter 3 (at most 5 in their count of operations and moves).
Command: jaxbp classics cost_of_derivatives
"""

import jax
import jax.numpy as jnp

import jaxbp
from jaxbp import layers
from jaxbp.study import plots
from jaxbp.study.classic import Classic, run
from jaxbp.study.known import at_least, at_most

HIDDEN = (4, 8, 16, 32, 64, 128)


def counted(hidden):
    """Parameters, and operations of the loss, of its gradient and of n pushforwards;
    one example in, so that every weight is used once."""
    model = layers.mlp([8, hidden, hidden, 1], activation="tanh")
    f = layers.loss_fn(model, layers.half_sum_of_squares)
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.float64))
    n = sum(leaf.size for leaf in jax.tree.leaves(params))
    x, target = jnp.zeros(8), jnp.zeros(1)
    report = jaxbp.cost(lambda params: f(params, x, target), params)
    operations = lambda amount: amount.flops.high + amount.transcendentals.high  # noqa: E731
    once, reverse, forward = map(operations, (report.f, report.vjp, report.jvp))
    return n, once, reverse, n * forward


def compute(quick):
    rows = [counted(hidden) for hidden in HIDDEN]
    numbers = {}
    for n, once, reverse, forward in rows:
        numbers[f"gradient by reverse mode over f, n = {n}"] = reverse / once
        numbers[f"n pushforwards over one reverse pass, n = {n}"] = forward / reverse
    ratios = [reverse / once for _, once, reverse, _ in rows]
    numbers["largest ratio of reverse mode"] = max(ratios)
    growth = (rows[-1][3] / rows[-1][2]) / (rows[0][3] / rows[0][2])
    numbers["growth of forward over reverse, per growth of n"] = growth / (
        rows[-1][0] / rows[0][0]
    )
    return numbers, rows


def draw(rows, axes):
    n = [row[0] for row in rows]
    ways = ((2, "reverse mode", "blue"), (3, "n pushforwards", "vermilion"))
    for column, name, colour in ways:
        plots.line(axes[0], n, [row[column] / row[1] for row in rows], name, colour)
    title = "operations of all partial derivatives / of f"
    plots.log_log(axes[0], "parameters n", title)
    axes[0].set_ylim(bottom=1)


def answer(numbers):
    most = numbers["largest ratio of reverse mode"]
    last = [v for k, v in numbers.items() if k.startswith("n pushforwards")][-1]
    return (
        f"At most {most:.2f} times the loss in reverse mode, whatever the size; "
        f"forward mode ends at {last:,.0f} times that."
    )


classic = Classic(
    file=__file__,
    text=__doc__,
    systems={14: "cost of all partial derivatives; forward mode beside it"},
    compute=compute,
    known={
        "largest ratio of reverse mode": at_most(5.5, "cheap gradient principle"),
        "growth of forward over reverse, per growth of n": at_least(0.8, "linear in n"),
    },
    draw=draw,
    answer=answer,
    inches=(7.0, 4.2),
)

if __name__ == "__main__":
    run(classic)
