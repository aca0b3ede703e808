"""What does backpropagation through time cost as the sequence grows, and what arrives?

Expectation: time and stacked residuals grow in proportion to the length; recomputing
each step from its carry keeps one state a step and adds about one evaluation of f. The
gradient that reaches the first state shrinks by a factor a step in a tanh RNN whose
weights have a norm below one, and far more slowly in an LSTM whose forget gates begin
open.

An RNN and an LSTM by scan, mean squared error of the last state. Gradients are by
weights and first state, compared with JAX's, timed in turn with f.

Command: jaxbp study recurrent_length [--quick] [--device cpu|gpu|tpu]
Source: Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxbp
from jaxbp.problems.programs.draw import Draw
from jaxbp.study import (
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    grid,
    growth,
    measure,
    numbered,
    plots,
    run,
    stacked_bytes,
)

MINUTES = 1.5

LENGTHS = [8, 32, 128, 512, 1024]
QUICK_LENGTHS = [4, 8, 16]
FULL = SETTINGS | dict(width=64, batch=16)
QUICK = QUICK_SETTINGS | dict(width=16, batch=4)
METHODS = {  # name: (gradient, whether steps are recomputed, colour)
    "jaxbp, stacked": (jaxbp.grad, False, "blue"),
    "jax, stacked": (jax.grad, False, "black"),
    "jaxbp, recomputed": (jaxbp.grad, True, "vermilion"),
    "jax, recomputed": (jax.grad, True, "orange"),
}


def rnn(weights, state, x):
    """h' = tanh(x W + h U)."""
    W, U = weights
    return (jnp.tanh(x @ W + state[0] @ U),)


def lstm(weights, state, x):
    """Gates from one product each of input and state; forget bias 1."""
    (W, U), (h, c) = weights, state
    i, f, o, g = jnp.split(x @ W + h @ U, 4, axis=-1)
    c = jax.nn.sigmoid(f + 1) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


CELLS = {"RNN": (rnn, 1, 1), "LSTM": (lstm, 4, 2)}  # cell, products, states


def network(cell, recomputed):
    """f: ((weights, first state), xs, target) -> scalar."""
    advance = jaxbp.checkpoint(CELLS[cell][0]) if recomputed else CELLS[cell][0]

    def f(params, xs, target):
        weights, state = params
        end, _ = lax.scan(lambda s, x: (advance(weights, s, x), None), state, xs)
        return jnp.mean((end[0] - target) ** 2)

    return f


@lru_cache(maxsize=1)
def prepared(cell, length, width, batch, dtype, seed):
    """Arguments, f as a baseline, gradient as JAX has it."""
    _, gates, states = CELLS[cell]
    draw = Draw(seed, dtype)
    shape = width, gates * width
    weights = draw.normal(*shape), draw.normal(*shape, scale=0.9 * width**-0.5)
    state = tuple(draw.normal(batch, width, scale=1) for _ in range(states))
    xs, target = draw.normal(length, batch, width, scale=1), state[0] / 2
    args = jax.device_put(((weights, state), xs, target))
    f = network(cell, recomputed=False)
    wanted = jax.device_get(jax.jit(jax.grad(f))(*args))
    return args, measure.baseline(f, *args, dtype=dtype), wanted


def measured(case):
    """The row of one gradient."""
    names = ("cell", "length", "width", "batch", "dtype", "seed")
    args, base, wanted = prepared(*(case[name] for name in names))
    gradient, recomputed, _ = METHODS[case["method"]]
    f = gradient(network(case["cell"], recomputed))
    first_state = jax.tree.leaves(wanted[1])
    row = {
        "stacked_bytes": stacked_bytes(f, *args),
        "first_state_gradient": float(np.sqrt(sum((g**2).sum() for g in first_state))),
    }
    steps = case["length"]
    return row | measure.contest(f, args, base, case, wanted, loop_steps=steps)


def summary(rows):
    """Each cell and method at the greatest length, and growth with the length."""
    lines = []
    for cell in CELLS:
        for method in METHODS:
            chosen = numbered(rows, cell=cell, method=method)
            if not chosen:
                continue
            last = max(chosen, key=lambda row: row["length"])
            names = ("cell", "method", "length", "ratio", "stacked_bytes")
            line = {name: last[name] for name in (*names, "xla_temp_bytes")}
            line["first state's gradient"] = last["first_state_gradient"]
            line["growth of time"] = growth(chosen, "length", "time_s")
            line["growth of stacked"] = growth(chosen, "length", "stacked_bytes")
            lines.append(line)
    return {"At the greatest length; growth with it; ratio: time over f's": lines}


def plot(rows, axes):
    time, memory, norm = axes
    for method, (_, _, colour) in METHODS.items():
        chosen = numbered(rows, cell="LSTM", method=method)
        lengths = [row["length"] for row in chosen]
        for axis, column in ((time, "ratio"), (memory, "stacked_bytes")):
            y = [row[column] for row in chosen]
            plots.line(axis, lengths, y, method, colour)
    for cell, style in (("RNN", "-"), ("LSTM", ":")):
        chosen = numbered(rows, cell=cell, method="jaxbp, stacked")
        lengths = [row["length"] for row in chosen]
        norms = [max(row["first_state_gradient"], 1e-45) for row in chosen]
        plots.line(norm, lengths, norms, cell, "blue", linestyle=style)
    plots.over_sizes(time, "time steps", "LSTM: time of the gradient / f")
    plots.over_sizes(memory, "time steps", "LSTM: bytes stacked by scans", "log")
    plots.over_sizes(norm, "time steps", "norm of the first state's gradient", "log")


def cases(lengths, settings):
    return grid(cell=list(CELLS), length=lengths, method=list(METHODS), **settings)


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(LENGTHS, FULL),
    quick=cases(QUICK_LENGTHS, QUICK),
    measure=measured,
    columns=(
        *("cell", "length", "method", "closeness", "ratio", "ratio_q25", "ratio_q75"),
        *("predicted_ratio", "flops_ratio", "time_s", "predicted_s"),
        *("stacked_bytes", "xla_temp_bytes", "device_peak_bytes"),
        *("first_state_gradient", "roof_fraction"),
    ),
    plot=plot,
    panels=3,
    summary=summary,
)

if __name__ == "__main__":
    run(study)
