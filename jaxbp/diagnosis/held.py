"""Arguments that hold more than arrays: whole models, their functions and sizes."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .. import ir, tree


def without_held(
    f: Callable, args: tuple, argnums: int | Sequence[int] = ()
) -> tuple[Callable, tuple]:
    """`f` as a function of what of its arguments can be computed with, and that.

    Functions, names and Python's integers stay as they are; so does what is no floating
    array in an argument to differentiate by, beside one that is: a counter in a model.
    What is left has the structure of the arguments, with None for what is held.

    Args:
      f, args: as they were given. argnums: the arguments to differentiate by.
    """
    places = {argnums} if isinstance(argnums, int) else set(argnums)
    places = {place % max(len(args), 1) for place in places}
    is_open: list[bool] = []
    for place, arg in enumerate(args):
        leaves = jax.tree.leaves(arg)
        moves = place in places and any(map(_moves, leaves))
        is_open += [
            ir.is_tracer(leaf) or (_moves(leaf) if moves else _counts(leaf, leaves))
            for leaf in leaves
        ]
    if all(is_open):
        return f, args
    leaves, structure = jax.tree.flatten(args)
    pairs = list(zip(leaves, is_open, strict=True))
    given = structure.unflatten([leaf if on else None for leaf, on in pairs])

    @functools.wraps(f)
    def of_open(*open_args):
        rest = iter(jax.tree.leaves(open_args))
        return f(*structure.unflatten([next(rest) if on else x for x, on in pairs]))

    of_open.__name__ = tree.name_of(f)
    return of_open, given


def _moves(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    if dtype is None:
        return isinstance(leaf, float | complex)
    return jnp.issubdtype(dtype, jnp.inexact)


def _counts(leaf: Any, leaves: list) -> bool:
    """Whether it is computed with: an array, or a number that is no size in a model."""
    return hasattr(leaf, "dtype") or (tree.is_array(leaf) and len(leaves) == 1)
