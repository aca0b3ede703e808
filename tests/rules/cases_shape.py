"""Primitives that move elements, place arrays, and convert them."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import primitives
from jax.sharding import PartitionSpec, SingleDeviceSharding

from tests.rules.case import BOTH, Case, normal

BLOCK = (normal(2, 3),)
CUBE = (normal(2, 3, 4),)


def moved(name, call, args=BLOCK, variant="", dtypes=("float",), **more):
    return Case(name, call, args, variant, dtypes, **more)


def padded(x, config):
    return lax.pad(x, jnp.sum(x), config)


def to_half(x):
    return lax.convert_element_type(lax.convert_element_type(x, np.float32), x.dtype)


def to_real(x):
    """The bare primitive: lax's function warns of the imaginary part it drops."""
    params = {"new_dtype": np.dtype(np.float64), "weak_type": False, "sharding": None}
    return primitives.convert_element_type_p.bind(x, **params)


def constrained(x):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("a",))
    sharding = jax.sharding.NamedSharding(mesh, PartitionSpec("a"))
    return jax.lax.with_sharding_constraint(x, sharding)


CASES = [
    moved("broadcast_in_dim", lambda x: lax.broadcast_in_dim(x, (2, 5, 3), (0, 2))),
    moved(
        "broadcast_in_dim",
        lambda x: lax.broadcast_in_dim(x, (4, 2, 3), (0, 2)),
        (normal(1, 3),),
        "stretched",
    ),
    moved("concatenate", lambda x, y: lax.concatenate([x, y, x], 1), BLOCK * 2),
    moved(
        "concatenate",
        lambda x, y: lax.concatenate([x, y], 0),
        (normal(0, 3), normal(2, 3)),
        "empty",
    ),
    moved(
        "convert_element_type",
        to_half,
        rtol=1e-6,
        differences=False,
        reason="float32 has steps of its own",
    ),
    moved(
        "convert_element_type",
        lambda x: lax.convert_element_type(x, np.complex128),
        variant="to-complex",
        single=False,
        reason="a complex64 has a row of its own",
    ),
    moved(
        "convert_element_type",
        to_real,
        variant="to-real",
        dtypes=("complex",),
        single=False,
        reason="its result is of 64 bits whatever the operand",
    ),
    moved("copy", jnp.copy),
    moved("device_put", lambda x: jax.device_put(x, jax.devices()[0])),
    moved(
        "device_put",
        lambda x, y: jax.device_put((x, y), SingleDeviceSharding(jax.devices()[0])),
        BLOCK * 2,
        "pair",
    ),
    moved("name", lambda x: checkpoint_name(lax.sin(x), "kept")),
    moved(
        "optimization_barrier",
        lambda x, y: lax.optimization_barrier((x, y * y, 3)),
        BLOCK * 2,
    ),
    moved("optimization_barrier", lambda x: lax.optimization_barrier(x), BLOCK, "one"),
    *[
        moved("pad", lambda x, c=config: padded(x, c), variant=f"{config}", dtypes=BOTH)
        for config in (
            [(1, 2, 0), (0, 0, 2)],
            [(-1, 0, 0), (2, -2, 1)],
            [(0, -2, 1), (-1, -1, 0)],
            [(-2, 0, 0), (1, 0, 0)],
        )
    ],
    moved("pad", lambda x: lax.pad(x, x, ()), (normal(),), "scalar"),
    moved(
        "reduce_precision",
        lambda x: lax.reduce_precision(x, 8, 10),
        rtol=1e-3,
        differences=False,
        reason="rounded values move in steps; tangents are rounded too",
    ),
    moved("reshape", lambda x: lax.reshape(x, (3, 2)), dtypes=BOTH),
    moved("reshape", lambda x: lax.reshape(x, (3, 2), (1, 0)), variant="transposed"),
    moved("rev", lambda x: lax.rev(x, (0, 2)), CUBE),
    moved("sharding_constraint", constrained),
    moved("slice", lambda x: lax.slice(x, (0, 1), (2, 3))),
    moved(
        "slice",
        lambda x: lax.slice(x, (0, 0, 1), (2, 3, 4), (1, 2, 2)),
        CUBE,
        "strides",
    ),
    moved("slice", lambda x: lax.slice(x, (1, 2), (1, 3)), variant="empty"),
    moved("split", lambda x: lax.split(x, (1, 0, 2), axis=1)),
    moved("split", lambda x: lax.split(x, (1, 2), axis=1)[1], variant="one-part"),
    moved("squeeze", lambda x: lax.squeeze(x, (0, 2)), (normal(1, 3, 1),)),
    moved("stack", lambda x, y: lax.stack([x, y, x], axis=1), BLOCK * 2),
    moved("tile", lambda x: lax.tile(x, (2, 3))),
    moved("transpose", lambda x: lax.transpose(x, (2, 0, 1)), CUBE, dtypes=BOTH),
    moved("unstack", lambda x: lax.unstack(x, axis=1)),
    moved("unstack", lambda x: lax.unstack(x, axis=-1)[2], CUBE, "one-part"),
]
