"""Flops of matrix factorizations and solves, most of which XLA leaves uncounted.

The counts of Golub and Van Loan, Matrix Computations, 3rd edition 1996: exact to the
leading power for direct methods; typical for iterative ones (eigenvalues, singular
values), whose number of sweeps depends on the matrix.
"""

import math

from .flat import Step


def _matrix(step: Step) -> tuple[int, int, int]:
    """(number of matrices, longer side, shorter side) of the first operand."""
    *batch, rows, columns = step.ins[0].aval.shape
    return math.prod(batch), max(rows, columns), min(rows, columns)


def cubic(factor: float):
    """factor n^3 for each square matrix."""

    def flops(step):
        count, n, _ = _matrix(step)
        return factor * count * n**3

    return flops


def eigen(plain: float, *options: str, vectors: float):
    """n^3 times `vectors` where an option of the primitive asks for vectors."""

    def flops(step):
        wanted = any(step.params.get(option) for option in options)
        return cubic(vectors if wanted else plain)(step)

    return flops


def lu(step):
    """m n^2 - n^3/3 for m >= n: 2 n^3 / 3 of a square matrix."""
    count, m, n = _matrix(step)
    return count * (m * n**2 - n**3 / 3)


def householder(step):
    """2 n^2 (m - n/3) to find n reflections, as many to multiply them out."""
    count, m, n = _matrix(step)
    return 2 * count * n**2 * (m - n / 3)


def qr(step):
    return 2 * householder(step)


def svd(step):
    """Chan's R-SVD: values alone, with the thin, or with all singular vectors."""
    count, m, n = _matrix(step)
    if not step.params.get("compute_uv", True):
        return count * (2 * m * n**2 + 2 * n**3)
    if step.params.get("full_matrices", True):
        return count * (4 * m**2 * n + 22 * n**3)
    return count * (6 * m * n**2 + 20 * n**3)


def triangular_solve(step):
    """n^2 for each right-hand side: n operations an element of them."""
    return step.ins[1].aval.size * step.ins[0].aval.shape[-1]


def tridiagonal_solve(step):
    """Thomas: 3 operations a row to eliminate, 5 for each right-hand side."""
    diagonal, right = step.ins[1].aval, step.ins[3].aval
    return 3 * diagonal.size + 5 * right.size


FACTORIZATIONS = {
    "cholesky": cubic(1 / 3),
    "eig": eigen(
        10, "compute_left_eigenvectors", "compute_right_eigenvectors", vectors=25
    ),
    "eigh": cubic(9),  # the primitive has vectors computed always
    "geqp3": householder,
    "geqrf": householder,
    "hessenberg": cubic(10 / 3),
    "householder_product": householder,
    "lu": lu,
    "qr": qr,
    "schur": eigen(10, "compute_schur_vectors", vectors=25),
    "svd": svd,
    "triangular_solve": triangular_solve,
    "tridiagonal": cubic(4 / 3),
    "tridiagonal_solve": tridiagonal_solve,
}
