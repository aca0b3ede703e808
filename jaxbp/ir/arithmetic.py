"""Python's operators on tracers, without the detour through `jax.numpy`.

`x * y` on a tracer of JAX's calls the jitted `jnp.multiply`, which looks for promotion
and broadcasting and is then walked as a program of its own. Where both operands have
one type, or one is a Python number, it is the one primitive that the operator means.
"""

from collections.abc import Callable

import jax
from jax import lax
from jax.core import Tracer

from .values import differentiable_dtype, typeof

_LARGEST = 3e4  # a number that no floating type overflows at


def _partner(x, other):
    """`other` as an operand beside `x`, or None where `jax.numpy` must see it."""
    aval = x.aval
    if getattr(aval, "weak_type", True) or not differentiable_dtype(aval.dtype):
        return None
    if type(other) is float or type(other) is int:
        return aval.dtype.type(other) if abs(other) < _LARGEST else None
    if not isinstance(other, jax.Array):
        return None
    found = typeof(other)
    same = found.shape == aval.shape and found.dtype == aval.dtype
    return other if same and not found.weak_type else None


def _operator(name: str, function: Callable, swapped: bool = False) -> Callable:
    general = getattr(Tracer, name)

    def operator(self, other):
        partner = _partner(self, other)
        if partner is None:
            return general(self, other)
        return function(partner, self) if swapped else function(self, partner)

    operator.__name__ = name
    return operator


class Arithmetic:
    """+, -, * and / of a tracer of floating type, by their primitives."""

    __slots__ = ()

    __add__ = _operator("__add__", lax.add)
    __radd__ = _operator("__radd__", lax.add, swapped=True)
    __sub__ = _operator("__sub__", lax.sub)
    __rsub__ = _operator("__rsub__", lax.sub, swapped=True)
    __mul__ = _operator("__mul__", lax.mul)
    __rmul__ = _operator("__rmul__", lax.mul, swapped=True)
    __truediv__ = _operator("__truediv__", lax.div)
    __rtruediv__ = _operator("__rtruediv__", lax.div, swapped=True)
