"""Programs of linear algebra as users write them, and where no derivative exists."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.lax import linalg
from jax.scipy import linalg as scipy_linalg
from jax.scipy import special

import jaxbp
from jaxbp.errors import MissingRule

RNG = np.random.default_rng(5)
RTOL = 1e-10  # a few hundred roundings: matrices are well conditioned


def matrix(*shape, dtype=float):
    x = RNG.normal(size=shape)
    if dtype is complex:
        x = x + 1j * RNG.normal(size=shape)
    return x


def positive(n):
    x = matrix(n, n)
    return x @ x.T + 2 * np.eye(n)


def cho_solve(a, b):
    """Of the symmetric part: of the rest, JAX 0.10 has another convention."""
    return scipy_linalg.cho_solve(scipy_linalg.cho_factor((a + a.T) / 2), b)


def assert_as_jax(function, *args):
    """Pushforward and pullback against JAX, with random seeds, under jit."""
    x_dots = tuple(RNG.normal(size=np.shape(x)).astype(x.dtype) for x in args)

    def derivatives(ad):
        _, y_dot = ad.jvp(function, args, x_dots)
        _, pullback = ad.vjp(function, *args)
        return y_dot, pullback(y_dot)

    found, expected = jax.jit(lambda: (derivatives(jaxbp), derivatives(jax)))()
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=RTOL)


PROGRAMS = {
    "cho_solve": (cho_solve, positive(3), matrix(3)),
    "det": (jnp.linalg.det, matrix(2, 3, 3)),
    "det_large": (jnp.linalg.det, matrix(4, 4)),
    "expm": (scipy_linalg.expm, matrix(3, 3)),
    "inv": (jnp.linalg.inv, matrix(2, 3, 3, dtype=complex)),
    "lstsq": (lambda a, b: jnp.linalg.lstsq(a, b)[0], matrix(4, 3), matrix(4, 2)),
    "norm_2": (lambda a: jnp.linalg.norm(a, 2), matrix(3, 4)),
    "norm_nuclear": (lambda a: jnp.linalg.norm(a, "nuc"), matrix(3, 4)),
    "pinv": (jnp.linalg.pinv, matrix(4, 3)),
    "slogdet": (lambda a: jnp.linalg.slogdet(a)[1], matrix(2, 4, 4)),
    "solve": (jnp.linalg.solve, matrix(3, 3, dtype=complex), matrix(3, 2) + 0j),
    "solve_positive": (
        lambda a, b: scipy_linalg.solve(a, b, assume_a="pos"),
        positive(3),
        matrix(3),
    ),
    "solve_stack": (jnp.linalg.solve, matrix(2, 3, 3), matrix(2, 3, 2)),
    "solve_triangular": (
        lambda a, b: scipy_linalg.solve_triangular(a, b, trans="T", lower=True),
        matrix(3, 3) + 3 * np.eye(3),
        matrix(3),
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    function, *args = PROGRAMS[name]
    assert_as_jax(function, *args)


def test_draw_from_the_beta_distribution():
    key, alphas = jax.random.key(0), np.array([0.7, 1.5, 3.0])
    assert_as_jax(lambda a, b: jax.random.beta(key, a, b), alphas, alphas[::-1])


def test_bessel_functions_of_scipy():
    assert_as_jax(lambda x: special.i0(x) + special.i1(x), RNG.normal(size=5))


def by_differences(function, x, x_dot, step=1e-6):
    high, low = function(x + step * x_dot), function(x - step * x_dot)
    return jax.tree.map(lambda a, b: (a - b) / (2 * step), high, low)


@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 4), (2, 3, 5)])
def test_pivoted_qr_permutes_every_matrix(shape):
    """JAX's rule permutes neither the columns of a stack nor those of a wide matrix."""

    def function(a):
        return linalg.qr(a, pivoting=True, full_matrices=False)[:2]

    x, x_dot = jnp.asarray(matrix(*shape)), jnp.asarray(matrix(*shape))
    _, found = jaxbp.jvp(function, (x,), (x_dot,))
    expected = by_differences(function, x, x_dot)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)  # differences: 1e-8


def test_cholesky_reads_its_lower_triangle():
    """Tangents of the upper triangle, which is not read, do not matter."""

    def function(a):
        return linalg.cholesky(a, symmetrize_input=False)

    x, x_dot = jnp.asarray(positive(3)), jnp.asarray(matrix(3, 3))
    _, found = jaxbp.jvp(function, (x,), (x_dot,))
    expected = by_differences(function, x, x_dot)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_second_derivative_of_eigenvalues():
    """JAX refuses it, as it refuses eigenvectors; of eigenvalues it is unambiguous."""
    x, x_dot = jnp.asarray(matrix(3, 3)), jnp.asarray(matrix(3, 3))

    def slope(a):
        return jaxbp.jvp(jnp.linalg.eigvals, (a,), (x_dot,))[1]

    _, found = jaxbp.jvp(slope, (x,), (x_dot,))
    expected = by_differences(slope, x, x_dot)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


ONES = np.ones(3)
REFUSED = {
    "eigenvectors": (lambda a: linalg.eig(a)[1], matrix(3, 3), "enable_eigvec_derivs"),
    "full svd": (lambda a: linalg.svd(a)[0], matrix(4, 3), "full_matrices=False"),
    "part of eigh": (
        lambda a: linalg.eigh(a, subset_by_index=(0, 2))[1],
        matrix(3, 3),
        "subset_by_index",
    ),
    "polygamma": (lambda m: jax.lax.polygamma(m, ONES), ONES, "derivative in `m`"),
    "callback": (
        lambda x: jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x),
        ONES,
        "jax.custom_jvp",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    function, x, message = REFUSED[name]
    x = jnp.asarray(x)
    with pytest.raises(MissingRule, match=message):
        jaxbp.jvp(function, (x,), (x,))


def test_printing_passes(capsys):
    def function(x):
        jax.debug.print("x is {}", x)
        return x * x

    assert jaxbp.grad(function)(3.0) == 6
    jax.effects_barrier()
    assert capsys.readouterr().out == "x is 3.0\n"
