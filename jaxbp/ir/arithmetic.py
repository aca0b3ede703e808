"""Python's operators on tracers, without the detour through `jax.numpy`.

`x * y` on a tracer of JAX's calls the jitted `jnp.multiply`, which looks for promotion
and broadcasting and is then walked as a program of its own. Where both operands have
one type but for their shapes, or one is a Python number, it is the one primitive that
the operator means.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax import lax
from jax.core import Tracer

from .values import differentiable_dtype, placed, typeof

_LARGEST = 3e4  # a number that no floating type overflows at


def _is_plain(aval) -> bool:
    """Whether a type is floating and strong: its operators promote nothing."""
    return not getattr(aval, "weak_type", True) and differentiable_dtype(aval.dtype)


def _pair(x, other) -> tuple | None:
    """Both operands as primitives take them; None where `jax.numpy` must see them."""
    aval = x.aval
    if not _is_plain(aval):
        return None
    if type(other) is float or type(other) is int:
        return (x, aval.dtype.type(other)) if abs(other) < _LARGEST else None
    if not isinstance(other, jax.Array):
        return None
    found = typeof(other)
    if found.dtype != aval.dtype or found.weak_type:
        return None
    if found.shape == aval.shape:
        return x, other
    if placed(aval) or placed(found) or not _broadcast(aval.shape, found.shape):
        return None
    rank, other_rank = len(aval.shape), len(found.shape)
    if rank == other_rank or not rank or not other_rank:
        return x, other
    if not _any_ranks():
        return None
    most = max(rank, other_rank)
    return lax.broadcast_to_rank(x, most), lax.broadcast_to_rank(other, most)


def _any_ranks() -> bool:
    return jax.config.jax_numpy_rank_promotion == "allow"  # pyright: ignore


@functools.lru_cache(maxsize=1024)
def _broadcast(shape: tuple, other: tuple) -> bool:
    """Whether two shapes can be broadcast to one."""
    pairs = zip(reversed(shape), reversed(other), strict=False)
    return all(m == n or m == 1 or n == 1 for m, n in pairs)


def _operator(name: str, function: Callable, swapped: bool = False) -> Callable:
    general = getattr(Tracer, name)

    def operator(self, other):
        pair = _pair(self, other)
        if pair is None:
            return general(self, other)
        return function(*pair[::-1]) if swapped else function(*pair)

    operator.__name__ = name
    return operator


def _matmul(x, other):
    """A product of matrices and vectors, or None where `jax.numpy` must see it."""
    if not _is_plain(x.aval) or not isinstance(other, jax.Array):
        return None
    aval, found = x.aval, typeof(other)
    rank = len(aval.shape)
    if found.dtype != aval.dtype or found.weak_type or placed(aval) or placed(found):
        return None
    if {rank, len(found.shape)} - {1, 2} or aval.shape[-1] != found.shape[0]:
        return None
    axes = ((rank - 1,), (0,)), ((), ())
    return lax.dot_general(x, other, axes, preferred_element_type=aval.dtype)


class Arithmetic:
    """Operators of a tracer of floating type, by their primitives."""

    __slots__ = ()

    __add__ = _operator("__add__", lax.add)
    __radd__ = _operator("__radd__", lax.add, swapped=True)
    __sub__ = _operator("__sub__", lax.sub)
    __rsub__ = _operator("__rsub__", lax.sub, swapped=True)
    __mul__ = _operator("__mul__", lax.mul)
    __rmul__ = _operator("__rmul__", lax.mul, swapped=True)
    __truediv__ = _operator("__truediv__", lax.div)
    __rtruediv__ = _operator("__rtruediv__", lax.div, swapped=True)

    def __neg__(self):
        x: Any = self
        return lax.neg(x) if _is_plain(x.aval) else Tracer.__neg__(x)

    def __pow__(self, other):
        x: Any = self
        if type(other) is int and _is_plain(x.aval):
            return lax.integer_pow(x, other)
        return Tracer.__pow__(x, other)

    def __matmul__(self, other):
        x: Any = self
        found = _matmul(x, other)
        return Tracer.__matmul__(x, other) if found is None else found
