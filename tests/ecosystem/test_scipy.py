"""What programs call of jax.scipy."""

import jax.numpy as jnp
import jax.scipy as jsp
import pytest

from tests.ecosystem.agreement import agree

A = jnp.array([[0.9, -0.3, 0.2], [0.1, 0.7, -0.4], [-0.5, 0.3, 1.1]])
B = jnp.array([[0.4, -1.2], [0.8, 0.3], [-0.6, 0.5]])
X = jnp.array([0.3, 0.8, 0.55])  # within (0, 1): every function here is smooth there
P = jnp.array([1.7, 0.6, 2.4])


def positive(a):
    """Symmetric and positive definite however `a` moves."""
    return a @ a.T + jnp.eye(3)


PROGRAMS = {
    "linalg.cho_solve": lambda a, b: jsp.linalg.cho_solve(
        jsp.linalg.cho_factor(positive(a), lower=True), b
    ),
    "linalg.expm": lambda a, b: jsp.linalg.expm(a, max_squarings=1) @ b,
    "linalg.lu": lambda a, b: jsp.linalg.lu_solve(jsp.linalg.lu_factor(a), b),
    "linalg.spectrum": lambda a, b: (
        jsp.linalg.eigh(positive(a), eigvals_only=True),
        jsp.linalg.svd(b, compute_uv=False),
        jsp.linalg.det(a),
    ),
    "linalg.triangular": lambda a, b: (
        jsp.linalg.solve_triangular(a, b, lower=True),
        jsp.linalg.block_diag(a, b),
        jsp.linalg.toeplitz(b[:, 0]),
    ),
    "sparse.cg": lambda a, b: jsp.sparse.linalg.cg(
        lambda v: positive(a) @ v, b[:, 0], tol=1e-14
    )[0],
    "signal": lambda a, b: (
        jsp.signal.convolve(a[0], b[:, 0]),
        jsp.signal.convolve2d(a, b, mode="same"),
        jsp.signal.detrend(a),
        jsp.fft.dctn(b),
    ),
    "resampling": lambda a, b: (
        jsp.ndimage.map_coordinates(a, [b[:, 0] + 1.3, b[:, 1] + 1.4], order=1),
        jsp.integrate.trapezoid(a, b[:, 0] + jnp.arange(3.0)),
    ),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_of_matrices(program):
    agree(program, A, B, order=1)


special = jsp.special


def special_functions(x, p):
    return (
        special.gammaln(p), special.expit(p), special.logit(x), special.ndtri(x),
        special.i1e(p), special.xlogy(x, p), special.entr(x), special.polygamma(1, p),
        special.logsumexp(p, b=x), special.multigammaln(p + 2, 2),
    )  # fmt: skip


def test_special_functions():
    agree(special_functions, X, P, order=1)


stats = jsp.stats


def log_densities(x, p):
    """Of x under families with the parameters p: each value, scale and shape moves."""
    return (
        stats.norm.logpdf(x, p, p), stats.norm.logcdf(x, p, p),
        stats.beta.logpdf(x, p, p + 1), stats.gamma.logpdf(x, p, scale=p),
        stats.t.logpdf(x, p + 1, scale=p),
        stats.dirichlet.logpdf(x / x.sum(), p),
        stats.multivariate_normal.logpdf(x, p, positive(A * p)),
        stats.gaussian_kde(p).logpdf(x),
    )  # fmt: skip


def test_log_densities():
    agree(log_densities, X, P, order=1)
