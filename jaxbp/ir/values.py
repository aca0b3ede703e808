"""Values and their types: shapes, dtypes, weak types, what carries a tangent."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import ShapedArray, Tracer
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import primal_dtype_to_tangent_dtype, primitives
from jax.ref import AbstractRef
from jax.sharding import NamedSharding, PartitionSpec, SingleDeviceSharding

from .traces import current_trace, is_staging


class Hole:
    """A value known by its type alone: the primal side of a tangent being traced."""

    __slots__ = ("aval",)

    def __init__(self, aval):
        self.aval = aval

    def __repr__(self):
        return f"Hole({self.aval})"


def typeof(value) -> ShapedArray:
    """The abstract value (shape, dtype, weak type) of an array, tracer or `Hole`."""
    kind = type(value)
    if kind is Hole or isinstance(value, Tracer):
        return value.aval  # pyright: ignore[reportReturnType]
    # An array on one device: `jax.typeof` looks for meshes, which takes ten times as
    # long as all else that an eager derivative asks of it.
    if kind.__name__ == "ArrayImpl" and type(value.sharding) is SingleDeviceSharding:
        return value.aval
    return jax.typeof(value)


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


def is_ref(value) -> bool:
    """Whether a value is a mutable array (`jax.new_ref`)."""
    return isinstance(typeof(value), AbstractRef)


def content(ref) -> Any:
    """The type of what a mutable array holds."""
    aval: Any = typeof(ref)
    return aval.inner_aval


def varying(aval) -> frozenset:
    """The mesh axes along which a value inside `jax.shard_map` varies, if types say."""
    manual = getattr(aval, "mat", None)
    return frozenset() if manual is None else manual.varying


def zeros(aval):
    """An array of zeros of type `aval`: made only where a zero must be an array."""
    if aval.dtype == jax.dtypes.float0:
        return np.zeros(aval.shape, aval.dtype)
    return full(aval, 0)


@functools.lru_cache(maxsize=64)
def _number(dtype, weak_type, number):
    with jax.ensure_compile_time_eval():
        return full(ShapedArray((), dtype, weak_type=weak_type), number)


def one(aval):
    """The number 1 of type `aval`: made once where operations are run one by one."""
    if aval.shape or placed(aval) or is_staging(current_trace()):
        return full(aval, 1)
    return _number(aval.dtype, aval.weak_type, 1)


def full(aval, number):
    """An array of type `aval`, weak where that is, filled with `number`."""
    sharding = getattr(aval, "sharding", None)
    if sharding is not None and not sharding.mesh.empty:
        filled = jnp.full(aval.shape, number, aval.dtype, device=sharding)
        missing = varying(aval) - varying(jax.typeof(filled))
        return lax.pcast(filled, tuple(missing), to="varying")
    if aval.weak_type:  # a Python number fills with its own, weak, type
        python_number = aval.dtype.type(number).item()
        if jax.dtypes.result_type(python_number) == aval.dtype:
            return lax.full(aval.shape, python_number)
    if aval.shape:
        return lax.broadcast(np.asarray(number, aval.dtype), aval.shape)
    return lax.full((), number, aval.dtype)


def as_weak_as(value, aval):
    """`value` with the weak type of `aval`, if that has one: x_dot is like x."""
    if not aval.weak_type or typeof(value).weak_type:
        return value
    return primitives.convert_element_type_p.bind(
        value, new_dtype=np.dtype(aval.dtype), weak_type=True, sharding=None
    )


def struct(aval) -> jax.ShapeDtypeStruct:
    """A type as `jax.make_jaxpr` and `jax.eval_shape` take it."""
    if placed(aval):
        return aval
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type)


def array(value):
    """A number or numpy array as JAX's array, whose dtype and weakness it then has."""
    if isinstance(value, jax.Array) or typeof(value).dtype == jax.dtypes.float0:
        return value
    return jnp.asarray(value)


def is_tracer(value) -> bool:
    return isinstance(value, Tracer)


def is_batched(value) -> bool:
    """Whether it stands for many values, as arguments do within `jax.vmap`."""
    return isinstance(value, Tracer) and hasattr(value, "batch_dim")


def replicate(value, length: int):
    """`length` copies of `value` along a new leading axis."""
    return lax.broadcast(value, (length,))


def placed(aval) -> bool:
    """Whether a type speaks of a device mesh: then it is not a plain cache key."""
    sharding = getattr(aval, "sharding", None)
    return bool(sharding is not None and not sharding.mesh.empty) or bool(varying(aval))


def explicit_sharding(aval):
    """The sharding that a type names on a mesh with explicit axes, or None."""
    sharding = getattr(aval, "sharding", None)
    return sharding if sharding is not None and sharding.mesh.explicit_axes else None


def stacked_like(values, aval):
    """`values`, stacked along a first axis, each on the mesh as `aval` says."""
    if not placed(aval):
        return values
    place = explicit_sharding(aval)
    if place is not None:
        spec = PartitionSpec(None, *place.spec)
        values = jax.reshard(values, NamedSharding(place.mesh, spec))
    missing = varying(aval) - varying(jax.typeof(values))
    return lax.pcast(values, tuple(missing), to="varying") if missing else values


@jax.custom_jvp
def _behind(*values):
    return lax.optimization_barrier_p.bind(*values)


def _behind_jvp(primals, tangents):
    """JAX's own rule makes zero tangents arrays: what was held then seems to move."""
    moving = [i for i, t in enumerate(tangents) if type(t) is not SymbolicZero]
    moved = list(tangents)
    if moving:
        behind = lax.optimization_barrier_p.bind(*[tangents[i] for i in moving])
        for place, tangent in zip(moving, behind, strict=True):
            moved[place] = tangent
    return _behind(*primals), moved


_behind.defjvp(_behind_jvp, symbolic_zeros=True)


def barrier(values) -> list:
    """`values` behind an optimization barrier, each of its own type; None passes."""
    behind, groups = list(values), {}
    for place, value in enumerate(values):
        if value is not None:  # one barrier takes values that vary along the same axes
            groups.setdefault(varying(typeof(value)), []).append(place)
    for places in groups.values():
        found = _behind(*[values[i] for i in places])
        for place, value in zip(places, found, strict=True):
            behind[place] = value
    return behind


def nbytes(aval) -> int:
    """Bytes of an array of this type; 0 of what is no array."""
    dtype = getattr(aval, "dtype", None)
    return 0 if dtype is None else math.prod(aval.shape) * dtype.itemsize
