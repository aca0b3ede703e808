"""The coarsest floating dtype between a leaf and the output.

A float32 program may compute in bfloat16 inside, a float64 attention its softmax in
float32. Rounding, steps and tolerances follow the coarsest, not the leaf's own.
"""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import ir
from .closeness import epsilon
from .flow import CUSTOM
from .reach import followed

BY_BITS = ((7, jnp.bfloat16), (10, jnp.float16), (23, jnp.float32), (52, jnp.float64))
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
    nothing = np.zeros(len(own))
    reached = followed(subject.program.jaxpr, list(start), nothing, _through)
    found = functools.reduce(np.maximum, reached, nothing)
    pairs = zip(own, found, strict=True)
    dtypes = [_dtype(eps) if eps > epsilon(dtype) else dtype for dtype, eps in pairs]
    return dtypes, [bool(eps) for eps in found]


def holds(program, names):
    """Whether a program, or one inside it, holds any of the primitives; true if there
    is none, as f needs its values."""
    if program is None:
        return True
    return any(e.primitive.name in names for e in ir.every_equation(program.jaxpr))


def _through(equation, inputs) -> list[Any]:
    """Rows (leaves,) of the coarsest epsilon by leaf, 0 if it does not reach so far:
    of an equation's outputs, given those of its inputs."""
    params = equation.params
    programs = ir.inner_programs(params)
    row = functools.reduce(np.maximum, inputs, 0.0)  # of none a number
    inside = max((_coarsest_inside(p.jaxpr) for p in programs), default=0.0)
    if equation.primitive.name == "reduce_precision":
        inside = 2.0 ** -params["mantissa_bits"]
    avals = [var.aval for var in equation.outvars]
    least = [max(inside, epsilon(a.dtype)) if _floating(a) else np.inf for a in avals]
    return [
        np.where((row > 0) & (eps < np.inf), np.maximum(row, eps), 0.0) for eps in least
    ]


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
