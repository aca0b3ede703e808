"""A mesh, its data axis, and where the parameters lie: how arrays are placed on it."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ..errors import InvalidArgument
from .mesh import automatic
from .specs import WHOLE, axis_length, is_spec, mentions, spec_tree


@dataclass(frozen=True)
class Layout:
    """How training lies on a mesh; hashable, so that programs are made once for it.

    Attributes:
      mesh: of devices, its axes divided by the compiler.
      data_axis: the axis over which examples are divided.
      leaves: per leaf of the parameters, in their order, its spec.
    """

    mesh: Mesh
    data_axis: str
    leaves: tuple[PartitionSpec, ...]

    @classmethod
    def of(cls, mesh: Mesh, data_axis: str, params: Any, specs: Any) -> "Layout":
        """A layout for some parameters.

        Raises:
          InvalidArgument, StructureMismatch: as `spec_tree`; no such data axis.
        """
        mesh = automatic(mesh)
        axis_length(mesh, data_axis)
        tree = spec_tree(params, specs, mesh)
        leaves = jax.tree.leaves(tree, is_leaf=is_spec)
        return cls(mesh, data_axis, tuple(leaves))

    @property
    def shards(self) -> int:
        """Along the data axis."""
        return self.mesh.shape[self.data_axis]

    @property
    def gathers(self) -> bool:
        """Whether a parameter is divided along the data axis: gathered for its uses."""
        return any(mentions(spec, self.data_axis) for spec in self.leaves)

    def sharding(self, spec: PartitionSpec = WHOLE) -> NamedSharding:
        """Of an array with this spec."""
        return NamedSharding(self.mesh, spec)

    def like(self, params: Any) -> Any:
        """A tree like the parameters, of their specs."""
        return jax.tree.structure(params).unflatten(self.leaves)

    def check_batch(self, size: int) -> None:
        """Raises InvalidArgument unless a batch can be divided evenly."""
        if size % self.shards:
            raise InvalidArgument(
                f"`batch_size` must be a multiple of the {self.shards} devices along "
                f"`{self.data_axis}`, but is {size}."
            )

    # On the host -------------------------------------------------------------

    def place(self, value: Any, spec: PartitionSpec = WHOLE) -> jax.Array:
        """A host's array, the same in every process, on the devices of the mesh.

        Each process reads its own devices' part of it; no device gets more.
        """
        return placed(value, self.sharding(spec))

    def place_examples(self, data: Any) -> Any:
        """Arrays (n, ...), divided by examples; zeros fill the last device's part."""
        return jax.tree.map(self._place_examples, data)

    def _place_examples(self, leaf):
        if is_global(leaf):
            return leaf
        host = np.asarray(leaf)
        missing = -len(host) % self.shards
        if missing:
            empty = np.zeros((missing, *host.shape[1:]), host.dtype)
            host = np.concatenate([host, empty])
        return self.place(host, PartitionSpec(self.data_axis))

    def place_whole(self, data: Any) -> Any:
        """Arrays (n, ...): divided by examples where they can be, else whole."""
        even = all(len(leaf) % self.shards == 0 for leaf in jax.tree.leaves(data))
        spec = PartitionSpec(self.data_axis) if even else WHOLE
        return jax.tree.map(lambda x: x if is_global(x) else self.place(x, spec), data)

    # In a traced program -----------------------------------------------------

    def hold(self, value: jax.Array, spec: PartitionSpec = WHOLE) -> jax.Array:
        """The value, laid out so; whole on every device if left out."""
        return lax.with_sharding_constraint(value, self.sharding(spec))

    def hold_batch(self, batch: Any) -> Any:
        """A batch (n, ...) divided by examples, where n can be."""

        def held(x):
            if jnp.shape(x)[0] % self.shards:
                return self.hold(x, WHOLE)
            return self.hold(x, PartitionSpec(self.data_axis))

        return jax.tree.map(held, batch)

    def hold_tree(self, tree: Any, specs: Any) -> Any:
        """A tree, its leaves laid out as a tree of specs says."""
        leaves, treedef = jax.tree.flatten(tree)
        found = jax.tree.leaves(specs, is_leaf=is_spec)
        pairs = zip(leaves, found, strict=True)
        return treedef.unflatten([self.hold(x, spec) for x, spec in pairs])


def placed(value: Any, sharding: NamedSharding) -> jax.Array:
    """A host's whole array on the devices of a sharding, each process its part."""
    if is_key(value):
        impl = jax.random.key_impl(value)
        data = placed(jax.random.key_data(value), sharding)
        return jax.random.wrap_key_data(data, impl=impl)
    host = np.asarray(value)
    return jax.make_array_from_process_local_data(sharding, host, host.shape)


def is_global(leaf: Any) -> bool:
    """Whether it is an array of several devices already."""
    return isinstance(leaf, jax.Array) and len(leaf.sharding.device_set) > 1


def is_key(leaf: Any) -> bool:
    """Whether it is a typed random key."""
    dtype = getattr(leaf, "dtype", np.dtype(bool))
    return jnp.issubdtype(dtype, jax.dtypes.prng_key)
