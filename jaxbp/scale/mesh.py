"""A mesh of devices from words: `data=4,model=2`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh

from ..errors import InvalidArgument


def make_mesh(
    axes: str | Mapping[str, int], devices: Sequence[Any] | None = None
) -> Mesh:
    """A mesh whose axes the compiler divides programs over (`AxisType.Auto`).

    Args:
      axes: name and length of each axis, as "data=4,model=2" or a mapping. A length of
        -1, once, takes the devices that the others leave.
      devices: the devices to use, the first of them; all of all processes if left out.

    Raises:
      InvalidArgument: words that are no axes, or more devices than there are.
    """
    lengths = _parsed(axes) if isinstance(axes, str) else dict(axes)
    devices = list(jax.devices() if devices is None else devices)
    open_axes = [name for name, length in lengths.items() if length == -1]
    if (
        not lengths
        or len(open_axes) > 1
        or any(n < 1 and n != -1 for n in _of(lengths))
    ):
        raise InvalidArgument(_wanted(axes))
    known = math.prod(n for n in _of(lengths) if n != -1)
    if open_axes:
        lengths[open_axes[0]] = max(1, len(devices) // known)
    count = math.prod(_of(lengths))
    if count > len(devices):
        raise InvalidArgument(
            f"a mesh of {_told(lengths)} needs {count} devices, but there are "
            f"{len(devices)}. On a CPU, XLA_FLAGS="
            f"--xla_force_host_platform_device_count={count} makes them, before JAX "
            "starts."
        )
    shape = tuple(_of(lengths))
    # As JAX lays it out on a slice of accelerators, where all of it is used.
    kinds = (AxisType.Auto,) * len(shape)
    return jax.make_mesh(
        shape, tuple(lengths), devices=devices[:count], axis_types=kinds
    )


def automatic(mesh: Mesh) -> Mesh:
    """The same devices under axes that the compiler divides programs over: programs
    that know of no mesh, as a user's loss, then need no word on shardings."""
    if all(kind == AxisType.Auto for kind in mesh.axis_types):
        return mesh
    kinds = (AxisType.Auto,) * len(mesh.axis_names)
    return Mesh(mesh.devices, mesh.axis_names, axis_types=kinds)


def _of(lengths: Mapping[str, int]):
    return lengths.values()


def _parsed(text: str) -> dict[str, int]:
    lengths = {}
    for part in text.split(","):
        name, equals, length = part.partition("=")
        name = name.strip()
        if not (equals and name.isidentifier() and name not in lengths):
            raise InvalidArgument(_wanted(text))
        try:
            lengths[name] = int(length)
        except ValueError:
            raise InvalidArgument(_wanted(text)) from None
    return lengths


def _wanted(given) -> str:
    return (
        "a mesh must be axes with their lengths, as `data=4,model=2`, where one length "
        f"may be -1 (the devices left), but is `{given}`."
    )


def _told(lengths: Mapping[str, int]) -> str:
    return ",".join(f"{name}={length}" for name, length in lengths.items())
