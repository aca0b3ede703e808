"""The public door: pytrees in and out, and the checks that inputs pass once."""

from collections.abc import Callable

import jax
import numpy as np

from .. import ir, tree
from ..errors import DtypeMismatch, InvalidArgument


class Flat:
    """A function of pytrees as one of leaves: gives leaves of output and of aux.

    Attributes, after the call:
      structure: the output's tree structure.
      aux_structure: that of aux.
    """

    def __init__(self, call: Callable, in_structure, has_aux: bool, name: str):
        self.call, self.in_structure = call, in_structure
        self.has_aux, self.name = has_aux, name
        self.structure = self.aux_structure = None

    def __call__(self, *leaves):
        out, aux = self.call(self.in_structure.unflatten(leaves)), None
        if self.has_aux:
            if not isinstance(out, (tuple, list)) or len(out) != 2:
                raise InvalidArgument(
                    "with has_aux=True the function must return a pair (output, aux), "
                    f"but `{self.name}` returned {describe(out)}."
                )
            out, aux = out
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
                f"is {describe(leaf)}."
            ) from error


def flatten(args, fun):
    """Leaves and structure of arguments, all arrays or numbers."""
    leaves, structure = jax.tree.flatten(args)
    if any(not hasattr(leaf, "aval") for leaf in leaves):
        check_arrays("args", args, name_of(fun))
    return leaves, structure


def active_leaves(leaves) -> list[bool]:
    """Which leaves carry tangents other than float0."""
    return [ir.differentiable(ir.typeof(leaf)) for leaf in leaves]


def dense_like(values, dots) -> list:
    """Tangents or cotangents of `values`, with None (zero) made arrays."""
    return tree.dense(dots, [ir.tangent_aval(ir.typeof(v)) for v in values])


def name_of(fun) -> str:
    return getattr(fun, "__name__", repr(fun))


def describe(value) -> str:
    return f"{type(value).__name__} {value!r}"[:120]


def check_callable(fun):
    if not callable(fun):
        raise DtypeMismatch(f"`fun` must be callable, but is {describe(fun)}.")


def places_of(argnums, args, fun) -> tuple[int, ...]:
    wanted = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for place in wanted:
        if not -len(args) <= place < len(args):
            raise InvalidArgument(
                f"`argnums` must name positional arguments of `{name_of(fun)}`, which was "
                f"called with {len(args)}, but is {argnums!r}. Pass the argument by "
                "position to differentiate it."
            )
    return tuple(place % len(args) for place in wanted)


def merged(args, places, given):
    merged = list(args)
    for place, value in zip(places, given, strict=True):
        merged[place] = value
    return merged


def check_input(name, leaf, holomorphic, allow_int, caller):
    dtype = ir.typeof(leaf).dtype
    if holomorphic and not jax.dtypes.issubdtype(dtype, np.complexfloating):
        raise DtypeMismatch(
            f"{caller} with holomorphic=True requires inputs with complex dtype, but "
            f"`{name}` has dtype {dtype}."
        )
    if jax.dtypes.issubdtype(dtype, jax.dtypes.extended) or not (
        jax.dtypes.issubdtype(dtype, np.inexact) or allow_int
    ):
        raise DtypeMismatch(
            f"{caller} requires real- or complex-valued inputs (a dtype that is a "
            f"sub-dtype of np.inexact), but `{name}` has dtype {dtype}. Convert it with "
            ".astype(float), leave it out of argnums, use vjp, or set allow_int=True."
        )
    if jax.dtypes.issubdtype(dtype, np.complexfloating) and not holomorphic:
        if caller != "grad" and caller != "jacrev":
            raise DtypeMismatch(
                f"{caller} requires real-valued inputs, but `{name}` has dtype {dtype}. "
                "For holomorphic differentiation pass holomorphic=True; for "
                "non-holomorphic functions of complex inputs use jvp directly."
            )


def check_output(name, value, holomorphic, caller):
    dtype = ir.typeof(value).dtype
    if holomorphic:
        if not jax.dtypes.issubdtype(dtype, np.complexfloating):
            raise DtypeMismatch(
                f"{caller} with holomorphic=True requires outputs with complex dtype, "
                f"but `{name}` has dtype {dtype}."
            )
    elif not jax.dtypes.issubdtype(dtype, np.floating):
        raise DtypeMismatch(
            f"{caller} requires real-valued outputs (a dtype that is a sub-dtype of "
            f"np.floating), but `{name}` has dtype {dtype}. For holomorphic "
            "differentiation pass holomorphic=True; for others use vjp directly."
        )


def no_reduce_axes(reduce_axes):
    if tuple(reduce_axes):
        raise InvalidArgument(
            f"`reduce_axes` must be (), but is {reduce_axes!r}: sum over the axis with "
            "jax.lax.psum in the function instead."
        )
