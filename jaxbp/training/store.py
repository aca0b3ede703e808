"""Where a run's state is saved: one file, or a folder that all processes write."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbp.outputs import check_folder, check_writable
from jaxbp.scale import Layout, Processes, orbax
from jaxbp.scale.layout import is_key
from jaxbp.training.placement import place_state
from jaxbp.training.saved import Saved, load, save
from jaxbp.training.state import TrainingState

LONG = 10.0  # so many usual waits may the first process take to write a file


class Store:
    """The place of a run's saved state.

    One device's state is one file. On a mesh a path without a suffix is a folder, to
    which every process writes its part (Orbax); one with a suffix is still one file,
    for which the first process gathers everything.
    """

    def __init__(
        self,
        path: str | os.PathLike | None,
        layout: Layout | None,
        processes: Processes,
        notes: Mapping[str, Any] | None,
    ):
        self.path = None if path is None else Path(path)
        self.layout, self.processes = layout, processes
        self.notes = dict(notes or {})
        self.shared = bool(
            self.path is not None
            and (self.path.is_dir() or (layout is not None and not self.path.suffix))
        )
        if self.shared:
            orbax.needs_orbax()
            check_folder("state_path", str(self.path))
        elif processes.first:
            check_writable("state_path", self.path)

    def exists(self) -> bool:
        """Whether there is a state to resume from; the same in all processes."""
        if self.path is None:
            return False
        found = orbax.has_state(self.path) if self.shared else self.path.exists()
        return self.processes.gather(found)[0]

    def save(self, state: TrainingState, history: Mapping[str, np.ndarray]) -> None:
        """Write state and history; all processes together. A kill at any moment leaves
        what was saved before.

        Raises:
          ProcessLost: another process does not answer.
        """
        if self.path is None:
            return
        if self.shared:
            about = {"notes": self.notes, "history": _told(history)}
            named, impls = _named(state)
            about["keys"] = impls
            self.processes.run(orbax.write_folder, self.path, named, about)
            return
        if self.layout is not None:
            state = jax.tree.map(self._whole, state)
        if self.processes.first:
            save(self.path, state, history, self.notes)
        self.processes.barrier("saved", LONG)

    def load(self, like: TrainingState, specs: Any) -> Saved:
        """What `save` wrote, as it lies in this run.

        Raises:
          DataError, StructureMismatch, ShapeMismatch, DtypeMismatch: as
          `jaxbp.training.load`.
        """
        assert self.path is not None
        if not self.shared:
            found = load(self.path, like)
            return found._replace(tree=place_state(found.tree, specs, self.layout))
        named, _ = _named(like)
        types = {name: _type(leaf) for name, leaf in named.items()}
        about = orbax.read_about(self.path)
        leaves = orbax.read_folder(self.path, types)
        return Saved(
            _filled(like, leaves, about["keys"]),
            {name: _array(column) for name, column in about["history"].items()},
            about["notes"],
        )

    def _whole(self, leaf):
        """An array of all devices on this host."""
        if is_key(leaf):
            data = jnp.asarray(self.processes.leaf(jax.random.key_data(leaf)))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        return self.processes.leaf(leaf)


def _named(state) -> tuple[dict[str, jax.Array], dict[str, str]]:
    """Leaves by name, keys as their numbers; and how the keys' numbers are read."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    named, impls = {}, {}
    for where, leaf in leaves:
        name = jax.tree_util.keystr(where)
        if is_key(leaf):
            impls[name] = str(jax.random.key_impl(leaf))
            leaf = jax.random.key_data(leaf)
        named[name] = leaf
    return named, impls


def _type(leaf) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def _filled(like, leaves: Mapping[str, jax.Array], impls: Mapping[str, str]):
    def fill(where, leaf):
        found = leaves[jax.tree_util.keystr(where)]
        if is_key(leaf):
            impl = impls[jax.tree_util.keystr(where)]
            return jax.random.wrap_key_data(found, impl=impl)
        return found

    return jax.tree_util.tree_map_with_path(fill, like)


def _told(history: Mapping[str, np.ndarray]) -> dict:
    """Columns as JSON holds them: floats in digits that give the same bits back."""
    return {
        name: {"dtype": str(column.dtype), "values": json.dumps(column.tolist())}
        for name, column in history.items()
    }


def _array(column: Mapping[str, Any]) -> np.ndarray:
    return np.asarray(json.loads(column["values"]), jnp.dtype(column["dtype"]))
