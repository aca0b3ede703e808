"""Sparse arrays: their derivatives against those of dense ones, in JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import sparse
from jax.experimental.sparse import linalg

import jaxbp
from jaxbp.coverage import coverage
from jaxbp.rules import registry

RNG = np.random.default_rng(2)
ROW, COL = np.array([0, 0, 1, 2, 2]), np.array([0, 2, 1, 0, 2])
INDPTR = np.array([0, 2, 3, 5])
DATA = jnp.array([4.0, 1.0, 3.0, -1.0, 5.0])
V, B = jnp.asarray(RNG.normal(size=3)), jnp.asarray(RNG.normal(size=(3, 2)))


def dense(data):
    return jnp.zeros((3, 3)).at[ROW, COL].add(data)


def bcoo(data):
    indices = jnp.stack([jnp.asarray(ROW), jnp.asarray(COL)], 1)
    return sparse.BCOO((data, indices), shape=(3, 3))


def coo(data):
    return sparse.COO((data, jnp.asarray(ROW), jnp.asarray(COL)), shape=(3, 3))


def csr(data):
    return sparse.CSR((data, jnp.asarray(COL), jnp.asarray(INDPTR)), shape=(3, 3))


def bcsr(data):
    return sparse.BCSR((data, jnp.asarray(COL), jnp.asarray(INDPTR)), shape=(3, 3))


def batched(data):
    """Two matrices with the indices of one."""
    indices = jnp.stack([jnp.asarray(ROW), jnp.asarray(COL)], 1)
    both = jnp.stack([data, 2 * data]), jnp.stack([indices, indices])
    return sparse.BCOO(both, shape=(2, 3, 3))


def repeated(data):
    """The last element in two parts, to be summed."""
    m = bcoo(jnp.concatenate([data, data[-1:]])[:5])
    again = sparse.BCOO(
        (jnp.concatenate([m.data, m.data[-1:]]), jnp.concatenate([m.indices] * 2)[:6]),
        shape=(3, 3),
    )
    return again.sum_duplicates(nse=5)


def doubled(data):
    return dense(data).at[0, 0].add(data[-1])


def solved(data, v):
    indices, indptr = jnp.asarray(COL, np.int32), jnp.asarray(INDPTR, np.int32)
    return linalg.spsolve(data, indices, indptr, v)


def product(matrix):
    return lambda data, v: matrix(data) @ v


CALLS = {  # (sparse, dense, second operand)
    **{
        f"{m.__name__} {name}": (product(m), product(dense), x)
        for m in (bcoo, coo, csr, bcsr)
        for name, x in (("matvec", V), ("matmat", B))
    },
    **{
        f"{m.__name__} transposed": (
            lambda data, v, m=m: m(data).T @ v,
            lambda data, v: dense(data).T @ v,
            V,
        )
        for m in (bcoo, coo, csr)
    },
    **{
        f"{m.__name__} todense": (
            lambda data, v, m=m: m(data).todense() * v[:, None],
            lambda data, v: dense(data) * v[:, None],
            V,
        )
        for m in (bcoo, coo, csr, bcsr)
    },
    **{
        f"{kind.__name__} fromdense": (
            lambda data, v, k=kind: k.fromdense(dense(data) * 2, nse=5) @ v,
            lambda data, v: 2 * dense(data) @ v,
            V,
        )
        for kind in (sparse.BCOO, sparse.COO, sparse.CSR, sparse.BCSR)
    },
    "sums": (product(repeated), product(doubled), V),
    "two sparse": (
        lambda data, v: (bcoo(data * v[0]) @ bcoo(data)).todense(),
        lambda data, v: dense(data * v[0]) @ dense(data),
        V,
    ),
    "batches": (
        lambda data, v: sparse.bcoo_dot_general(
            batched(data), v, dimension_numbers=(((2,), (0,)), ((), ()))
        ),
        lambda data, v: jnp.stack([dense(data) @ v, 2 * dense(data) @ v]),
        V,
    ),
    "sampled": (
        lambda data, v: sparse.bcoo_dot_general_sampled(
            dense(data), jnp.outer(v, v), bcoo(data).indices,
            dimension_numbers=(((1,), (0,)), ((), ())),
        ),
        lambda data, v: (dense(data) @ jnp.outer(v, v))[ROW, COL],
        V,
    ),
    "extracted": (
        lambda data, v: sparse.bcoo_extract(bcoo(data), dense(data) * v[None]).data,
        lambda data, v: (dense(data) * v[None])[ROW, COL],
        V,
    ),
    "solve": (solved, lambda data, v: jnp.linalg.solve(dense(data), v), V),
    "conjugate gradients": (
        lambda data, v: jax.scipy.sparse.linalg.cg(bcoo(data**2 + 1), v, tol=1e-14)[0],
        None,
        V,
    ),
}  # fmt: skip


def curved(f, weights):
    return lambda data, v: jnp.sum(jnp.sin(f(data, v)) * weights)


@pytest.mark.parametrize("name", CALLS)
def test_as_the_dense_ones(name):
    f, g, v = CALLS[name]
    if name == "conjugate gradients":  # of a symmetric matrix
        diagonal, places = jnp.array([0, 2, 4]), jnp.array([[0, 0], [1, 1], [2, 2]])
        f = lambda data, v: jax.scipy.sparse.linalg.cg(  # noqa: E731
            sparse.BCOO((data[diagonal], places), shape=(3, 3)), v, tol=1e-14
        )[0]
        g = lambda data, v: v / data[diagonal]  # noqa: E731
    weights = jnp.asarray(RNG.normal(size=jax.eval_shape(f, DATA, v).shape))
    f, g = curved(f, weights), curved(g, weights)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)  # noqa: E731
    value, gradient = jaxbp.value_and_grad(f, (0, 1))(DATA, v)
    assert value == f(DATA, v)
    close(value, g(DATA, v))
    jax.tree.map(close, gradient, jax.grad(g, (0, 1))(DATA, v))
    tangents = DATA[::-1], v[::-1]
    along = jax.jvp(g, (DATA, v), tangents)[1]
    close(jaxbp.jvp(f, (DATA, v), tangents)[1], along)
    turned = jaxbp.jvp(jax.jit(jaxbp.grad(f, (0, 1))), (DATA, v), tangents)[1]
    jax.tree.map(close, turned, jax.jvp(jax.grad(g, (0, 1)), (DATA, v), tangents)[1])


def test_every_sparse_primitive_has_a_rule():
    report = coverage()
    words = ("bcoo", "bcsr", "coo_", "csr_", "spsolve")
    assert not [name for name in report.holes if name.startswith(words)]
    assert "bcsr_extract" in {row.primitive for row in report.rows}
    assert {"bcoo_dot_general", "coo_matvec", "spsolve"} <= registry.known()
