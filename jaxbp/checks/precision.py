"""The coarsest floating dtype between a leaf and the output.

A float32 program may compute in bfloat16 inside, a float64 attention its softmax in
float32. Rounding, steps and tolerances follow the coarsest, not the leaf's own.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import ir
from .closeness import epsilon
from .eager import NEEDS_VALUES

BY_BITS = ((7, jnp.bfloat16), (10, jnp.float16), (23, jnp.float32), (52, jnp.float64))
CALLS = ("jit", "pjit", "closed_call", "core_call", "remat2", "checkpoint")
CUSTOM = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")


def program_of(subject):
    """The program of a subject's floating outputs; None if it needs its values."""
    try:
        return jax.make_jaxpr(subject.outputs)(*subject.device(subject.x))
    except NEEDS_VALUES:
        return None


def coarsest(subject, program):
    """One dtype for each differentiable leaf of `subject`.

    Args:
      program: what `program_of` gives. Without one the coarser of the leaf's dtype and
        the outputs' is taken.
    """
    own = [np.dtype(x.dtype) for x in subject.x]
    outputs = [np.dtype(y.dtype) for y in subject.y]
    if program is None:
        return [max([dtype, *outputs], key=epsilon) for dtype in own]
    start = np.diag([epsilon(dtype) for dtype in own])
    reached = _walk(program.jaxpr, list(start))
    found = np.max(reached, axis=0, initial=0.0)
    pairs = zip(own, found, strict=True)
    return [_dtype(eps) if eps > epsilon(dtype) else dtype for dtype, eps in pairs]


def has_custom_rules(program):
    """Whether a program calls functions with rules of their own, which all systems of
    differentiation share: only values can speak against these. True if unknown."""
    return program is None or _calls_custom(program.jaxpr)


def _calls_custom(jaxpr):
    return any(
        equation.primitive.name in CUSTOM
        or any(_calls_custom(p.jaxpr) for p in ir.inner_programs(equation.params))
        for equation in jaxpr.eqns
    )


def _walk(jaxpr, given) -> list[Any]:
    """The rows of the outputs: (leaves,) coarsest epsilon by leaf, 0 if unreached."""
    nothing = np.zeros_like(given[0])
    rows: dict = dict(zip(jaxpr.invars, given, strict=True))
    read = lambda v: nothing if isinstance(v, ir.Literal) else rows.get(v, nothing)  # noqa: E731
    for equation in jaxpr.eqns:
        inputs = [read(v) for v in equation.invars]
        if not np.any(inputs):
            continue
        outs = _equation(equation, inputs)
        for var, row in zip(equation.outvars, outs, strict=True):
            if _floating(var.aval) and row.any():
                own = epsilon(var.aval.dtype)
                rows[var] = np.where(row > 0, np.maximum(row, own), 0.0)
    return [read(v) for v in jaxpr.outvars]


def _equation(equation, inputs):
    """The rows of an equation's outputs before their own dtype is counted."""
    name, params = equation.primitive.name, equation.params
    programs = ir.inner_programs(params)
    if name in CALLS + CUSTOM and programs:
        inner = programs[0].jaxpr
        if len(inner.invars) == len(inputs):
            return _walk(inner, inputs)
    row = np.max(inputs, axis=0)
    if name == "reduce_precision":
        row = np.where(row > 0, np.maximum(row, 2.0 ** -params["mantissa_bits"]), 0.0)
    inside = max((_coarsest_inside(p.jaxpr) for p in programs), default=0.0)
    return [np.where(row > 0, np.maximum(row, inside), 0.0)] * len(equation.outvars)


def _coarsest_inside(jaxpr):
    """The coarsest epsilon anywhere in a loop or a branch."""
    found = 0.0
    for equation in jaxpr.eqns:
        own = [epsilon(v.aval.dtype) for v in equation.outvars if _floating(v.aval)]
        inner = [_coarsest_inside(p.jaxpr) for p in ir.inner_programs(equation.params)]
        found = max([found, *own, *inner])
    return found


def _floating(aval):
    return hasattr(aval, "dtype") and jnp.issubdtype(aval.dtype, jnp.inexact)


def _dtype(eps):
    """The dtype with about that spacing; float8 counts as bfloat16 does."""
    bits = -np.log2(eps)
    return next(np.dtype(dtype) for most, dtype in BY_BITS if bits <= most)
