"""Types that name a device mesh: a cotangent is sharded as its operand is."""

from jax.sharding import NamedSharding, PartitionSpec


def sharding(aval):
    """The sharding that a type names, or None where there is no mesh."""
    found = getattr(aval, "sharding", None)
    return None if found is None or found.mesh.empty else found


def reordered(aval, axes):
    """The sharding of the axes of `aval` in another order, or None."""
    found = sharding(aval)
    if found is None:
        return None
    spec = PartitionSpec(*[found.spec[axis] for axis in axes])
    return NamedSharding(found.mesh, spec)
