"""Linear systems and triangular factorizations.

Every tangent is written for a single matrix; all leading axes are batched. A^H is the
conjugate transpose, Phi(X) the lower triangle of X with its diagonal halved; _dot
marks a tangent.
Sources: Giles 2008, "An extended collection of matrix derivative results", Oxford
NA-08/01; others at the rules.
"""

from jax import lax
from jax.extend.core.primitives import (
    cholesky_p,
    lu_p,
    qr_p,
    triangular_solve_p,
    tridiagonal_solve_p,
)
from jax.numpy.linalg import solve

from ..linear.base import add
from .matrix import (
    adjoint,
    block,
    conjugate,
    half_lower,
    identity,
    lower,
    matmul,
    permute_rows,
    solve_adjoint,
    solve_triangular,
    transposed,
    upper,
)
from .mixed import mixed
from .registry import general
from .substitution import solved

# cholesky: A = L L^H is read from its lower triangle, A = Phi(A) + Phi(A)^H.
#   A_dot = L_dot L^H + L L_dot^H,  so with M = L^-1 A_dot L^-H = N + N^H, where
#   N = L^-1 L_dot is lower triangular with a real diagonal:  L_dot = L Phi(M).
# JAX before 0.12 takes a tangent that is not Hermitian as if it were.
# Smith 1995; Murray 2016, arXiv:1602.07527.


def _cholesky_jvp(primals, tangents, **params):
    (a,), (a_dot,) = primals, tangents  # (..., n, n)
    factor = lower(cholesky_p.bind(a, **params))
    half = half_lower(a_dot)
    whitened = solve_adjoint(factor, half + adjoint(half))
    whitened = solve_triangular(factor, whitened)
    return factor, matmul(factor, half_lower(whitened))


general("cholesky", jvp=_cholesky_jvp)


# lu: P A = L U, with L (m, k) unit lower and U (k, n) upper, k = min(m, n), packed into
# one matrix. With the index 1 for the leading k rows or columns, 2 for the rest, and
#   F = L1^-1 (P A_dot)_11 U1^-1 = L1^-1 L1_dot + U1_dot U1^-1,
# a strictly lower and an upper triangular matrix are added:
#   L1_dot = L1 tril(F, -1),  L2_dot = (P A_dot)_21 U1^-1 - L2 triu(F),
#   U1_dot = triu(F) U1,      U2_dot = L1^-1 (P A_dot)_12 - tril(F, -1) U2.
# de Hoog, Anderssen and Lukas 2011, "Differentiation of matrix functionals using
# triangular factorization", extended to rectangles without padding them to squares.


def _lu_jvp(primals, tangents, **params):
    (a,), (a_dot,) = primals, tangents  # (..., m, n)
    packed, pivots, order = lu_p.bind(a, **params)
    a_dot = permute_rows(a_dot, order)
    dot = _tall_lu_dot if a.shape[-2] >= a.shape[-1] else _wide_lu_dot
    return [packed, pivots, order], [dot(packed, a_dot), None, None]


def _tall_lu_dot(packed, a_dot):
    k = packed.shape[-1]
    head, rest = block(packed, k), block(packed, row_start=k)
    scaled = solve_triangular(head, a_dot, left=False, is_lower=False)
    f = solve_triangular(head, block(scaled, k), unit=True)
    head_dot = _square_lu_dot(head, f)
    if packed.shape[-2] == k:
        return head_dot
    rest_dot = block(scaled, row_start=k) - matmul(rest, upper(f))
    return lax.concatenate([head_dot, rest_dot], packed.ndim - 2)


def _wide_lu_dot(packed, a_dot):
    k = packed.shape[-2]
    head, rest = block(packed, k, k), block(packed, column_start=k)
    scaled = solve_triangular(head, a_dot, unit=True)
    f = solve_triangular(head, block(scaled, k, k), left=False, is_lower=False)
    rest_dot = block(scaled, column_start=k) - matmul(lower(f, -1), rest)
    return lax.concatenate([_square_lu_dot(head, f), rest_dot], packed.ndim - 1)


def _square_lu_dot(packed, f):
    below = lower(f, -1)  # L = tril(packed, -1) + 1
    return below + matmul(lower(packed, -1), below) + matmul(upper(f), upper(packed))


general("lu", jvp=_lu_jvp)


# qr: A = Q R, with Q^H Q = 1 and R upper triangular; a pivoted A has its columns
# permuted. Let X be the leading k = min(m, n) columns of A_dot, R1 those of R, and
# C = Q^H X R1^-1.
#   Q^H A_dot = W R + R_dot, where W = Q^H Q_dot is skew-Hermitian and R_dot R1^-1 upper
#   triangular with a real diagonal: W = Phi(C) - Phi(C)^H.
#   R_dot = Q^H A_dot - W R,  Q_dot = Q W + (1 - Q Q^H) X R1^-1; the last term is 0
#   unless m > n.
# Walter and Lehmann 2012, arXiv:1001.1654; Roberts and Roberts 2020, arXiv:2009.10071,
# for m < n.
#
# full_matrices, m > n: LAPACK's Q is a product of n reflectors, Q = 1 - V T V^H with
# V = [V1; V2] and V1 (n, n), so the leading n columns fix the others. Split Q by rows
# and columns (n, m - n): Z = Q21 (Q11 - 1)^-1 = V2 V1^-1, and [Q12; Q22] = [0; 1] +
# (Q_1 - [1; 0]) Z^H, where Q_1 are the leading columns. Its tangent contains
# (Q_1 - [1; 0]) (Q11 - 1)^-H, which is V T T^-H V1^-1 = -Q [1; Z], because unitarity
# of Q means T^-1 + T^-H = V^H V:
#   [Q12; Q22]_dot = Q_1_dot Z^H - Q [1; Z] (Q21_dot - Z Q11_dot)^H.
# arXiv:2409.13374, equations 32 and 33.


