"""The public door: pytrees in and out, and the checks that inputs pass once."""

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import ir, tree
from ..errors import DtypeMismatch, InvalidArgument, NotOffered, note_numpy


class LeafFunction:
    """A function of pytrees as one of leaves: gives leaves of output and of aux.

    Attributes, after the call:
      structure: the output's tree structure.
      aux_structure: that of aux.
    """

    def __init__(self, call: Callable, in_structure, has_aux: bool, name: str):
        self.call, self.in_structure = call, in_structure
        self.has_aux, self.name = has_aux, name
        self.structure: Any = None
        self.aux_structure: Any = None

    def __call__(self, *leaves):
        try:
            out, aux = self.call(self.in_structure.unflatten(leaves)), None
        except TypeError as error:
            note_numpy(error, self.name)
            raise
        if self.has_aux:
            out, aux = tree.parted_aux(out, self.name)
        flat, self.structure = jax.tree.flatten(out)
        extras, self.aux_structure = jax.tree.flatten(aux)
        check_arrays("output", out, self.name)
        return flat, extras

    def aux(self, extras):
        """The aux pytree from its leaves."""
        return self.aux_structure.unflatten(extras)


def check_arrays(name, values, function_name):
    """Raises unless all leaves are arrays or numbers."""
    for leaf_name, leaf in tree.named_leaves(name, values):
        try:
            ir.typeof(leaf)
        except TypeError as error:
            raise DtypeMismatch(
                f"`{leaf_name}` of `{function_name}` must be an array or a number, but "
                f"is {tree.describe(leaf)}."
            ) from error


def flatten(args, fun):
    """Leaves and structure of arguments, all arrays or numbers."""
    leaves, structure = jax.tree.flatten(args)
    if any(not isinstance(leaf, jax.Array) for leaf in leaves):
        check_arrays("args", args, tree.name_of(fun))
        leaves = [ir.array(leaf) for leaf in leaves]
    return leaves, structure


def dense_like(values, dots) -> list:
    """Tangents or cotangents of `values`, with None (zero) made arrays."""
    return tree.dense(dots, [ir.tangent_aval(ir.typeof(v)) for v in values])


def leaf_names(fun, args) -> list[str]:
    """Of every leaf of the arguments: `x`, `params['w']`, as `fun` calls them."""
    try:
        bound = inspect.signature(fun).bind(*args).arguments
    except (TypeError, ValueError):  # a builtin, or a wrong call: it will say so itself
        bound = {f"args[{i}]": arg for i, arg in enumerate(args)}
    return [n for key, arg in bound.items() for n, _ in tree.named_leaves(key, arg)]


def check_callable(fun):
    if not callable(fun):
        raise InvalidArgument(f"`fun` must be callable, but is {tree.describe(fun)}.")


def named_after(fun: Callable, doc: str, argnums) -> Callable:
    """A decorator: the result looks like `fun`, with a docstring of its own.

    Args:
      doc: with `{fun}` and `{argnums}` in it.
    """

    def decorate(derived):
        derived = functools.wraps(fun)(derived)
        derived.__name__ = tree.name_of(fun)
        derived.__qualname__ = getattr(fun, "__qualname__", derived.__name__)
        derived.__doc__ = doc.format(fun=derived.__name__, argnums=argnums)
        return derived

    return decorate


def indices(argnums) -> Any:
    """`argnums` as an int or a tuple of ints, from whatever counts as an index."""
    try:
        return operator.index(argnums)
    except TypeError:
        pass
    try:
        return tuple(operator.index(place) for place in argnums)
    except TypeError:
        raise InvalidArgument(
            f"`argnums` must be an integer or a sequence of integers, but is "
            f"{tree.describe(argnums)}."
        ) from None


