"""Derivatives, checks and prices of sharded programs, beside the same on one device.

On meshes whose axes are `Auto`, where the compiler places, and `Explicit`, where types
do: there a seed must lie as what it is a seed of.
"""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as Spec

import jaxbp

W = np.sin(np.arange(24.0)).reshape(4, 6)
X = np.linspace(-1, 1, 16).reshape(4, 4)
AXES = pytest.mark.parametrize("axes", [AxisType.Auto, AxisType.Explicit], ids=str)


@contextlib.contextmanager
def placed(axes):
    """The mesh in force, and W by columns, X by rows on it."""
    if jax.device_count() < 4:
        pytest.skip("needs four devices; XLA_FLAGS in conftest.py makes them on a CPU")
    mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(axes,) * 2)
    explicit = axes is AxisType.Explicit
    with jax.set_mesh(mesh) if explicit else contextlib.nullcontext():
        by_columns = NamedSharding(mesh, Spec(None, "model"))
        by_rows = NamedSharding(mesh, Spec("data"))
        yield mesh, jax.device_put(W, by_columns), jax.device_put(X, by_rows)


def plain(w, x):
    return jnp.tanh(x @ w)


def mapped(mesh):
    """`plain` by rows of x and columns of w."""
    return jax.shard_map(
        plain, mesh=mesh, in_specs=(Spec(None, "model"), Spec("data")),
        out_specs=Spec("data", "model"),
    )  # fmt: skip


def summed(mesh):
    """The mean square of `plain`, the same on every device."""

    def local(w, x):
        return lax.pmean(jnp.mean(plain(w, x) ** 2), ("data", "model"))

    specs = (Spec(None, "model"), Spec("data"))
    return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=Spec())


def placed_by_jit(mesh):
    shardings = (NamedSharding(mesh, Spec(None, "model")), NamedSharding(mesh, Spec()))
    return jax.jit(plain, in_shardings=shardings)


def close(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@AXES
@pytest.mark.parametrize("door", ["jacfwd", "jacrev", "jacobian"])
def test_jacobians(axes, door):
    expected = jax.jacfwd(plain)(jnp.asarray(W), jnp.asarray(X))
    with placed(axes) as (mesh, w, x):
        close(getattr(jaxbp, door)(mapped(mesh))(w, x), expected)


@AXES
def test_hessian_and_gradient(axes):
    def alone(w, x):
        return jnp.mean(plain(w, x) ** 2)

    w, x = jnp.asarray(W), jnp.asarray(X)
    expected = jax.grad(alone)(w, x), jax.hessian(alone)(w, x)
    with placed(axes) as (mesh, w, x):
        f = summed(mesh)
        grad = jaxbp.grad(f)(w, x)
        close((grad, jaxbp.hessian(f)(w, x)), expected)
        assert grad.sharding.is_equivalent_to(w.sharding, 2)


@AXES
@pytest.mark.parametrize("build", [mapped, placed_by_jit])
def test_reports(axes, build):
    with placed(axes) as (mesh, w, x):
        f = build(mesh)
        if build is placed_by_jit:
            x = jax.device_put(X, NamedSharding(mesh, Spec()))
        assert jaxbp.check(f, w, x).verdict == "agree"
        assert jaxbp.cost(f, w, x, argnums=(0, 1)).rows
        assert jaxbp.trace(f, w, x).rows
        assert jaxbp.tape(f, w, x).rows


@AXES
def test_basis_inside(axes):
    """A Jacobian taken inside `shard_map`, of what varies over the mesh."""
    with placed(axes) as (mesh, _, x):

        def local(x):
            return jaxbp.jacfwd(jnp.sin)(x[0])[None]

        found = jax.shard_map(
            local, mesh=mesh, in_specs=Spec("data"), out_specs=Spec("data")
        )(x)  # fmt: skip
        close(found, np.stack([np.diag(np.cos(X[0])), np.diag(np.cos(X[2]))]))