def _qr_jvp(primals, tangents, *, full_matrices, pivoting, **params):
    (a,), (a_dot,) = primals, tangents  # (..., m, n)
    found = qr_p.bind(a, full_matrices=full_matrices, pivoting=pivoting, **params)
    q, r, *order = found
    if order:
        a_dot = transposed(permute_rows(transposed(a_dot), order[0]))
    m, n = a.shape[-2:]
    complete = full_matrices and m > n
    thin_q, thin_r = (block(q, m, n), block(r, n)) if complete else (q, r)
    q_dot, r_dot = _thin_qr_dot(thin_q, thin_r, a_dot)
    if complete:
        q_dot = lax.concatenate([q_dot, _completed(q, q_dot)], q.ndim - 1)
        below = [(0, 0, 0)] * (r.ndim - 2) + [(0, m - n, 0), (0, 0, 0)]
        r_dot = lax.pad(r_dot, lax.full((), 0, r.dtype), below)
    return list(found), [q_dot, r_dot, *[None for _ in order]]


def _thin_qr_dot(q, r, a_dot):
    k = q.shape[-1]
    leading = block(a_dot, column_stop=k)
    scaled = solve_triangular(block(r, k, k), leading, left=False, is_lower=False)
    c = matmul(adjoint(q), scaled)
    turn = half_lower(c)
    turn = turn - adjoint(turn)
    if r.shape[-1] == k:  # all columns lead: Q^H A_dot = C R
        r_dot = upper(matmul(c - turn, r))
    else:
        r_dot = upper(matmul(adjoint(q), a_dot) - matmul(turn, r))
    if q.shape[-2] == k:
        return matmul(q, turn), r_dot
    return matmul(q, turn - c) + scaled, r_dot


def _completed(q, q_dot):
    """The tangent of Q's last m - n columns, from that of its leading n."""
    n = q_dot.shape[-1]
    q11, q21 = block(q, n, n), block(q, None, n, n)
    z_adjoint = solve(adjoint(q11 - identity(q11)), adjoint(q21))
    z = adjoint(z_adjoint)
    spread = block(q, None, n) + matmul(block(q, column_start=n), z)
    change = block(q_dot, row_start=n) - matmul(z, block(q_dot, n))
    return matmul(q_dot, z_adjoint) - matmul(spread, adjoint(change))


general("qr", jvp=_qr_jvp)


# triangular_solve: op(A) X = B, or X op(A) = B; op transposes, conjugates, or both, and
# only one triangle of A is read.
#   op(A) X_dot = B_dot - op(A_dot) X,  B_bar = op(A)^-T X_bar.
# Giles 2008.


def _triangular_solve_jvp(primals, tangents, *, left_side, **params):
    (a, b), (a_dot, b_dot) = primals, tangents  # (..., n, n), (..., m, k)
    x = triangular_solve_p.bind(a, b, left_side=left_side, **params)
    a_dot = _read(a_dot, **params)
    change = matmul(a_dot, x) if left_side else matmul(x, a_dot)
    right = add(b_dot, lax.neg(change))
    return x, triangular_solve_p.bind(a, right, left_side=left_side, **params)


def _read(a_dot, *, lower: bool, transpose_a, conjugate_a, unit_diagonal):
    """op(A_dot), zero where triangular_solve does not read A."""
    a_dot = _triangle(a_dot, lower, unit_diagonal)
    a_dot = transposed(a_dot) if transpose_a else a_dot
    return conjugate(a_dot) if conjugate_a else a_dot


def _triangle(a_dot, is_lower, strict):
    return lower(a_dot, -strict) if is_lower else upper(a_dot, int(strict))


def _triangular_solve_transpose(x_bar, a, b, *, transpose_a, **params):
    return solved(a, x_bar, transpose_a=not transpose_a, **params)


mixed(
    "triangular_solve",
    operands=(1,),
    transpose=_triangular_solve_transpose,
    jvp=_triangular_solve_jvp,
)


# tridiagonal_solve: T X = B, where row i of T is (lower_i, diagonal_i, upper_i) and the
# first lower and the last upper element are not read.
#   T X_dot = B_dot - T_dot X,  B_bar = T^-T X_bar.


def _tridiagonal_solve_jvp(primals, tangents, **params):
    *bands, _ = primals  # 3 times (..., m)
    *band_dots, b_dot = tangents
    x = tridiagonal_solve_p.bind(*primals, **params)  # (..., m, k)
    right = b_dot
    for shift, band_dot in zip((1, 0, -1), band_dots, strict=True):
        if band_dot is not None:
            along = lax.broadcast_in_dim(band_dot, x.shape, range(x.ndim - 1))
            product = lax.mul(_shifted(along, -shift), x)  # so that x alone is kept
            right = add(right, lax.neg(_shifted(product, shift)))
    return x, tridiagonal_solve_p.bind(*bands, right, **params)


def _shifted(x, by, axis=-2):
    """x moved `by` places along `axis`, zeros moved in."""
    if by == 0:
        return x
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (by, -by, 0)
    return lax.pad(x, lax.full((), 0, x.dtype), config)


def _tridiagonal_solve_transpose(x_bar, below, on, above, b, **params):
    bands = _shifted(above, 1, -1), on, _shifted(below, -1, -1)
    return tridiagonal_solve_p.bind(*bands, x_bar, **params)


mixed(
    "tridiagonal_solve",
    operands=(3,),
    transpose=_tridiagonal_solve_transpose,
    jvp=_tridiagonal_solve_jvp,
)
