"""Evaluates a traced program equation by equation, compiling almost nothing.

A random program runs once: compiling it costs a thousand times what running it does.
Here the control flow is Python's, the commonest operations are numpy's, and the rest
are JAX's own, each compiled once per type. Both sides of a comparison run this way.

With `rounding` every arithmetic operation is perturbed by as much as it may round: the
spread of several such runs is what rounding makes of a program (D. S. Parker, Monte
Carlo Arithmetic, 1997). With WIDE in its place all runs in 64-bit, whatever the types:
a program of float32 beside itself in 64-bit shows what its precision costs it.
"""

import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from jaxbp import ir
from tests.fuzz import kernels

PROGRAMS = ("jaxpr", "call_jaxpr", "fun_jaxpr")  # what a call names its inner program
CALLS = ("jit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call")
REMAT = ("checkpoint", "remat", "remat2")
WIDE = "64-bit"


def evaluate(program, operands, rounding=None):
    """The outputs of a closed program as numpy arrays.

    Args:
      program: what `jax.make_jaxpr` gives.
      operands: its flat arguments.
      rounding: a numpy generator that perturbs each operation, WIDE, or None.
    """
    jaxpr, consts = ir.inner(program)
    return _run(jaxpr, consts, [_host(x, rounding) for x in operands], rounding)


def _run(jaxpr, consts, operands, rounding):
    held = [_host(const, rounding) for const in consts]
    env = dict(zip(jaxpr.constvars, held, strict=True))
    env.update(zip(jaxpr.invars, operands, strict=True))

    def read(atom):
        return _host(atom.val, rounding) if isinstance(atom, Literal) else env[atom]

    for eqn in jaxpr.eqns:
        values = [read(atom) for atom in eqn.invars]
        outs = _equation(eqn, values, rounding)
        for var, out in zip(eqn.outvars, outs, strict=True):
            assert out.shape == var.aval.shape, eqn
            assert out.dtype == _type(var.aval, rounding).dtype, eqn
            env[var] = out
    return [read(atom) for atom in jaxpr.outvars]


def _host(value, rounding=None):
    value = value if isinstance(value, np.ndarray) else np.asarray(value)
    return value.astype(_wide(value.dtype)) if rounding is WIDE else value


def _type(aval, rounding):
    return aval.update(dtype=_wide(aval.dtype)) if rounding is WIDE else aval


def _wide(dtype):
    if jnp.issubdtype(dtype, np.complexfloating):
        return np.dtype(np.complex128)
    return np.dtype(np.float64) if jnp.issubdtype(dtype, np.floating) else dtype


def _widened(params):
    """The parameters of an operation, with 64-bit types in place of others."""
    return {k: _wide(v) if isinstance(v, np.dtype) else v for k, v in params.items()}


def _equation(eqn, values, rounding):
    name = eqn.primitive.name
    if name in FLOW:
        return FLOW[name](eqn.params, values, rounding)
    params = _widened(eqn.params) if rounding is WIDE else eqn.params
    noisy = rounding not in (None, WIDE) and name not in kernels.EXACT
    if noisy:
        whole = kernels.WHOLE.get(name)
        pairs = enumerate(values)
        values = [np.rint(v) if i == whole else _rounded(v, rounding) for i, v in pairs]
    kernel = kernels.TABLE.get(name)
    if kernel is not None:
        aval = _type(eqn.outvars[0].aval, rounding)
        outs = [np.asarray(kernel(aval, *values, **params))]
    else:
        params = ir.call_params(eqn.primitive, params)
        outs = eqn.primitive.bind(*map(jnp.asarray, values), **params)
        outs = list(map(np.asarray, outs if eqn.primitive.multiple_results else [outs]))
    return [_rounded(y, rounding) for y in outs] if noisy else outs


def _rounded(value, rounding):
    """`value` moved by up to one unit of its last place, zeros kept."""
    if not jnp.issubdtype(value.dtype, np.inexact):
        return value
    shift = rounding.uniform(-1, 1, value.shape) * float(jnp.finfo(value.dtype).eps)
    return np.asarray(value * (1 + shift), value.dtype)


# Programs inside ------------------------------------------------------------------


def _inner(program, operands, rounding):
    jaxpr, consts = ir.inner(program) if hasattr(program, "consts") else (program, ())
    return _run(jaxpr, consts, operands, rounding)


def _call(params, values, rounding):
    program = next(params[key] for key in PROGRAMS if key in params)
    return _inner(program, values, rounding)


def _cond(params, values, rounding):
    index, *operands = values
    branches = params["branches"]
    place = int(np.clip(int(index), 0, len(branches) - 1))
    return _inner(branches[place], operands, rounding)


def _while(params, values, rounding):
    first = params["cond_nconsts"]
    last = first + params["body_nconsts"]
    carry = values[last:]
    while _inner(params["cond_jaxpr"], [*values[:first], *carry], rounding)[0]:
        carry = _inner(params["body_jaxpr"], [*values[first:last], *carry], rounding)
    return carry


def _scan(params, values, rounding):
    consts, count = ir.scan_counts(params)
    held, carry = values[:consts], values[consts : consts + count]
    columns = values[consts + count :]
    steps = range(params["length"])
    stacked = {}
    for step in reversed(steps) if params["reverse"] else steps:
        operands = [*held, *carry, *[column[step] for column in columns]]
        outs = _inner(params["jaxpr"], list(map(_host, operands)), rounding)
        carry, stacked[step] = outs[:count], outs[count:]
    avals = ir.inner(params["jaxpr"])[0].outvars[count:]
    whole = [
        np.stack([stacked[s][i] for s in steps])
        if steps
        else np.zeros((0, *var.aval.shape), var.aval.dtype)
        for i, var in enumerate(avals)
    ]
    return [*carry, *whole]


def _split(params, values, rounding):
    places = np.cumsum(params["sizes"])[:-1]
    return np.split(values[0], places, params["axis"])


FLOW = {
    **dict.fromkeys((*CALLS, *REMAT), _call),
    "cond": _cond,
    "optimization_barrier": lambda params, values, rounding: values,
    "split": _split,
    "while": _while,
    "scan": _scan,
}