def places_of(argnums, args, fun) -> tuple[int, ...]:
    """The positional arguments that `argnums` names, counted from the front."""
    wanted = (argnums,) if isinstance(argnums, int) else argnums
    count = len(args)
    if not wanted:
        raise InvalidArgument("`argnums` must name at least one argument, but is ().")
    if min(wanted) < -count or max(wanted) >= count:
        raise InvalidArgument(
            f"`argnums` must name positional arguments, but is {argnums!r}, and "
            f"`{tree.name_of(fun)}` was called with {count} of them, counted from 0. "
            "Pass the argument by position to differentiate it."
        )
    places = tuple([place % count for place in wanted])
    if len(set(places)) < len(places):
        raise InvalidArgument(
            f"`argnums` must name an argument of `{tree.name_of(fun)}` once, but is "
            f"{argnums!r}: the gradient by a part of an argument is not defined."
        )
    return places


def chosen(fun, argnums, args, kwargs) -> tuple[Callable, tuple]:
    """A function of the tuple of the arguments `argnums` alone, and that tuple."""
    places = places_of(argnums, args, fun)

    def partial(given):
        return fun(*merged(args, places, given), **kwargs)

    return partial, tuple([args[place] for place in places])


def merged(args, places, given):
    merged = list(args)
    for place, value in zip(places, given, strict=True):
        merged[place] = value
    return merged


def check_inputs(fun, values, holomorphic, allow_int, caller):
    """Raises unless `caller` can differentiate by all leaves of the tuple `values`."""
    leaves, _ = flatten(values, fun)
    for place, leaf in enumerate(leaves):
        problem = _input_problem(ir.typeof(leaf).dtype, holomorphic, allow_int, caller)
        if problem:
            name, _ = tree.named_leaves("args", values)[place]
            raise DtypeMismatch(problem.format(name=f"`{name}`"))


def _input_problem(dtype, holomorphic, allow_int, caller) -> str | None:
    if not ir.differentiable_dtype(dtype):
        if allow_int and not holomorphic:
            return None
        more = (
            _ALLOWED
            if caller in ("grad", "jacrev", "jacobian", "value_and_grad")
            else ""
        )
        return _NOT_INEXACT.format(caller=caller, dtype=dtype, name="{name}") + more
    is_complex = jnp.issubdtype(dtype, np.complexfloating)
    if holomorphic and not is_complex:
        return (
            f"{caller} with holomorphic=True requires inputs with complex dtype, but "
            f"{{name}} has dtype {dtype}. Convert it with .astype(complex)."
        )
    if is_complex and not holomorphic and caller == "jacfwd":
        return (
            f"{caller} requires real-valued inputs (a dtype that is a sub-dtype of "
            f"np.floating), but {{name}} has dtype {dtype}. For holomorphic "
            "differentiation pass holomorphic=True; for non-holomorphic functions of "
            "complex inputs use jvp directly."
        )
    return None


_NOT_INEXACT = (
    "{caller} requires real- or complex-valued inputs (a dtype that is a sub-dtype of "
    "np.inexact), but {name} has dtype {dtype}. Convert it with .astype(float), leave "
    "it out of argnums, or use vjp."
)
_ALLOWED = " Or set allow_int=True."


def check_outputs(values, holomorphic, caller):
    """Raises unless all leaves of the output have a dtype that `caller` can use."""
    for place, leaf in enumerate(jax.tree.leaves(values)):
        dtype = ir.typeof(leaf).dtype
        wanted = np.complexfloating if holomorphic else np.floating
        if not jnp.issubdtype(dtype, wanted):
            name, _ = tree.named_leaves("output", values)[place]
            raise DtypeMismatch(_output_problem(name, dtype, holomorphic, caller))


def _output_problem(name, dtype, holomorphic, caller) -> str:
    if holomorphic:
        return (
            f"{caller} with holomorphic=True requires outputs with complex dtype, but "
            f"`{name}` has dtype {dtype}."
        )
    return (
        f"{caller} requires real-valued outputs (a dtype that is a sub-dtype of "
        f"np.floating), but `{name}` has dtype {dtype}. For holomorphic "
        "differentiation pass holomorphic=True; for others use vjp directly."
    )


def no_reduce_axes(reduce_axes):
    if reduce_axes:
        raise NotOffered(
            f"`reduce_axes` must be (), but is {reduce_axes!r}: sum over the axis with "
            "jax.lax.psum in the function instead."
        )
