"""The Schur form and the functions of matrices computed by it.

Against central differences, scipy, and the equations that define them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from jax.scipy import linalg

import jaxbp

RNG = np.random.default_rng(3)
STEP = 1e-5
EXACT = 1e-11  # a few hundred roundings times the inverse gap of two eigenvalues
DIFFERENCES = 2e-7  # theirs are about 1e-9 here


def matrix(*shape, dtype=float):
    x = RNG.normal(size=shape)
    return jnp.asarray(x + 1j * RNG.normal(size=shape) if dtype is complex else x)


def positive(dtype=float):
    """Far from the cut of the square root."""
    return matrix(4, 4, dtype=dtype) + 6 * jnp.eye(4, dtype=dtype)


def turning():
    """Real, with a pair of complex eigenvalues before and after real ones."""
    q = np.linalg.qr(RNG.normal(size=(6, 6)))[0]
    t = np.diag([1.0, 1.0, 3.0, -2.0, -1.0, -1.0]) + np.triu(RNG.normal(size=(6, 6)), 1)
    t[1, 0], t[5, 4], t[0, 1], t[4, 5] = -0.7, 1.3, 1.1, -0.4
    return jnp.asarray(q @ t @ q.T)


def separate():
    """Real, with real eigenvalues apart, and not normal."""
    q = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
    t = np.diag([1.0, 2.0, 4.0, 7.0]) + np.triu(RNG.normal(size=(4, 4)), 1)
    return jnp.asarray(q @ t @ q.T)


def difference(function, x, x_dot):
    high, low = function(x + STEP * x_dot), function(x - STEP * x_dot)
    return jax.tree.map(lambda a, b: (a - b) / (2 * STEP), high, low)


def close(found, expected, rtol):
    size = max(1.0, float(jnp.max(jnp.abs(expected))))
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * size)


def assert_both_modes(function, x, ways=(lambda f: f, jax.jit)):
    """The pushforward against differences, the pullback against the pushforward."""
    x_dot = matrix(*x.shape, dtype=complex if x.dtype == complex else float)
    y_bar = matrix(*x.shape, dtype=complex if function(x).dtype == complex else float)
    for ad in ways:
        push = ad(lambda x, x_dot: jaxbp.jvp(function, (x,), (x_dot,)))
        y, y_dot = push(x, x_dot)
        close(y, function(x), EXACT)
        close(y_dot, difference(function, x, x_dot), DIFFERENCES)
        (x_bar,) = ad(lambda x, y_bar: jaxbp.vjp(function, x)[1](y_bar))(x, y_bar)
        assert x_bar.dtype == x.dtype
        left, right = jnp.sum(y_bar * y_dot).real, jnp.sum(x_bar * x_dot).real
        close(left, right, EXACT)


def second_along(function, x, rtol=1e-6):
    """Both second derivatives against differences of the first."""
    x_dot = matrix(*x.shape)
    y_bar = matrix(*x.shape)

    def loss(x):
        return jnp.sum(y_bar * jnp.real(function(x)))

    gradient = jax.jit(jaxbp.grad(loss))
    expected = difference(gradient, x, x_dot)
    close(jaxbp.jvp(gradient, (x,), (x_dot,))[1], expected, rtol)
    (again,) = jaxbp.vjp(gradient, x)[1](x_dot)
    close(again, expected, rtol)


@pytest.mark.parametrize("dtype", [float, complex])
def test_sqrtm(dtype):
    assert_both_modes(linalg.sqrtm, positive(dtype))


@pytest.mark.parametrize("dtype", [float, complex])
def test_sqrtm_satisfies_its_sylvester_equation(dtype):
    a, a_dot = positive(dtype), matrix(4, 4, dtype=dtype)
    x, x_dot = jaxbp.jvp(linalg.sqrtm, (a,), (a_dot,))
    close(x @ x_dot + x_dot @ x, a_dot.astype(complex), 1e-13)
    np.testing.assert_array_equal(x, linalg.sqrtm(a))
    expected = scipy.linalg.solve_sylvester(np.array(x), np.array(x), np.array(a_dot))
    close(x_dot, expected, 1e-13)


def test_sqrtm_where_eigenvalues_meet():
    """X = sqrt(A) has a derivative there: at 4 I, X_dot = A_dot / 4."""
    a, a_dot = 4 * jnp.eye(3), matrix(3, 3)
    close(jaxbp.jvp(linalg.sqrtm, (a,), (a_dot,))[1], a_dot.astype(complex) / 4, 1e-15)
    gradient = jaxbp.grad(lambda a: jnp.sum(a_dot * linalg.sqrtm(a).real))
    close(gradient(a), a_dot / 4, 1e-15)
    second_along(linalg.sqrtm, a)


def test_second_derivatives_of_sqrtm():
    second_along(linalg.sqrtm, positive())


def test_sqrtm_under_vmap():
    stack = jnp.stack([positive(), positive()])

    def loss(a):
        return jnp.sum(jnp.sin(linalg.sqrtm(a).real))

    found = jax.vmap(jaxbp.grad(loss))(stack)
    for a, gradient in zip(stack, found, strict=True):
        close(gradient, jaxbp.grad(loss)(a), EXACT)
    pushed = jaxbp.jvp(jax.vmap(linalg.sqrtm), (stack,), (stack,))[1]
    close(pushed, jax.vmap(linalg.sqrtm)(stack) / 2, EXACT)  # homogeneous: degree 1/2


def test_a_function_of_the_same_name():
    """A user's own `_sqrtm` is differentiated as it is written."""

    @jax.jit
    def _sqrtm(a):
        return a @ a

    x = matrix(3, 3)
    np.testing.assert_allclose(jaxbp.jvp(_sqrtm, (x,), (x,))[1], 2 * x @ x)


