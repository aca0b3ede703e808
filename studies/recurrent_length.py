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
    at_the_end,
    grid,
    measure,
    numbered,
    plots,
    run,
    stacked_bytes,
)
from jaxbp.study.unstable import largest_whole

MINUTES = 0.7

LENGTHS = [8, 16, 32, 64, 128, 256, 1024]
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
    names = ("ratio", "stacked_bytes", "xla_temp_bytes", "first_state_gradient")
    grown = {"growth of time": "time_s", "growth of stacked": "stacked_bytes"}
    title = "At the greatest length; growth with it; ratio: time over f's"
    return {title: at_the_end(rows, ("cell", "method"), "length", names, grown)}


def claim(rows):
    """Time and memory at the greatest length; the gradient at a moderate one."""
    lstm = numbered(rows, cell="LSTM")
    compared = ("jaxbp, stacked", "jaxbp, recomputed", "jax, stacked")
    length = largest_whole(lstm, "length", "method", compared)
    told = {row["method"]: row for row in numbered(lstm, length=length)}
    kept, again = told["jaxbp, stacked"], told["jaxbp, recomputed"]
    theirs = told["jax, stacked"]
    early = sorted({row["length"] for row in rows})[2]
    norms = {
        row["cell"]: row["first_state_gradient"]
        for row in numbered(rows, method="jaxbp, stacked", length=early)
    }
    return (
        f"Over {kept['length']:,} steps an LSTM's gradient takes {kept['ratio']:.2g} "
        f"times f (JAX {theirs['ratio']:.2g}) and stacks "
        f"{kept['stacked_bytes'] / 2**20:.3g} MiB (JAX "
        f"{theirs['stacked_bytes'] / 2**20:.3g}); with each step recomputed, "
        f"{again['ratio']:.2g} times f and {again['stacked_bytes'] / 2**20:.3g} MiB. "
        f"Through {early} steps the norm of the first state's gradient falls to "
        f"{norms['RNN']:.0e} in the RNN and {norms['LSTM']:.0e} in the LSTM."
    )


def plot(rows, axes):
    time, memory, norm, _ = axes
    colours = {method: colour for method, (_, _, colour) in METHODS.items()}
    lstm = numbered(rows, cell="LSTM")
    plots.lines(time, lstm, "length", "ratio", colours)
    plots.lines(memory, lstm, "length", "stacked_bytes", colours)
    # Below the smallest float32 nothing is left to draw.
    arrived = [
        row
        for row in numbered(rows, method="jaxbp, stacked")
        if row["first_state_gradient"]
    ]
    cells = {"RNN": "vermilion", "LSTM": "blue"}
    plots.lines(norm, arrived, "length", "first_state_gradient", cells, "cell")
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
        *("cell", "length", "method", *measure.COMPARED, *measure.TIMED),
        *("stacked_bytes", "xla_temp_bytes", "device_peak_bytes"),
        "first_state_gradient",
    ),
    plot=plot,
    panels=(2, 2),
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
