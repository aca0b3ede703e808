"""64-bit types that a context turned on for a part of a program.

`with jax.enable_x64(True):` around a few lines of a rule makes 64-bit values in a
program that has none elsewhere. JAX's functions, which the rules use, know types of 64
bits only within such a context, so that derivatives of those lines are put into one.
"""

import contextlib
from collections.abc import Callable

import jax
import numpy as np
from jax import lax
from jax.extend.core import primitives

from .programs import inner, inner_programs, once_per_program
from .values import typeof

_WIDE = frozenset(map(np.dtype, ("float64", "complex128", "int64", "uint64")))
_NOTHING = contextlib.nullcontext()


def x64() -> bool:
    """Whether 64-bit types are on, here."""
    return jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]


def in_precision(on: bool, function: Callable, *args):
    """`function(*args)` with 64-bit types on or off."""
    with jax.enable_x64(on):
        return function(*args)


def precision_of(program):
    """A context in which the equations of a closed program can be walked."""
    return jax.enable_x64(True) if not x64() and _is_wide(program) else _NOTHING


@once_per_program
def _is_wide(program) -> bool:
    return any(
        any(
            getattr(v.aval, "dtype", None) in _WIDE for v in (*eqn.invars, *eqn.outvars)
        )
        or any(map(_is_wide, inner_programs(eqn.params)))
        for eqn in inner(program)[0].eqns
    )


def cast(value, dtype):
    """`value` in another type, whatever types are on; of a complex one the real part.

    `lax.convert_element_type` warns where an imaginary part is lost. A derivative may
    lose it: the tangent of a real number is real.
    """
    dtype = np.dtype(dtype)
    if typeof(value).dtype == dtype:
        return value
    real = not np.issubdtype(dtype, np.complexfloating)
    if real and np.issubdtype(typeof(value).dtype, np.complexfloating):
        value = lax.real(value)
    return primitives.convert_element_type_p.bind(
        value, new_dtype=dtype, weak_type=False, sharding=None
    )
