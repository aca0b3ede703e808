"""Eigenvectors and singular vectors where values meet: against central differences.

Of what depends on the space alone that the vectors span: it is smooth there.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.lax import linalg

import jaxbp

RNG = np.random.default_rng(8)
STEP = 1e-5


def rotation(n, dtype=float):
    x = RNG.normal(size=(n, n)) + (
        1j * RNG.normal(size=(n, n)) if dtype is complex else 0
    )
    return np.linalg.qr(x)[0]


def hermitian(values, dtype=float):
    q = rotation(len(values), dtype)
    return jnp.asarray(q * np.array(values) @ q.conj().T)


def projector(a):
    """Onto the space of the two lowest values."""
    v = jnp.linalg.eigh(a)[1][:, :2]
    return v @ v.conj().T


def polar(a):
    u, _, v_h = jnp.linalg.svd(a, full_matrices=False)
    return u @ v_h


def tall(dtype=float):
    return jnp.asarray(1.5 * rotation(4, dtype)[:, :3])


POINTS = {
    "occupied": (projector, hermitian([1.0, 1.0, 3.0, 4.0])),
    "empty": (projector, hermitian([1.0, 2.0, 4.0, 4.0])),
    "both": (projector, hermitian([1.0, 1.0, 2.0, 2.0])),
    "diagonal": (projector, jnp.diag(jnp.array([1.0, 2.0, 1.0, 2.0]))),
    "complex": (projector, hermitian([1.0, 1.0, 2.0, 2.0], complex)),
    "polar": (polar, jnp.asarray(1.5 * rotation(3))),
    "polar of the identity": (polar, jnp.eye(3)),
    "polar of a tall one": (polar, tall()),
    "complex polar": (polar, tall(complex)),
}


@pytest.mark.parametrize("name", POINTS)
def test_functions_of_the_space(name):
    function, a = POINTS[name]
    weights = RNG.normal(size=a.shape)
    a_dot = RNG.normal(size=a.shape)
    if function is projector:
        a_dot = (a_dot + a_dot.T) / 2
    a_dot = jnp.asarray(a_dot, a.dtype)

    def loss(a):
        return jnp.sum(weights * function(a).real)

    expected = (loss(a + STEP * a_dot) - loss(a - STEP * a_dot)) / (2 * STEP)
    for gradient in (jaxbp.grad(loss), jax.jit(jaxbp.grad(loss))):
        found = jnp.sum(gradient(a) * a_dot).real
        np.testing.assert_allclose(found, expected, rtol=1e-7)  # differences: 1e-9
    rows = jaxbp.jacrev(lambda a: function(a).real.ravel())(a)
    assert np.all(np.isfinite(rows))


def test_what_turns_the_basis_has_no_derivative():
    """One vector of a plane, or a function of vectors and values together."""
    a = jnp.diag(jnp.array([1.0, 1.0, 3.0]))
    one = jaxbp.grad(lambda a: jnp.linalg.eigh(a)[1][1, 0])(a)
    assert not np.all(np.isfinite(one))

    def squared(a):
        w, v = jnp.linalg.eigh(a)
        return jnp.sum((v * w[None] ** 2 @ v.T)[0])

    assert not np.any(np.isfinite(jaxbp.grad(squared)(jnp.eye(3))))


def test_values_alone():
    a = hermitian([1.0, 1.0, 3.0])
    found = jaxbp.grad(lambda a: jnp.sum(jnp.linalg.eigvalsh(a) ** 3))(a)
    np.testing.assert_allclose(found, 3 * a @ a, atol=1e-13)


@pytest.mark.parametrize("lower", [True, False])
def test_eigh_reads_one_triangle(lower):
    """As cholesky does: without symmetrizing, the other triangle does not count."""

    def values(a):
        return linalg.eigh(a, lower=lower, symmetrize_input=False)[1]

    a, a_dot = hermitian([1.0, 2.0, 4.0]), jnp.asarray(RNG.normal(size=(3, 3)))
    expected = (values(a + STEP * a_dot) - values(a - STEP * a_dot)) / (2 * STEP)
    np.testing.assert_allclose(jaxbp.jvp(values, (a,), (a_dot,))[1], expected, 1e-7)
    gradient = jaxbp.grad(lambda a: values(a)[0])(a)
    np.testing.assert_allclose(jnp.sum(gradient * a_dot), expected[0], 1e-7)