# The loops of funm take long to compile: each function once, under jit alone.
@pytest.mark.parametrize("dtype", [float, complex])
def test_funm(dtype):
    real = dtype is float
    a, function = (
        (turning() / 2, jnp.sin) if real else (matrix(4, 4, dtype=dtype), jnp.exp)
    )
    assert_both_modes(lambda a: linalg.funm(a, function), a, [jax.jit])


@pytest.mark.parametrize("dtype", [float, complex])
def test_funm_as_frechet_derivative_of_scipy(dtype):
    a, a_dot = matrix(4, 4, dtype=dtype), matrix(4, 4, dtype=dtype)
    expected = scipy.linalg.expm_frechet(np.array(a), np.array(a_dot))[1]
    for exponential in (lambda a: linalg.funm(a, jnp.exp), linalg.expm):
        y_dot = jaxbp.jvp(exponential, (a,), (a_dot,))[1]
        close(y_dot, expected, EXACT)


def test_second_derivative_of_funm():
    """A B + B A of the square of A + s B, by s twice: 2 B B."""
    a, a_dot = turning() / 2, matrix(6, 6)

    def slope(a):
        return jaxbp.jvp(lambda a: linalg.funm(a, jnp.square), (a,), (a_dot,))[1]

    found = jax.jit(lambda a: jaxbp.jvp(slope, (a,), (a_dot,))[1])(a)
    close(found, (2 * a_dot @ a_dot).astype(complex), 1e-9)


def test_how_far_funm_divides():
    """Its estimate of its error has a derivative like any number."""
    a, a_dot = matrix(3, 3, dtype=complex), matrix(3, 3, dtype=complex)

    def estimate(a):
        return linalg.funm(a, lambda z: z * 1e15, disp=False)[1]

    found = jaxbp.jvp(estimate, (a,), (a_dot,))[1]
    assert np.isfinite(found)


REAL = {
    "real eigenvalues": separate,
    "pairs": turning,
    "one pair": lambda: jnp.array([[1.0, 2.0], [-0.5, 0.7]]),
}


@pytest.mark.parametrize("name", REAL)
def test_real_schur_form(name):
    """Both factors against differences: LAPACK fixes them but for signs."""
    a = REAL[name]()
    a_dot = matrix(*a.shape)
    found = jaxbp.jvp(linalg.schur, (a,), (a_dot,))[1]
    for one, expected in zip(found, difference(linalg.schur, a, a_dot), strict=True):
        close(one, expected, DIFFERENCES)


def test_complex_schur_form():
    """A_dot is that of U T U^H, with T_dot triangular and no phase in U^H U_dot."""
    a, a_dot = matrix(4, 4, dtype=complex), matrix(4, 4, dtype=complex)
    (t, u), (t_dot, u_dot) = jaxbp.jvp(linalg.schur, (a,), (a_dot,))
    turn = u.conj().T @ u_dot
    close(turn + turn.conj().T, jnp.zeros((4, 4)), EXACT)
    np.testing.assert_allclose(jnp.diag(turn), np.zeros(4), atol=1e-13)
    np.testing.assert_array_equal(jnp.tril(t_dot, -1), np.zeros((4, 4)))
    rebuilt = u_dot @ t @ u.conj().T + u @ t_dot @ u.conj().T + u @ t @ u_dot.conj().T
    close(rebuilt, a_dot, EXACT)


@pytest.mark.parametrize("dtype", [float, complex])
def test_functions_of_the_schur_form(dtype):
    """Of eigenvalues, and of projectors on spaces that the leading vectors span."""
    a = turning() if dtype is float else matrix(4, 4, dtype=dtype)

    def smooth(a):
        t, u = linalg.schur(a)
        leading = u[:, :2]
        return leading @ leading.conj().T + jnp.trace(t @ t @ t) * jnp.eye(
            a.shape[0], dtype=a.dtype
        )

    assert_both_modes(smooth, a)


def test_a_block_that_is_a_rotation():
    """Its vectors turn freely, but functions of the matrix have their derivative."""
    a, a_dot = jnp.array([[0.6, -0.8], [0.8, 0.6]]), matrix(2, 2)
    found = jaxbp.jvp(lambda a: linalg.funm(a, jnp.exp), (a,), (a_dot,))[1]
    close(found, scipy.linalg.expm_frechet(np.array(a), np.array(a_dot))[1], EXACT)


def test_stacks_and_values_alone():
    stack = jnp.stack([turning(), turning()])
    stack_dot = matrix(*stack.shape)

    def form(a):
        return jax.lax.linalg.schur(a, compute_schur_vectors=False)[0]

    found = jaxbp.jvp(form, (stack,), (stack_dot,))[1]
    for k in range(2):
        each = jaxbp.jvp(form, (stack[k],), (stack_dot[k],))[1]
        close(found[k], each, EXACT)


def test_equal_eigenvalues_are_not_finite():
    a, a_dot = jnp.eye(3, dtype=complex), matrix(3, 3, dtype=complex)
    assert not np.all(np.isfinite(jaxbp.jvp(linalg.schur, (a,), (a_dot,))[1][0]))
