"""Derivatives that JAX does not have, or not there: against mpmath.

Numbers of many digits are its derivatives, computed with 40.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy import special

import jaxbp

AT_ZERO = {  # their derivatives at 0 from the first on, by the series
    "i0": (special.i0, [0, 1 / 2, 0]),
    "i1": (special.i1, [1 / 2, 0, 3 / 8]),
    "x^0.": (lambda x: x ** jnp.array(0.0), [0, 0, 0]),
    "x^1.": (lambda x: x ** jnp.array(1.0), [1, 0, 0]),
    "x^2.": (lambda x: x ** jnp.array(2.0), [0, 2, 0]),
    "x^3.": (lambda x: x ** jnp.array(3.0), [0, 0, 6]),
}


@pytest.mark.parametrize("name", AT_ZERO)
def test_at_zero(name):
    f, expected = AT_ZERO[name]
    for value in expected:
        f = jaxbp.grad(f)
        np.testing.assert_allclose(f(0.0), value, atol=1e-15)


BESSEL = [  # order, x, I', I''
    (0, 0.09, 0.04504557787993894, 0.5015196044987289),
    (0, 0.11, 0.05508322945093865, 0.5022706570531326),
    (0, 2.5, 2.5167162452886984, 2.283152645934644),
    (0, -0.09, -0.04504557787993894, 0.5015196044987289),
    (0, -3.0, -3.9533702174026093, 3.5630025133974876),
    (1, 0.09, 0.5015196044987289, 0.033787982207511454),
    (1, 0.11, 0.5022706570531326, 0.041319359624002364),
    (1, 2.5, 2.283152645934644, 2.0061297861610328),
    (1, -0.09, 0.5015196044987289, -0.033787982207511454),
    (1, -3.0, 3.5630025133974876, -3.204966070425959),
]


@pytest.mark.parametrize(("order", "x", "first", "second"), BESSEL)
def test_bessel_functions_near_zero(order, x, first, second):
    """On both sides of where the series ends. At 3 terms of 5 cancel to the result."""
    slope = jaxbp.grad((special.i0, special.i1)[order])
    np.testing.assert_allclose(slope(x), first, rtol=1e-12)
    np.testing.assert_allclose(jaxbp.grad(slope)(x), second, rtol=1e-12)


GAMMA = [  # a, x, the derivatives of P(a, x) by (a, a), (a, x) and (x, x)
    (2.1, 1.4, 0.131796681016651, -0.05079068945216583, -0.07311195962785252),
    (0.3, 5.0, -0.010111517753331838, 0.003731961830679907, -0.0008322511738008998),
    (40.0, 38.0, 0.003168238459632257, -0.0024375756791265735, 0.0016557748522628068),
    (3.0, 0.01, 5.637325148918962e-06, -0.0002736475227287355, 0.009850995845804223),
]


@pytest.mark.parametrize(("a", "x", "by_aa", "by_ax", "by_xx"), GAMMA)
def test_second_derivatives_of_gammainc(a, x, by_aa, by_ax, by_xx):
    hessian = jaxbp.hessian(special.gammainc, (0, 1))
    for found in (hessian(a, x), jax.jit(hessian)(a, x)):
        expected = [[by_aa, by_ax], [by_ax, by_xx]]  # JAX's own has 10 digits by a
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    if a == 2.1:
        np.testing.assert_allclose(found[0][0], by_aa, rtol=1e-13)


BETA = [  # a, b, x, the derivatives of I_x(a, b) by a and by b
    (2.1, 1.4, 0.3, -0.13371331188890265, 0.11620683331368349),
    (0.5, 0.5, 0.9, -0.2768155243583512, 0.5926200221433794),
    (30.0, 2.0, 0.97, -0.011177067200527769, 0.2586720305140628),
    (5.0, 80.0, 0.05, -0.17914014986152793, 0.009971717605635635),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("a", "b", "x", "by_a", "by_b"), BETA)
def test_betainc_by_its_parameters(a, b, x, by_a, by_b, dtype):
    rtol = 1e-11 if dtype is np.float64 else 1e-3  # logarithms of 1e2, exponentiated
    args = tuple(jnp.full(2, v, dtype) for v in (a, b, x))
    gradient = jaxbp.grad(lambda *args: special.betainc(*args).sum(), (0, 1))
    for found in (gradient(*args), jax.jit(gradient)(*args)):
        for g, value in zip(found, (by_a, by_b), strict=True):
            assert g.dtype == dtype
            np.testing.assert_allclose(g, np.full(2, value), rtol=rtol)


def test_the_ends_of_betainc():
    ends = jnp.array([0.0, 1.0])
    found = jaxbp.grad(lambda a: special.betainc(a, jnp.ones(2), ends).sum())(2 + ends)
    np.testing.assert_array_equal(found, np.zeros(2))


def test_logsumexp_of_minus_infinity():
    """Beside finite ones its slope is 0. Alone it has none that rules could find.

    logsumexp is no call of its own but exp, a sum and log: there exp's slope 0 meets
    log's infinite one. An exp that ended it with 0 at -inf would say so of log(exp(x))
    too, which is x, and hide that -log(exp(x)), a loss, is infinite. The limit of one
    element's slope is 1, that of several depends on how they fall; 0 is a convention.
    """
    gradient = jaxbp.grad(jax.nn.logsumexp)
    mixed = gradient(jnp.array([-np.inf, 1.0, 1.0, -np.inf]))
    np.testing.assert_allclose(mixed, [0, 0.5, 0.5, 0], rtol=1e-15)
    assert np.isnan(gradient(-np.inf)) and np.all(
        np.isnan(gradient(jnp.full(2, -np.inf)))
    )


TRIGAMMA = [  # x, psi', psi''
    (-0.5, 8.93480220054467931, -0.828796644234319996),
    (-8.7, 14.9708246297758559, -68.8493237997164786),
    (-18.0555, 327.905061979058439, 11698.3313698609896),
    (-30.25, 19.7066913419630481, 124.024049429090055),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("x", "first", "second"), TRIGAMMA)
def test_digamma_below_zero(x, first, second, dtype):
    """JAX's own is wrong below -8: it has 339,142 below zero at -9.0555."""
    rtol = 1e-13 if dtype is np.float64 else 1e-4  # of x by its last place
    twice = jaxbp.grad(jaxbp.grad(jax.lax.lgamma))
    for derivative in (jaxbp.grad(jax.lax.digamma), jax.jit(twice)):
        np.testing.assert_allclose(derivative(dtype(x)), first, rtol=rtol)
        rtol_second = 1e-12 if dtype is np.float64 else 1e-3
        found = jaxbp.grad(derivative)(dtype(x))
        np.testing.assert_allclose(found, second, rtol=rtol_second)
