"""Gradients of scalar functions, by reverse mode."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from .. import ir, tree
from ..errors import DtypeMismatch, ShapeMismatch
from . import doors
from .linearize import linearize_flat


def value_and_grad(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence = (),
) -> Callable:
    """A function that gives the value of `fun` and its gradient.

    Args:
      fun: scalar-valued.
      argnums: which positional arguments to differentiate; they must be floating (or
        complex, with holomorphic=True) or pytrees of such arrays.
      has_aux: `fun` returns (value, aux).
      holomorphic: `fun` is holomorphic, from complex to complex.
      allow_int: integer leaves are allowed; their gradient is float0 zeros.

    Returns:
      A function with the arguments of `fun` that gives (value, gradient), or
      ((value, aux), gradient); a tuple of gradients if `argnums` is a sequence.

    Raises:
      DtypeMismatch: an argument or the value has a dtype that has no gradient.
      ShapeMismatch: the value is not a scalar.

    Cost: 2 to 5 evaluations of `fun`, whatever the number of parameters.
    Source: Linnainmaa 1970; Griewank and Walther 2008, section 3.2.
    """
    doors.check_callable(fun)
    doors.no_reduce_axes(reduce_axes)

    @functools.wraps(fun, assigned=("__name__", "__qualname__", "__module__"))
    def value_and_grad_of(*args, **kwargs):
        places = doors.places_of(argnums, args, fun)
        chosen = tuple(args[i] for i in places)
        leaves, structure = doors.flatten(chosen, fun)
        for name, leaf in tree.named_leaves("args", chosen):
            doors.check_input(name, leaf, holomorphic, allow_int, "grad")

        def call(given):
            return fun(*doors.merged(args, places, given), **kwargs)

        flat = doors.Flat(call, structure, has_aux, doors.name_of(fun))
        active = doors.active_leaves(leaves)
        outs, program, extras = linearize_flat(flat, leaves, active)
        _check_scalar(flat.structure, outs, fun, holomorphic)
        x_bars = iter(program.pull([jnp.ones((), ir.typeof(outs[0]).dtype)]))
        whole = [next(x_bars) if a else None for a in active]
        found = structure.unflatten(doors.dense_like(leaves, whole))
        gradient = found[0] if isinstance(argnums, int) else found
        value = flat.structure.unflatten(outs)
        return ((value, flat.aux(extras)), gradient) if has_aux else (value, gradient)

    return value_and_grad_of


def grad(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence = (),
) -> Callable:
    """A function that gives the gradient of `fun`: see `value_and_grad`.

    Returns:
      A function with the arguments of `fun` that gives the gradient, or
      (gradient, aux) with has_aux=True.
    """
    both = value_and_grad(fun, argnums, has_aux, holomorphic, allow_int, reduce_axes)

    @functools.wraps(fun, assigned=("__name__", "__qualname__", "__module__"))
    def grad_of(*args, **kwargs):
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return grad_of


def _check_scalar(structure, outs, fun, holomorphic):
    if structure != jax.tree.structure(0):
        raise DtypeMismatch(
            f"grad is defined for scalar-valued functions, but `{doors.name_of(fun)}` returned "
            f"a tree {structure}. Return one scalar; has_aux=True lets others pass."
        )
    shape = ir.typeof(outs[0]).shape
    if shape != ():
        raise ShapeMismatch(
            f"grad is defined for scalar-valued functions, but the output of "
            f"`{doors.name_of(fun)}` has shape {shape}. Sum or average it, or use jacrev, "
            "jacfwd or vjp."
        )
    doors.check_output("output", outs[0], holomorphic, "grad")
