"""The coarsest floating dtype between a leaf and the output.

A float32 program may compute in bfloat16 inside, a float64 attention its softmax in
float32. Rounding, steps and tolerances follow the coarsest, not the leaf's own.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import ir
from .closeness import epsilon

BY_BITS = ((7, jnp.bfloat16), (10, jnp.float16), (23, jnp.float32), (52, jnp.float64))
CALLS = ("jit", "pjit", "closed_call", "core_call", "remat2", "checkpoint")
CUSTOM = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")
SHARED = (*CUSTOM, "stop_gradient")  # what may make all rules wrong alike


def coarsest(subject):
    """(dtypes, reaches): one of each for each differentiable leaf of `subject`.

    The dtype is the coarser of the leaf's own and the outputs' if f needs its values.
    A leaf reaches an output if one is computed from it by floating numbers.
    """
    own = [np.dtype(x.dtype) for x in subject.x]
    outputs = [np.dtype(y.dtype) for y in subject.y]
    if subject.program is None:
        return [max([d, *outputs], key=epsilon) for d in own], [True] * len(own)
    start = np.diag([epsilon(dtype) for dtype in own])
    reached = _walk(subject.program.jaxpr, list(start))
    found = np.max(reached, axis=0, initial=0.0)
    pairs = zip(own, found, strict=True)
    dtypes = [_dtype(eps) if eps > epsilon(dtype) else dtype for dtype, eps in pairs]
    return dtypes, [bool(eps) for eps in found]


def holds(program, names):
    """Whether a program, or one inside it, holds any of the primitives; true if there
    is none, as f needs its values."""
    if program is None:
        return True
    return any(e.primitive.name in names for e in ir.every_equation(program.jaxpr))


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
    outs = (v.aval for e in ir.every_equation(jaxpr) for v in e.outvars)
    return max((epsilon(a.dtype) for a in outs if _floating(a)), default=0.0)


def _floating(aval):
    return hasattr(aval, "dtype") and jnp.issubdtype(aval.dtype, jnp.inexact)


def _dtype(eps):
    """The dtype with about that spacing; float8 counts as bfloat16 does."""
    bits = -np.log2(eps)
    return next(np.dtype(dtype) for most, dtype in BY_BITS if bits <= most)
