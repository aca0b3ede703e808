"""python -m tests.control.loop.count_runs [LENGTH [BYTES]]: does a loop of a million
steps run as often as planned, within a few hundred bytes?

The step counts its runs by a callback, some microseconds each: a million steps within
400 bytes take minutes.
"""

import math
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxbp
from jaxbp.control.loop.treeverse import advances, layout


def gradient(length, budget, called=None):
    """By the start of a loop of sines."""

    def f(x):
        def step(x, _):
            if called is not None:
                jax.debug.callback(called)
            return jnp.sin(x), None

        return lax.scan(step, x, None, length=length)[0]

    options = jaxbp.Options(loop_bytes=budget, scan_residuals="stack")
    return jaxbp.grad(f, options=options)


def counted(length, budget):
    """What was planned, how often the step ran, XLA's temporaries, and how far the
    gradient is off."""
    runs = [0]

    def called():
        runs[0] += 1

    x = jnp.float64(0.9)
    found = jax.jit(gradient(length, budget, called))(x)
    jax.effects_barrier()
    state, slope = 0.9, 1.0
    for _ in range(length):
        slope, state = slope * math.cos(state), math.sin(state)
    lean = jax.jit(gradient(length, budget)).lower(x).compile().memory_analysis()
    off = abs(float(found) / slope - 1)
    return layout(length, 8, 8, budget), runs[0], lean.temp_size_in_bytes, off


def main(length=10**6, budget=400):
    jax.config.update("jax_enable_x64", True)
    begun = time.perf_counter()
    plan, runs, taken, off = counted(int(length), int(budget))
    binomial = advances(plan.blocks + 1, plan.slots)
    print(
        f"{plan.length:,} steps within {budget} bytes: {plan.blocks + 1:,} blocks of "
        f"{plan.steps} steps, {plan.slots} starts.\n"
        f"Starts found by {binomial:,} runs of a block, t(l, s) = "
        f"t({plan.blocks + 1}, {plan.slots}).\n"
        f"Planned {plan.runs:,} runs of the step, {plan.runs / plan.length:.2f} times; "
        f"counted {runs:,}: {runs / plan.runs:.3f} of the plan.\n"
        f"XLA's temporaries {taken:,} bytes; the gradient is off by {off:.1e}; "
        f"{np.round(time.perf_counter() - begun)} s."
    )
    return int(not (runs <= 1.05 * plan.runs and off < 1e-9))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
