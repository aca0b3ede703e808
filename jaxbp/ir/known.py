"""Integers that follow from constants alone, though they are traced.

An index array that a program writes out, or computes from such, is a tracer under
`jax.jit`. What it holds can be worked out once, when tracing: which update of a place
stays, what is read twice, from where a cotangent is to be had.

JAX's tracers say what made them (`parent`, `get_const`); of one that does not, nothing
is known.
"""

from collections.abc import Sequence

import numpy as np

from .programs import evaluate_by
from .values import is_tracer, typeof

MOST = 1 << 14  # numbers of an array that is worked out
DEPTH = 24  # operations since the constants


def known(value) -> np.ndarray | None:
    """The integers or booleans in `value`; None where they are many, or not known."""
    try:
        with np.errstate(all="ignore"):
            return _known(value, DEPTH)
    except _Unknown:
        return None


class _Unknown(Exception):
    """A number, or an operation, that is not worked out."""


def _known(value, depth: int) -> np.ndarray:
    aval = typeof(value)
    dtype = getattr(aval, "dtype", None)
    if getattr(dtype, "kind", "") not in ("i", "u", "b") or aval.size > MOST:
        raise _Unknown
    if not is_tracer(value):
        if not getattr(value, "is_fully_addressable", True):
            raise _Unknown
        return np.asarray(value, dtype)
    const = getattr(value, "get_const", lambda: None)()
    if const is not None:
        return _known(const, 0)
    made = getattr(value, "parent", None)
    if made is None or depth == 0:
        raise _Unknown
    operands = [_known(operand, depth - 1) for operand in made.in_tracers]
    return _computed(made, operands)[0]


def _computed(made, operands: Sequence) -> list[np.ndarray]:
    """The one output of an equation."""
    if len(made.outvars) != 1:
        raise _Unknown
    name, aval = made.primitive.name, made.outvars[0].aval
    if getattr(aval.dtype, "kind", "") not in ("i", "u", "b") or aval.size > MOST:
        raise _Unknown
    if name == "jit":
        return evaluate_by(_computed, made.params["jaxpr"], operands)
    if name not in _BY_NUMPY:
        raise _Unknown
    return [np.asarray(_BY_NUMPY[name](*operands, **made.params), aval.dtype)]


def _plain(function):
    return lambda *operands, **params: function(*operands)


def _broadcast(x, *sizes, shape, broadcast_dimensions, **params):
    if sizes:
        raise _Unknown
    wide = [1] * len(shape)
    for axis, n in zip(broadcast_dimensions, np.shape(x), strict=True):
        wide[axis] = n
    return np.broadcast_to(np.reshape(x, wide), shape)


def _iota(*sizes, dtype, shape, dimension, **params):
    if sizes:
        raise _Unknown
    wide = [1] * len(shape)
    wide[dimension] = shape[dimension]
    return np.broadcast_to(np.arange(shape[dimension]).reshape(wide), shape)


def _reshape(x, *sizes, new_sizes, dimensions, **params):
    if sizes or dimensions is not None:
        raise _Unknown
    return np.reshape(x, new_sizes)


def _slice(x, *, start_indices, limit_indices, strides, **params):
    steps = strides or [1] * np.ndim(x)
    return x[tuple(map(slice, start_indices, limit_indices, steps))]


def _select(which, *cases, **params):
    return np.choose(which.astype(np.int64), cases)


_BY_NUMPY = {
    "add": _plain(np.add),
    "sub": _plain(np.subtract),
    "mul": _plain(np.multiply),
    "neg": _plain(np.negative),
    "max": _plain(np.maximum),
    "min": _plain(np.minimum),
    "lt": _plain(np.less),
    "le": _plain(np.less_equal),
    "gt": _plain(np.greater),
    "ge": _plain(np.greater_equal),
    "eq": _plain(np.equal),
    "ne": _plain(np.not_equal),
    "and": _plain(np.bitwise_and),
    "or": _plain(np.bitwise_or),
    "xor": _plain(np.bitwise_xor),
    "not": _plain(np.invert),
    "clamp": _plain(lambda low, x, high: np.minimum(np.maximum(x, low), high)),
    "convert_element_type": _plain(np.asarray),
    "copy": _plain(np.asarray),
    "select_n": _select,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": lambda x, *, dimensions, **params: np.squeeze(x, dimensions),
    "concatenate": lambda *xs, dimension, **params: np.concatenate(xs, dimension),
    "transpose": lambda x, *, permutation, **params: np.transpose(x, permutation),
    "rev": lambda x, *, dimensions, **params: np.flip(x, dimensions),
    "slice": _slice,
    "iota": _iota,
}
