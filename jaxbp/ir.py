"""JAX's program representation, seen through one door.

Everything that depends on how JAX spells traces, primitives, equations and inner
programs stands here, and only here; JAX versions differ in this file and nowhere else.
"""

import functools
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import ShapedArray, Trace, Tracer
from jax.extend import source_info_util
from jax.extend.core import (
    ClosedJaxpr,
    Literal,
    Primitive,
    primal_dtype_to_tangent_dtype,
    primitives,
    set_current_trace,
    take_current_trace,
)

__all__ = [
    "Hole",
    "Literal",
    "Primitive",
    "ShapedArray",
    "Trace",
    "Tracer",
    "array",
    "as_weak_as",
    "call_params",
    "closed",
    "current_trace",
    "custom_cotangents",
    "differentiable",
    "differentiable_dtype",
    "equation_context",
    "evaluate",
    "evaluate_program",
    "full",
    "inner",
    "is_staging",
    "is_tracer",
    "perturbed",
    "primitive",
    "read",
    "replay",
    "replicate",
    "saveable",
    "scan_counts",
    "set_current_trace",
    "source_line",
    "struct",
    "take_current_trace",
    "tangent_aval",
    "traced",
    "typeof",
    "user_line",
    "zeros",
]


# Primitives -----------------------------------------------------------------


def primitive(name: str) -> Primitive | None:
    """The JAX primitive called `name`, or None where this JAX has none.

    `jax.extend.core.primitives` exports most of them, `jax.lax` some of the rest.
    """
    found = getattr(primitives, f"{name}_p", None)
    return found if found is not None else getattr(lax, f"{name}_p", None)


# Values and types -----------------------------------------------------------


class Hole:
    """A value known by its type alone: the primal side of a tangent being traced."""

    __slots__ = ("aval",)

    def __init__(self, aval):
        self.aval = aval

    def __repr__(self):
        return f"Hole({self.aval})"


def typeof(value) -> ShapedArray:
    """The abstract value (shape, dtype, weak type) of an array, tracer or `Hole`."""
    return value.aval if type(value) is Hole else jax.typeof(value)


@functools.cache
def differentiable_dtype(dtype) -> bool:
    """Whether arrays of this dtype carry tangents other than float0."""
    return jnp.issubdtype(dtype, np.inexact)


def differentiable(aval) -> bool:
    """Whether values of this type carry tangents other than float0."""
    dtype = getattr(aval, "dtype", None)
    return dtype is not None and differentiable_dtype(dtype)


def tangent_aval(aval) -> ShapedArray:
    """The type of the tangents of a value: float0 for integers and booleans."""
    if hasattr(aval, "to_tangent_aval"):
        return aval.to_tangent_aval()
    return ShapedArray(aval.shape, primal_dtype_to_tangent_dtype(aval.dtype))


def zeros(aval):
    """An array of zeros of type `aval`: made only where a zero must be an array."""
    if aval.dtype == jax.dtypes.float0:
        return np.zeros(aval.shape, aval.dtype)
    return full(aval, 0)


def full(aval, number):
    """An array of type `aval`, weak where that is, filled with `number`."""
    sharding = getattr(aval, "sharding", None)
    if sharding is not None and not sharding.mesh.empty:
        return jnp.full(aval.shape, number, aval.dtype, device=sharding)
    if aval.weak_type:  # a Python number fills with its own, weak, type
        python_number = aval.dtype.type(number).item()
        if jax.dtypes.result_type(python_number) == aval.dtype:
            return lax.full(aval.shape, python_number)
    return lax.full(aval.shape, number, aval.dtype)


def as_weak_as(value, aval):
    """`value` with the weak type of `aval`, if that has one: x_dot is like x."""
    if not aval.weak_type or typeof(value).weak_type:
        return value
    return primitives.convert_element_type_p.bind(
        value, new_dtype=np.dtype(aval.dtype), weak_type=True, sharding=None
    )


def struct(aval) -> jax.ShapeDtypeStruct:
    """A type as `jax.make_jaxpr` and `jax.eval_shape` take it."""
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type)


def array(value):
    """A number or numpy array as JAX's array, whose dtype and weakness it then has."""
    if isinstance(value, jax.Array) or typeof(value).dtype == jax.dtypes.float0:
        return value
    return jnp.asarray(value)


def is_tracer(value) -> bool:
    return isinstance(value, Tracer)


# Traces ---------------------------------------------------------------------


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


# Equations and inner programs -----------------------------------------------


def inner(program) -> tuple[Any, Sequence]:
    """The equations of a closed program and its constants (one object from 0.12)."""
    return program.jaxpr, program.consts


def closed(jaxpr, consts=()):
    """An inner program with its constants (from 0.12 it holds them itself)."""
    return jaxpr if hasattr(jaxpr, "consts") else ClosedJaxpr(jaxpr, consts)


def evaluate_program(program, operands: Sequence) -> list:
    """The outputs of a closed inner program."""
    jaxpr, consts = inner(program)
    return jax.core.eval_jaxpr(jaxpr, consts, *operands)


def saveable(verdict) -> bool:
    """What a checkpoint policy says of a value: keep it, here or on the host."""
    return verdict is True or type(verdict).__name__ in ("SaveableType", "Offloadable")


def call_params(primitive: Primitive, params: dict) -> dict:
    """Parameters as `bind` takes them, from those an equation stores."""
    found = primitive.get_bind_params(params)
    return found[-1] if isinstance(found, tuple) else found


def custom_cotangents(bwd, operands: Sequence) -> Sequence:
    """What a custom backward function gives; from 0.11 it adds a log."""
    call = getattr(bwd, "call_wrapped", bwd)  # plain where it takes accumulators
    found = call(*operands)
    logged = isinstance(found, tuple) and len(found) == 2
    return found[0] if logged and isinstance(found[0], (list, tuple)) else found


