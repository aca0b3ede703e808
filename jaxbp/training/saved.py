"""Any pytree of arrays to a file and back, bit for bit.

Integers, booleans, bfloat16, typed random keys, optax's named tuples and plain Python
numbers all return as what they were. Structure is not stored but asked for: loading
takes a tree to fill, and a file that does not fit names the leaf.
"""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxbp.errors import DtypeMismatch, ShapeMismatch, StructureMismatch
from jaxbp.training.tensors import read_tensors, write_tensors

_STATE, _HISTORY = "state", "history/"


class Saved(NamedTuple):
    """What a file holds: the tree, one array a history column, and the notes."""

    tree: Any
    history: dict[str, np.ndarray]
    notes: dict[str, Any]


def save(
    path: str | os.PathLike,
    tree: Any,
    history: Mapping[str, np.ndarray] | None = None,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write a pytree to a safetensors file, atomically.

    Args:
      path: replaced only when the new file is complete.
      tree: leaves are arrays, typed keys or Python numbers.
      history: arrays of any shape, kept beside the tree.
      notes: what JSON can hold, such as the settings of the run.

    Cost: one copy of the tree in host memory.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    tensors = {_leaf_name(where): _to_numpy(leaf) for where, leaf in leaves}
    tensors |= {_HISTORY + k: np.asarray(v) for k, v in (history or {}).items()}
    keys = {_leaf_name(w): str(jax.random.key_impl(x)) for w, x in leaves if _is_key(x)}
    write_tensors(path, tensors, {"keys": keys, "notes": dict(notes or {})})


def load(path: str | os.PathLike, like: Any) -> Saved:
    """Read what `save` wrote into the structure of `like`.

    Args:
      path: a file that `save` wrote.
      like: a pytree of the saved structure; leaves give kind, shape and dtype only, so
        `jax.ShapeDtypeStruct` serves. NumPy leaves and Python numbers come back as
        such, all others as JAX arrays.

    Raises:
      DataError: the file is absent, truncated or foreign.
      StructureMismatch: a leaf is missing from the file, or from `like`.
      ShapeMismatch, DtypeMismatch: a leaf differs from the one in `like`.
    """
    tensors, header = read_tensors(path)
    leaves, treedef = jax.tree_util.tree_flatten_with_path(like)
    wanted = {_leaf_name(where): leaf for where, leaf in leaves}
    stored = {name for name in tensors if not name.startswith(_HISTORY)}
    _check_names(path, set(wanted), stored)
    filled = [
        _from_numpy(path, name, tensors[name], leaf, header["keys"].get(name))
        for name, leaf in wanted.items()
    ]
    history = {
        name.removeprefix(_HISTORY): tensors[name]
        for name in tensors
        if name.startswith(_HISTORY)
    }
    return Saved(jax.tree.unflatten(treedef, filled), history, header["notes"])


def read_notes(path: str | os.PathLike) -> dict[str, Any]:
    """The notes alone, to find out what tree a file holds."""
    return read_tensors(path)[1]["notes"]


def _leaf_name(where):
    return _STATE + jax.tree_util.keystr(where)


def _is_key(leaf):
    return jnp.issubdtype(getattr(leaf, "dtype", np.bool_), jax.dtypes.prng_key)


def _to_numpy(leaf):
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _check_names(path, wanted, stored):
    for names, where in ((wanted - stored, "file"), (stored - wanted, "structure")):
        if names:
            have, lack = ("structure", "file") if where == "file" else ("file", where)
            raise StructureMismatch(
                f"{path} does not fit: leaf `{min(names)}` is in the {have} but not in "
                f"the {lack} ({len(names)} such of {len(wanted | stored)} leaves). "
                f"Load into the model, optimiser and options that were saved."
            )


def _from_numpy(path, name, array, like, key_impl):
    if _is_key(like):
        return _wrap_key(path, name, array, like, key_impl)
    number = isinstance(like, bool | int | float | complex)
    expected = np.asarray(like) if number else like
    _check_equal(ShapeMismatch, path, name, "shape", array.shape, expected.shape)
    _check_equal(DtypeMismatch, path, name, "dtype", array.dtype, expected.dtype)
    if number:
        return type(like)(array.item())
    return array.copy() if isinstance(like, np.ndarray) else jnp.asarray(array)


def _wrap_key(path, name, array, like, key_impl):
    if key_impl is None:
        _check_equal(DtypeMismatch, path, name, "dtype", array.dtype, like.dtype)
    key = jax.random.wrap_key_data(jnp.asarray(array), impl=key_impl)
    _check_equal(DtypeMismatch, path, name, "dtype", key.dtype, like.dtype)
    _check_equal(ShapeMismatch, path, name, "shape", key.shape, like.shape)
    return key


def _check_equal(error, path, name, what, found, expected):
    if found != expected:
        raise error(
            f"{path}: leaf `{name}` must have {what} {expected} but has {found}."
        )
