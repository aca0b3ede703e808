"""Jacobians and Hessians, and products with the Hessian."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax

from .. import tree
from . import doors
from .gradients import grad
from .products import jvp, vjp


def jacfwd(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable:
    """A function that gives the Jacobian, column by column (forward mode).

    Args:
      fun: a function of arrays or pytrees of them.
      argnums: which positional arguments to differentiate.
      has_aux: `fun` returns (output, aux).
      holomorphic: `fun` is holomorphic.

    Returns:
      A function that gives the Jacobian: per output leaf and input leaf an array of
      shape (*output, *input); with has_aux=True (Jacobian, aux).

    Cost: n pushforwards for n inputs, batched by vmap.
    """
    doors.check_callable(fun)

    @functools.wraps(fun, assigned=("__name__", "__qualname__", "__module__"))
    def jacfwd_of(*args, **kwargs):
        places = doors.places_of(argnums, args, fun)
        chosen = tuple(args[i] for i in places)
        for name, leaf in tree.named_leaves("args", chosen):
            doors.check_input(name, leaf, holomorphic, False, "jacfwd")

        def partial(*given):
            return fun(*doors.merged(args, places, given), **kwargs)

        def push(seeds):
            return jvp(partial, chosen, seeds, has_aux)

        axes = (None, -1, None) if has_aux else (None, -1)
        found = jax.vmap(push, out_axes=axes)(tree.basis(chosen))
        y, columns, aux = found if has_aux else (*found, None)
        for name, leaf in tree.named_leaves("output", y):
            if holomorphic:
                doors.check_output(name, leaf, holomorphic, "jacfwd")
        wanted = chosen[0] if isinstance(argnums, int) else chosen
        jacobian = jax.tree.map(lambda c: tree.split_axis(c, wanted, -1), columns)
        return (jacobian, aux) if has_aux else jacobian

    return jacfwd_of


def jacrev(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable:
    """A function that gives the Jacobian, row by row (reverse mode).

    Args and returns: as `jacfwd`.

    Cost: one evaluation and m pullbacks for m outputs, batched by vmap.
    """
    doors.check_callable(fun)

    @functools.wraps(fun, assigned=("__name__", "__qualname__", "__module__"))
    def jacrev_of(*args, **kwargs):
        places = doors.places_of(argnums, args, fun)
        chosen = tuple(args[i] for i in places)
        for name, leaf in tree.named_leaves("args", chosen):
            doors.check_input(name, leaf, holomorphic, allow_int, "jacrev")

        def partial(*given):
            return fun(*doors.merged(args, places, given), **kwargs)

        y, pullback, *aux = vjp(partial, *chosen, has_aux=has_aux)
        for name, leaf in tree.named_leaves("output", y):
            doors.check_output(name, leaf, holomorphic, "jacrev")
        rows = jax.vmap(pullback)(tree.basis(y))
        rows = rows[0] if isinstance(argnums, int) else rows
        by_input = jax.tree.map(lambda r: tree.split_axis(r, y, 0), rows)
        wanted = chosen[0] if isinstance(argnums, int) else chosen
        jacobian = jax.tree.transpose(
            jax.tree.structure(wanted), jax.tree.structure(y), by_input
        )
        return (jacobian, aux[0]) if has_aux else jacobian

    return jacrev_of


jacobian = jacrev


def hessian(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable:
    """A function that gives the Hessian: forward mode over reverse mode.

    Cost: n pushforwards of the gradient for n inputs.
    """
    rows = jacrev(fun, argnums, has_aux, holomorphic)
    return jacfwd(rows, argnums, has_aux, holomorphic)


def hvp(fun: Callable, primals: Sequence, tangents: Sequence, has_aux: bool = False):
    """Hessian times vector, without the Hessian: forward mode over reverse mode.

    Args:
      fun: scalar-valued.
      primals: tuple of arguments: the point.
      tangents: the vector, same structure.
      has_aux: `fun` returns (value, aux).

    Returns:
      The product: like the one primal, or a tuple with one entry per primal; with
      has_aux=True (product, aux).

    Cost: about twice a gradient.
    Source: Pearlmutter 1994, doi:10.1162/neco.1994.6.1.147.
    """
    argnums: Any = 0 if len(primals) == 1 else tuple(range(len(primals)))
    found = jvp(grad(fun, argnums, has_aux), primals, tangents, has_aux)
    return found[1:] if has_aux else found[1]