def read(env: dict, atom) -> tuple:
    """(value, dot) of an equation's operand."""
    return (atom.val, None) if isinstance(atom, Literal) else env[atom]


def equation_context(eqn):
    """The context (mesh, compute type, metadata) in which `eqn` was traced."""
    return eqn.ctx.manager


def scan_counts(params: dict) -> tuple[int, int]:
    """How many operands of a scan are constants, and how many are carried."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    consts, carry, _ = params["ft_in"].unpack()  # from 0.11
    return len(consts), len(carry)


def source_line(eqn) -> str:
    """`file:line (function)` of the user's code that made `eqn`."""
    return source_info_util.summarize(eqn.source_info) or user_line()


def user_line() -> str:
    """`file:line (function)` of the innermost running frame of the user's code."""
    hidden = (jax.__path__[0], __file__.rpartition("ir.py")[0])
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith(hidden):
            return f"{frame.filename}:{frame.lineno} ({frame.name})"
    return "unknown source line"


def evaluate(primitive: Primitive, values: Sequence, params: dict) -> list:
    """The outputs of one primitive; `Hole`s where an operand is a `Hole`."""
    if any(type(v) is Hole for v in values):
        out, _ = primitive.abstract_eval(*map(typeof, values), **params)
        return [Hole(a) for a in out] if primitive.multiple_results else [Hole(out)]
    out = primitive.bind(*values, **params)
    return list(out) if primitive.multiple_results else [out]


# Small functions, traced once -----------------------------------------------


def _flatten(jaxpr, consts, operands, steps, env):
    """Appends the equations of `jaxpr` to `steps`, inner jits inlined."""
    env.update(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, operands, strict=True))

    def read(atom):
        return atom.val if isinstance(atom, Literal) else env[atom]

    for eqn in jaxpr.eqns:
        operands = [read(a) for a in eqn.invars]
        if eqn.primitive.name == "jit":
            body, body_consts = inner(eqn.params["jaxpr"])
            outs = _flatten(body, body_consts, operands, steps, {})
        else:
            outs = [_Slot() for _ in eqn.outvars]
            bound = functools.partial(
                eqn.primitive.bind, **call_params(eqn.primitive, eqn.params)
            )
            steps.append((bound, eqn.primitive.multiple_results, operands, outs))
        env.update(zip(eqn.outvars, outs, strict=True))
    return [read(a) for a in jaxpr.outvars]


class _Slot:
    """A place for an intermediate value of a replayed program."""

    __slots__ = ()


class _Program:
    """A small function of arrays as a list of bound primitives.

    The Python operators of `jax.numpy` cost several times what binding the primitive
    costs; a slope is therefore traced once per type and replayed.
    """

    def __init__(self, fun, avals):
        structs = [struct(a) for a in avals]
        with jax.numpy_rank_promotion("allow"):
            closed, out = jax.make_jaxpr(fun, return_shape=True)(*structs)
        jaxpr, consts = inner(closed)
        self.inputs = [_Slot() for _ in jaxpr.invars]
        self.steps = []
        self.outputs = _flatten(jaxpr, consts, self.inputs, self.steps, {})
        self.out_tree = jax.tree.structure(out)

    def __call__(self, *arrays):
        env = dict(zip(self.inputs, arrays, strict=True))
        for bound, multiple, operands, outs in self.steps:
            result = bound(*[env[o] if type(o) is _Slot else o for o in operands])
            if multiple:
                env.update(zip(outs, result, strict=True))
            else:
                env[outs[0]] = result
        found = [env[o] if type(o) is _Slot else o for o in self.outputs]
        return self.out_tree.unflatten(found)


@functools.lru_cache(maxsize=4096)
def _program(fun, static, avals, x64):
    return _Program(functools.partial(fun, *static), avals)


@functools.lru_cache(maxsize=4096)
def _compiled(fun, static):
    return jax.jit(functools.partial(fun, *static))


def replay(fun: Callable, static: tuple, *arrays):
    """`fun(*static, *arrays)`, traced once per type of the arrays.

    Args:
      fun: a function at module level, made of a few array operations.
      static: hashable leading arguments, part of the cache key.
      *arrays: arrays or tracers.

    Cost: on concrete arrays one compiled call; on tracers one `bind` an operation.
    """
    if not any(isinstance(a, Tracer) for a in arrays):
        return _compiled(fun, static)(*arrays)
    avals = tuple(jax.typeof(a) for a in arrays)
    if any(_placed(a) for a in avals):
        return fun(*static, *arrays)
    return _program(fun, static, avals, jax.config.jax_enable_x64)(*arrays)  # pyright: ignore


def _placed(aval) -> bool:
    """Whether a type speaks of a device mesh: then it is not a plain cache key."""
    sharding = getattr(aval, "sharding", None)
    return bool(sharding is not None and not sharding.mesh.empty) or bool(
        getattr(aval, "vma", None)
    )


def traced(fun: Callable, params, avals: tuple):
    """The program of `fun(*arrays, **params)`, traced once per type of the arrays."""
    if any(_placed(a) for a in avals):
        return _trace(fun, params, avals)
    return _traced(fun, params, avals, jax.config.jax_enable_x64)  # pyright: ignore


def _trace(fun, params, avals):
    with jax.numpy_rank_promotion("allow"):
        return jax.make_jaxpr(functools.partial(fun, **params))(*avals)


@functools.lru_cache(maxsize=1024)
def _traced(fun, params, avals, x64):
    return _trace(fun, params, avals)


def replicate(value, length: int):
    """`length` copies of `value` along a new leading axis."""
    return lax.broadcast(value, (length,))
