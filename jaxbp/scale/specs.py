"""Which axes of which parameters lie along which axes of a mesh: trees of specs."""

from collections.abc import Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from ..errors import InvalidArgument, StructureMismatch

WHOLE = PartitionSpec()


def fully_sharded(
    params: Any, mesh: Mesh, axis: str = "data", min_elements: int = 1024
) -> Any:
    """Specs that divide every parameter, its largest axis that can be divided.

    Args:
      params: a pytree of arrays or types.
      mesh, axis: the axis of the mesh over which they are divided.
      min_elements: a smaller array stays whole on every device.

    Returns:
      The tree of `PartitionSpec` that `fit(param_specs=)` takes.

    Raises:
      InvalidArgument: the mesh has no such axis.

    Source: ZeRO, stage 3: Rajbhandari et al. 2020, arXiv:1910.02054.
    """
    count = axis_length(mesh, axis)

    def spec(leaf):
        shape = jnp.shape(leaf)
        fits = [n for n in shape if n % count == 0]
        if prod(shape) < min_elements or not fits or max(fits) < count:
            return WHOLE
        return PartitionSpec(*[None] * shape.index(max(fits)), axis)

    return jax.tree.map(spec, params)


def tensor_sharded(params: Any, mesh: Mesh, axis: str = "model") -> Any:
    """Specs that divide the products of a network over a mesh axis, in pairs.

    Matrices are divided by columns and by rows in turn, in the order of the tree, so
    that of two that follow one another only the second one's result is summed over the
    devices. A vector that follows a matrix divided by columns is divided, too. What
    cannot be divided stays whole.

    Args:
      params: a pytree of arrays or types, layer by layer; of a dict, `W` before `b`.
      mesh, axis: the axis of the mesh.

    Raises:
      InvalidArgument: the mesh has no such axis.

    Source: Megatron-LM: Shoeybi et al. 2019, arXiv:1909.08053.
    """
    count = axis_length(mesh, axis)
    leaves, treedef = jax.tree.flatten(params)
    # JAX sorts the keys of a dict: `W` comes before `b`, and a bias after its matrix.
    by_columns, width, specs = False, None, []
    for leaf in leaves:
        shape = jnp.shape(leaf)
        if len(shape) == 2:
            by_columns = not by_columns and shape[1] % count == 0
            width = shape[1] if by_columns else None
            if by_columns:
                specs.append(PartitionSpec(None, axis))
            else:
                specs.append(PartitionSpec(axis) if shape[0] % count == 0 else WHOLE)
        else:
            specs.append(PartitionSpec(axis) if shape == (width,) else WHOLE)
    return treedef.unflatten(specs)


def spec_tree(params: Any, specs: Any, mesh: Mesh) -> Any:
    """`specs`, with one for each leaf of `params`, checked.

    Args:
      params: a pytree of arrays or types.
      specs: a tree of `PartitionSpec`, or one that ends above the leaves (one spec is
        for all below it); None leaves all whole.

    Raises:
      StructureMismatch: it is no such tree.
      InvalidArgument: a spec names an axis that the mesh lacks, has more entries than
        the array has axes, or divides one that cannot be divided; names the leaf.
    """
    specs = WHOLE if specs is None else specs
    try:
        leaves = jax.tree_util.tree_broadcast(specs, params, is_leaf=is_spec)
    except ValueError as error:
        raise StructureMismatch(
            "`param_specs` must be a tree of PartitionSpec like the parameters, or one "
            f"that ends above their leaves: {str(error).splitlines()[0]}"
        ) from error
    pairs = zip(
        jax.tree_util.tree_leaves_with_path(params),
        jax.tree.leaves(leaves, is_leaf=is_spec),
        strict=True,
    )
    for (where, leaf), spec in pairs:
        _check(f"params{jax.tree_util.keystr(where)}", jnp.shape(leaf), spec, mesh)
    return leaves


def is_spec(value: Any) -> bool:
    """Whether a value is a `PartitionSpec`, which is a leaf of a tree of them."""
    return isinstance(value, PartitionSpec)


def names_of(entry: Any) -> tuple[str, ...]:
    """The mesh axes of one entry of a spec: None, a name, or several."""
    if entry is None:
        return ()
    return tuple(entry) if isinstance(entry, tuple | list) else (entry,)


def without(spec: PartitionSpec, axis: str) -> PartitionSpec:
    """The spec of the same array gathered along a mesh axis."""
    parts: list = []
    for entry in spec:
        rest = tuple(name for name in names_of(entry) if name != axis)
        parts.append(None if not rest else rest[0] if len(rest) == 1 else rest)
    return PartitionSpec(*parts)


def mentions(spec: PartitionSpec, axis: str) -> bool:
    """Whether a spec divides anything along a mesh axis."""
    return any(axis in names_of(entry) for entry in spec)


def axis_length(mesh: Mesh, axis: str) -> int:
    """How many devices lie along an axis of the mesh."""
    if axis not in mesh.shape:
        raise InvalidArgument(
            f"the mesh must have an axis `{axis}`, but its axes are "
            f"{', '.join(f'`{name}`' for name in mesh.axis_names)}."
        )
    return mesh.shape[axis]


def _check(name: str, shape: Sequence[int], spec, mesh: Mesh) -> None:
    if not is_spec(spec):
        raise StructureMismatch(
            f"`param_specs` must hold a PartitionSpec for {name}, but holds {spec!r}."
        )
    if len(spec) > len(shape):
        raise InvalidArgument(
            f"{spec} has {len(spec)} entries, but {name} has shape {tuple(shape)}."
        )
    for length, entry in zip(shape, spec, strict=False):
        parts = prod(axis_length(mesh, axis) for axis in names_of(entry))
        if length % parts:
            raise InvalidArgument(
                f"{spec} divides an axis of {name}, shape {tuple(shape)}, into {parts} "
                f"parts, but {length} is no multiple of {parts}. Leave that axis whole."
            )
