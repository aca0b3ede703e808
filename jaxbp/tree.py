"""Pytree arithmetic and the checks that pytrees pass at the public door."""

import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np

from . import ir
from .errors import DtypeMismatch, InvalidArgument, ShapeMismatch, StructureMismatch

SPELLED = 200  # characters of a tree's structure that a message holds


def name_of(fun) -> str:
    """The name of a function; a partial has that of its function, an object that is
    called that of its class."""
    if isinstance(fun, functools.partial):
        return name_of(fun.func)
    return getattr(fun, "__name__", type(fun).__name__)


def path_name(name: str, path) -> str:
    """A leaf's name as one writes it: `params['W1'][0]`."""
    return name + jax.tree_util.keystr(path)


def named_leaves(name: str, tree) -> list[tuple[str, object]]:
    """(name, leaf) of every leaf of `tree`."""
    found, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(path_name(name, path), leaf) for path, leaf in found]


def describe(value) -> str:
    """Type and value, as a message tells what came."""
    return f"{type(value).__name__} {value!r}"[:120]


def parted_aux(out, function_name: str) -> tuple:
    """Output and aux of a function that returns both.

    Raises:
      InvalidArgument: it is no pair: the first element of an array is no output.
    """
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        raise InvalidArgument(
            "with has_aux=True the function must return a pair (output, aux), but "
            f"`{function_name}` returned {describe(out)}."
        )
    return tuple(out)


class Parted:
    """A tree parted into leaves to compute with, arrays and numbers, and others that
    stay as they are: the functions, sizes and names inside a model.

    Attributes:
      leaves: those to compute with.
      open: per leaf of the tree, whether it is one of them.
    """

    def __init__(self, tree):
        self._all, self.structure = jax.tree.flatten(tree)
        self.open = [is_array(leaf) for leaf in self._all]
        self.leaves = self.chosen(self._all)

    def chosen(self, values) -> list:
        """Of one value per leaf of the tree, those of the open ones."""
        return [v for v, is_open in zip(values, self.open, strict=True) if is_open]

    def unflatten(self, leaves):
        """The tree with these in the place of the open leaves."""
        rest = iter(leaves)
        pairs = zip(self._all, self.open, strict=True)
        return self.structure.unflatten([next(rest) if o else x for x, o in pairs])


def spelled(tree) -> str:
    """The structure of a tree as one writes it, `*` for a leaf: `{'b': *, 'w': *}`.

    Args:
      tree: a tree, or its structure.
    """
    is_structure = isinstance(tree, jax.tree_util.PyTreeDef)
    structure = tree if is_structure else jax.tree.structure(tree)
    text = str(structure).removeprefix("PyTreeDef(").removesuffix(")")
    text = re.sub(r"CustomNode\((\w+)\[.*?\], ", r"\1(", text)
    return text if len(text) <= SPELLED else f"{text[:SPELLED]}..."


def is_array(leaf) -> bool:
    """Whether a leaf is an array or a number, and so can be computed with."""
    return hasattr(leaf, "dtype") or isinstance(leaf, bool | int | float | complex)


def same_structure(name: str, tree, like_name: str, like) -> None:
    """Raises StructureMismatch unless `tree` has the structure of `like`."""
    came, expected = jax.tree.structure(tree), jax.tree.structure(like)
    if came != expected:
        raise StructureMismatch(
            f"`{name}` must have the tree structure of `{like_name}`, but "
            f"{_difference(name, tree, like_name, like)}."
        )


def _difference(name: str, tree, like_name: str, like) -> str:
    """The first leaf that only one of two trees has, or their structures."""
    came = [leaf_name for leaf_name, _ in named_leaves("", tree)]
    expected = [leaf_name for leaf_name, _ in named_leaves("", like)]
    for path in expected:
        if path and path not in came and came:
            return f"`{name}{path}` is missing"
    for path in came:
        if path not in expected and expected:
            return f"`{name}{path}` has no counterpart in `{like_name}`"
    return f"expected {spelled(like)}, has {spelled(tree)}"


