"""Explicit shardings: types name a mesh, and cotangents are sharded as operands are.

One device is enough: JAX checks the types alike for a mesh of any size.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import jaxbp

ROWS, WHOLE = PartitionSpec("a", None), PartitionSpec(None, None)


def product(x, w):
    return jnp.tanh(x @ w)


def summed_product(x, v):
    return jnp.einsum("bi,bj->ij", x, v, out_sharding=WHOLE)


PROGRAMS = {
    "product": (product, ROWS, WHOLE),
    "summed product": (summed_product, ROWS, ROWS),
    "sum": (lambda x, w: x + jnp.sum(w, 0, keepdims=True), ROWS, ROWS),
    "max": (lambda x, w: x - jnp.max(x, 1, keepdims=True), ROWS, ROWS),
    "reshard": (lambda x, w: jax.sharding.reshard(x, WHOLE) * w, ROWS, WHOLE),
    "slice": (lambda x, w: x[:, 1:3] * w[:, :2], ROWS, ROWS),
    "reshape": (lambda x, w: x.reshape(4, 2, 2), ROWS, ROWS),
    "concatenate": (lambda x, w: jnp.concatenate([x, w], 1), ROWS, ROWS),
    "transpose": (lambda x, w: x.T @ w, ROWS, WHOLE),
    "select": (lambda x, w: jnp.where(x > w, x, w), ROWS, ROWS),
    "cumsum": (lambda x, w: jnp.cumsum(x, 1), ROWS, ROWS),
    "gather": (lambda x, w: w[np.array([0, 2])], ROWS, WHOLE),
    "softmax": (lambda x, w: jax.nn.softmax(x) * w, ROWS, ROWS),
    "pad": (lambda x, w: jnp.pad(x, ((0, 0), (1, 1))), ROWS, ROWS),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_are_sharded_as_arguments(name):
    call, *specs = PROGRAMS[name]

    def scalar(x, w):
        return jnp.sum(jnp.sin(call(x, w)))

    mesh = jax.make_mesh((1,), ("a",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        x = np.linspace(-1, 1, 16).reshape(4, 4)
        args = [jax.device_put(a, s) for a, s in zip((x, x.T**2), specs, strict=True)]
        found = jax.jit(jaxbp.grad(scalar, (0, 1)))(*args)
        expected = jax.jit(jax.grad(scalar, (0, 1)))(*args)
        for a, b in zip(found, expected, strict=True):
            assert jax.typeof(a) == jax.typeof(b)
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
