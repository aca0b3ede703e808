"""Linear systems, triangular factorizations, eigenvalues and singular values."""

import functools
import itertools

import jax.numpy as jnp
from jax.lax import linalg

from tests.rules.case import Case, normal

COMPLEX = ("complex",)
SQUARE = (normal(3, 3),)
STACK = (normal(2, 3, 3),)
PHASES = "LAPACK chooses phases of the vectors that no formula follows"
JAX_QR = "JAX permutes the columns of one matrix that is not wide, no others"
FACTOR = "errors grow with the condition number of the triangular factor"
CONDITION = "errors grow with the inverse of the gap between two eigenvalues"


def hermitian(x):
    return (x + jnp.conj(jnp.swapaxes(x, -1, -2))) / 2


def positive(x):
    """Positive definite, condition number below 100."""
    shift = jnp.broadcast_to(3 * jnp.eye(x.shape[-1], dtype=x.dtype), x.shape)
    return x @ jnp.conj(jnp.swapaxes(x, -1, -2)) + shift


def shifted(x):
    """Far from singular in either triangle."""
    return x + jnp.broadcast_to(4 * jnp.eye(x.shape[-1], dtype=x.dtype), x.shape)


def squares(v):
    """What does not depend on the phases of vectors."""
    return jnp.real(v * jnp.conj(v))


def eigh_squares(x):
    v, w = linalg.eigh(hermitian(x))
    return squares(v), w


def svd_squares(x):
    u, s, v = thin_svd(x)
    return squares(u), s, squares(v)


eig = functools.partial(linalg.eig, enable_eigvec_derivs=True)
thin_svd = functools.partial(linalg.svd, full_matrices=False)
thin_qr = functools.partial(linalg.qr, full_matrices=False)
pivoted_qr = functools.partial(linalg.qr, full_matrices=False, pivoting=True)
full_qr = functools.partial(linalg.qr, full_matrices=True)

CASES = [
    Case("cholesky", lambda x: linalg.cholesky(positive(x)), SQUARE),
    Case("cholesky", lambda x: linalg.cholesky(positive(x)), STACK, "stack", COMPLEX),
    Case(
        "eig",
        lambda x: eig(x),
        SQUARE,
        "all",
        COMPLEX,
        rtol=1e-11,
        single=False,
        reason=CONDITION,
    ),
    Case(
        "eig",
        lambda x: eig(x, compute_left_eigenvectors=False),
        STACK,
        "right",
        rtol=1e-11,
        single=False,
        reason=CONDITION,
    ),
    Case(
        "eig",
        lambda x: jnp.linalg.eigvals(x),
        STACK,
        "values",
        COMPLEX,
        rtol=1e-11,
        order=1,
        reason=f"{CONDITION}; JAX refuses the second order",
    ),
    Case(
        "eigh",
        lambda x: linalg.eigh(hermitian(x)),
        SQUARE,
        "vectors",
        COMPLEX,
        rtol=1e-11,
        differences=False,
        reason=PHASES,
    ),
    Case("eigh", eigh_squares, STACK, "stack", rtol=1e-11, reason=CONDITION),
    Case("lu", lambda x: linalg.lu(x), SQUARE, rtol=1e-11, reason=FACTOR),
    Case(
        "lu",
        lambda x: linalg.lu(x),
        (normal(2, 4, 3),),
        "tall",
        rtol=1e-11,
        reason=FACTOR,
    ),
    Case(
        "lu",
        lambda x: linalg.lu(x),
        (normal(2, 3, 4),),
        "wide",
        COMPLEX,
        rtol=1e-11,
        reason=FACTOR,
    ),
    Case("qr", thin_qr, STACK, "square", rtol=1e-11, reason=FACTOR),
    Case("qr", thin_qr, (normal(4, 3),), "tall", COMPLEX, rtol=1e-11, reason=FACTOR),
    Case("qr", thin_qr, (normal(2, 3, 4),), "wide", COMPLEX, rtol=1e-11, reason=FACTOR),
    Case("qr", full_qr, (normal(2, 4, 2),), "full", COMPLEX, rtol=1e-11, reason=FACTOR),
    Case(
        "qr",
        pivoted_qr,
        (normal(4, 3),),
        "pivoted",
        rtol=1e-11,
        vmap=False,
        reason=JAX_QR,
    ),
    Case("svd", thin_svd, (normal(4, 3),), "tall", rtol=1e-11, reason=CONDITION),
    Case("svd", thin_svd, (normal(2, 3, 4),), "wide", rtol=1e-11, reason=CONDITION),
    Case(
        "svd",
        thin_svd,
        (normal(4, 3),),
        "vectors",
        COMPLEX,
        rtol=1e-11,
        differences=False,
        reason=PHASES,
    ),
    Case(
        "svd",
        svd_squares,
        (normal(3, 4),),
        "squares",
        COMPLEX,
        rtol=1e-11,
        reason=CONDITION,
    ),
    Case(
        "svd",
        lambda x: linalg.svd(x, compute_uv=False),
        (normal(2, 4, 3),),
        "values",
        COMPLEX,
        rtol=1e-11,
        reason=CONDITION,
    ),
    Case(
        "svd",
        lambda x: linalg.svd(x, full_matrices=True),
        SQUARE,
        "full",
        rtol=1e-11,
        reason=CONDITION,
    ),
    Case(
        "tridiagonal_solve",
        lambda below, on, above, b: linalg.tridiagonal_solve(below, on + 5, above, b),
        (normal(2, 4), normal(2, 4), normal(2, 4), normal(2, 4, 2)),
        "",
        COMPLEX,
    ),
    Case(
        "tridiagonal_solve",
        lambda b: linalg.tridiagonal_solve(*jnp.full((3, 4), 0.3, b.dtype), b),
        (normal(4, 2),),
        "held",
    ),
]


NAMES = ("lower", "transpose_a", "conjugate_a", "unit_diagonal")
FLAGS = [
    dict(zip(NAMES, flags, strict=True))
    for flags in itertools.product((False, True), repeat=len(NAMES))
]


def triangular(left):
    """Solves with every combination of flags, in one program."""

    def call(a, b):
        solve = functools.partial(linalg.triangular_solve, shifted(a), b)
        return [solve(left_side=left, **flags) for flags in FLAGS]

    return call


CASES += [
    Case(
        "triangular_solve",
        triangular(left=True),
        (normal(3, 3), normal(3, 2)),
        "left",
        COMPLEX,
    ),
    Case(
        "triangular_solve",
        triangular(left=False),
        (normal(3, 3), normal(2, 3)),
        "right",
        COMPLEX,
    ),
    Case(
        "triangular_solve",
        lambda a, b: linalg.triangular_solve(shifted(a), b, left_side=True, lower=True),
        (normal(2, 3, 3), normal(2, 3, 4)),
        "stack",
    ),
    Case(
        "triangular_solve",
        lambda b: linalg.triangular_solve(jnp.eye(3, dtype=b.dtype) * 2, b),
        (normal(2, 3),),
        "held",
    ),
]
