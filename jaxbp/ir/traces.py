"""Traces: what operations do where they are called."""

import functools

import jax
from jax.core import Trace, Tracer
from jax.extend.core import take_current_trace


@functools.cache
def perturbed() -> Tracer:
    """A tracer that JAX takes for a value which may carry a tangent.

    `jax.closure_convert` looks for one in what a tracer of another kind contains.
    """
    found = []
    with jax.check_tracer_leaks(False):  # kept on purpose
        jax.make_jaxpr(lambda x: found.append(x) or x)(0.0)
    return found[0]


def is_staging(trace) -> bool:
    """Whether operations under `trace` are written into a program, not run."""
    return is_traced_plainly(trace) or getattr(trace, "staging", False)


def is_traced_plainly(trace) -> bool:
    """Whether operations are written into a program, and no derivative is taken."""
    return hasattr(trace, "frame")  # that JAX's own trace of this kind has


def current_trace() -> Trace:
    with take_current_trace() as trace:
        return trace