def same_types(name: str, tree, avals, like_name: str) -> None:
    """Raises unless the leaves of `tree` have the shapes and dtypes `avals`."""
    pairs = zip(jax.tree.leaves(tree), avals, strict=True)
    for place, (leaf, aval) in enumerate(pairs):
        came = ir.typeof(leaf)
        if came.shape != aval.shape or came.dtype != aval.dtype:
            leaf_name, _ = named_leaves(name, tree)[place]
            raise _other_type(leaf_name, came, aval, like_name)


def _other_type(name, came, aval, like_name):
    if came.shape != aval.shape:
        return ShapeMismatch(
            f"`{name}` must have shape {aval.shape}, that of `{like_name}`, "
            f"but has shape {came.shape}."
        )
    hint = f" Convert it with .astype({_name(aval.dtype)!r})."
    if aval.dtype == jax.dtypes.float0:
        zeros = f"np.zeros({aval.shape}, jax.dtypes.float0)"
        hint = f" Integers and booleans have tangents of dtype float0: {zeros}."
    return DtypeMismatch(
        f"`{name}` must have dtype {_name(aval.dtype)}, that of `{like_name}`, "
        f"but has dtype {_name(came.dtype)}.{hint}"
    )


def _name(dtype) -> str:
    return "float0" if dtype == jax.dtypes.float0 else str(dtype)


def basis(tree, known: int = 0):
    """The standard basis of the space of `tree`: leaves gain a first axis (n, ...).

    Of at most `known` elements it is a constant of the program: what is sliced from
    it, XLA does while it compiles.
    """
    leaves, structure = jax.tree.flatten(tree)
    dtypes = [jnp.result_type(leaf) for leaf in leaves]
    total = sum(math.prod(jnp.shape(leaf)) for leaf in leaves)
    columns, start = [], 0
    for leaf, dtype in zip(leaves, dtypes, strict=True):
        size = math.prod(jnp.shape(leaf))
        make = np if total**2 <= known else jnp
        block = jnp.asarray(make.eye(total, size, k=-start, dtype=dtype))
        block = block.reshape((total, *jnp.shape(leaf)))
        columns.append(ir.stacked_like(block, ir.typeof(leaf)))
        start += size
    return structure.unflatten(columns)


def split_axis(array, tree, axis: int, like):
    """`array` with its axis `axis`, as long as `tree` has elements, cut into leaves.

    They are as weakly typed as `like`; where that is an integer they are integer zeros
    for the float0 of products, as in JAX.
    """
    leaves, structure = jax.tree.flatten(tree)
    shapes = [jnp.shape(leaf) for leaf in leaves]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    axis %= array.ndim
    before, after, aval = array.shape[:axis], array.shape[axis + 1 :], ir.typeof(like)
    if array.dtype == jax.dtypes.float0:
        array = jnp.zeros(array.shape, aval.dtype)
    parts = jnp.split(array, ends[:-1], axis)
    whole = [
        ir.as_weak_as(part.reshape((*before, *shape, *after)), aval)
        for part, shape in zip(parts, shapes, strict=True)
    ]
    return structure.unflatten(whole)


def flags(name: str, prefix, structure) -> list[bool]:
    """One bool per leaf of `structure` from a prefix of it made of bools.

    Containers are compared by their number of children alone, so that tuples may stand
    for any.

    Raises:
      StructureMismatch: it is no prefix, or no tree of bools.
    """
    if isinstance(prefix, bool):
        return [prefix] * structure.num_leaves
    children = jax.tree.leaves(prefix, is_leaf=lambda node: node is not prefix)
    parts = structure.children()
    if children == [prefix] or len(children) != len(parts):
        raise StructureMismatch(
            f"`{name}` must be a tree of bools and a prefix of {spelled(structure)}, "
            f"but has {prefix!r} there."
        )
    pairs = zip(children, parts, strict=True)
    return [flag for child, part in pairs for flag in flags(name, child, part)]


def dense(values, avals) -> list:
    """Tangents or cotangents of the types `avals`: None (zero) made arrays."""
    return [
        ir.zeros(a) if v is None else ir.as_weak_as(v, a)
        for v, a in zip(values, avals, strict=True)
    ]
