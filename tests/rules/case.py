"""One row of the table of cases, and the samplers that draw its arguments."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

REAL = ("float",)
BOTH = ("float", "complex")


class Case(NamedTuple):
    """What the driver needs to know of one use of one primitive.

    Fields:
      name: the primitive; it must occur in the program of `call`.
      call: function of arrays, to an array or a pytree of arrays.
      args: samplers, sampler(rng, dtype) -> array. Floating ones are differentiated.
      variant: tells rows of one primitive apart.
      dtypes: kinds of dtype to draw the floating arguments in: REAL or BOTH.
      rtol: agreement with JAX in float64, relative to the largest element; `reason`
        says why where it is not the default of a few roundings.
      differences: whether central differences can see the derivative; False where the
        call is not smooth at the point, or ends differently from its value (`reason`).
      order: up to which order to compare; 1 where JAX refuses the second.
      modes: "both", or "forward" where JAX itself has no reverse mode.
      jit: False where JAX itself refuses the call under jit.
      vmap: False where JAX itself refuses the call under vmap.
      since: the first JAX version that has the primitive, of the three supported.
      single: False where JAX itself has no 32-bit form of the call.
      reason: why any of the above is not the default.
    """

    name: str
    call: Callable
    args: tuple
    variant: str = ""
    dtypes: tuple = REAL
    rtol: float = 1e-12
    differences: bool = True
    order: int = 2
    modes: str = "both"
    jit: bool = True
    vmap: bool = True
    since: tuple = (0, 10, 2)
    single: bool = True
    reason: str = ""


def normal(*shape, scale=1.0):
    """Standard normal numbers times `scale`; complex ones in both parts."""

    def sample(rng, dtype):
        x = rng.normal(size=shape)
        if np.issubdtype(dtype, np.complexfloating):
            x = x + 1j * rng.normal(size=shape)
        return jnp.asarray(scale * x, dtype)

    return sample


def between(low, high, *shape):
    """Uniform numbers of the interval; complex ones with an imaginary part in it."""

    def sample(rng, dtype):
        x = rng.uniform(low, high, size=shape)
        if np.issubdtype(dtype, np.complexfloating):
            x = x + 1j * rng.uniform(low, high, size=shape)
        return jnp.asarray(x, dtype)

    return sample


def distinct(*shape, gap=0.25):
    """Numbers around 0 in random order, `gap` apart: no two tie."""

    def sample(rng, dtype):
        size = int(np.prod(shape))
        x = gap * (rng.permutation(size) - size / 2 + 0.3).reshape(shape)
        return jnp.asarray(x, dtype)

    return sample


def fixed(values, dtype=None):
    """Given numbers: of the row's dtype, or of `dtype` (integers, booleans)."""
    return lambda rng, row_dtype: jnp.asarray(values, dtype or row_dtype)


def draw(case: Case, dtype):
    """Arguments, and the places of those to differentiate."""
    rng = np.random.default_rng(7)
    args = tuple(sampler(rng, np.dtype(dtype)) for sampler in case.args)
    return args, tuple(i for i, x in enumerate(args) if floating(x))


def floating(x) -> bool:
    return jnp.issubdtype(jnp.result_type(x), np.inexact)


def seed(rng, x):
    """A random tangent or cotangent for an array: float0 for an integer."""
    if not floating(x):
        return np.zeros(np.shape(x), jax.dtypes.float0)
    return normal(*np.shape(x))(rng, jnp.result_type(x))


def primitive_names(jaxpr) -> set:
    """Names of all primitives of a program, inner programs included."""
    names = set()
    for eqn in jaxpr.eqns:
        names.add(eqn.primitive.name)
        for inner in jax.tree.leaves(list(eqn.params.values())):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                names |= primitive_names(inner)
    return names
