"""Traces: what operations do where they are called, and who called."""

import functools
import traceback
from pathlib import Path

import jax
from jax.core import Trace, Tracer
from jax.extend import source_info_util
from jax.extend.core import take_current_trace

_PACKAGE = Path(__file__).parents[1]
# The engine's frames are no more the user's code than JAX's own are.
_ENGINE = tuple(
    str(_PACKAGE / part)
    for part in ("ir", "linear", "modes", "rules", "costs", "tracing", "tree.py")
)
for _folder in _ENGINE:
    source_info_util.register_exclusion(_folder)


@functools.cache
def _staging_type() -> type:
    found = []

    def probe():
        with take_current_trace() as trace:
            found.append(type(trace))
        return 0

    jax.make_jaxpr(probe)()
    return found[0]


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
    return isinstance(trace, _staging_type()) or getattr(trace, "staging", False)


def current_trace() -> Trace:
    with take_current_trace() as trace:
        return trace


def user_line() -> str:
    """`file:line (function)` of the innermost running frame of the user's code."""
    hidden = (jax.__path__[0], *_ENGINE)
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith(hidden):
            return f"{frame.filename}:{frame.lineno} ({frame.name})"
    return "unknown source line"
