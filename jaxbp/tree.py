"""Pytree arithmetic and the checks that pytrees pass at the public door."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from . import ir
from .errors import DtypeMismatch, ShapeMismatch, StructureMismatch


def path_name(name: str, path) -> str:
    """A leaf's name as one writes it: `params['W1'][0]`."""
    return name + jax.tree_util.keystr(path)


def named_leaves(name: str, tree) -> list[tuple[str, object]]:
    """(name, leaf) of every leaf of `tree`."""
    found, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(path_name(name, path), leaf) for path, leaf in found]


def same_structure(name: str, tree, like_name: str, like) -> None:
    """Raises StructureMismatch unless `tree` has the structure of `like`."""
    came, expected = jax.tree.structure(tree), jax.tree.structure(like)
    if came != expected:
        raise StructureMismatch(
            f"`{name}` must have the tree structure of `{like_name}`, {expected}, "
            f"but has {came}."
        )


def same_types(name: str, tree, avals, like_name: str) -> None:
    """Raises unless the leaves of `tree` have the shapes and dtypes `avals`."""
    for (leaf_name, leaf), aval in zip(named_leaves(name, tree), avals, strict=True):
        shape, dtype = jnp.shape(leaf), jax.dtypes.result_type(leaf)
        if shape != aval.shape:
            raise ShapeMismatch(
                f"`{leaf_name}` must have shape {aval.shape}, that of `{like_name}`, "
                f"but has shape {shape}."
            )
        if dtype != aval.dtype:
            hint = (
                " Integers and booleans have tangents of dtype float0: "
                f"np.zeros({aval.shape}, jax.dtypes.float0)."
                if aval.dtype == jax.dtypes.float0
                else ""
            )
            raise DtypeMismatch(
                f"`{leaf_name}` must have dtype {_name(aval.dtype)}, that of "
                f"`{like_name}`, but has dtype {_name(dtype)}.{hint}"
            )


def _name(dtype) -> str:
    return "float0" if dtype == jax.dtypes.float0 else str(dtype)


def basis(tree):
    """The standard basis of the space of `tree`: leaves gain a leading axis (n, ...)."""
    leaves, structure = jax.tree.flatten(tree)
    dtypes = [jnp.result_type(leaf) for leaf in leaves]
    total = sum(math.prod(jnp.shape(leaf)) for leaf in leaves)
    columns, start = [], 0
    for leaf, dtype in zip(leaves, dtypes, strict=True):
        size = math.prod(jnp.shape(leaf))
        block = jnp.eye(total, size, k=-start, dtype=dtype)
        columns.append(block.reshape((total, *jnp.shape(leaf))))
        start += size
    return structure.unflatten(columns)


def split_axis(array, tree, axis: int):
    """`array` with its axis `axis`, as long as `tree` has elements, cut into leaves."""
    leaves, structure = jax.tree.flatten(tree)
    shapes = [jnp.shape(leaf) for leaf in leaves]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    axis %= array.ndim
    parts = jnp.split(array, ends[:-1], axis)
    rows = zip(parts, shapes, strict=True)
    return structure.unflatten(
        [
            part.reshape((*array.shape[:axis], *shape, *array.shape[axis + 1 :]))
            for part, shape in rows
        ]
    )


def dense(values, avals) -> list:
    """Tangents with None (zero) made arrays, of the types `avals`."""
    return [ir.zeros(a) if v is None else v for v, a in zip(values, avals, strict=True)]
