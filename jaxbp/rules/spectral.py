"""Eigenvalues and singular values, of matrices without repeated ones.

Where two of them meet, vectors have no derivative, and the tangents are not finite, as
in JAX. Every tangent is written for a single matrix; all leading axes are batched.
Source: Giles 2008, "An extended collection of matrix derivative results", Oxford
NA-08/01, sections 3.1 and 3.2.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core.primitives import eig_p, eigh_p, svd_p
from jax.numpy.linalg import solve

from ..errors import MissingRule
from .matrix import (
    adjoint,
    columns,
    conjugate,
    diagonal,
    identity,
    matmul,
    rows,
)
from .registry import general


def _gaps_inverted(w, one):
    """1 / (w_j - w_i) off the diagonal, 0 on it."""
    gaps = rows(w, one.shape) - columns(w, one.shape)
    return lax.integer_pow(gaps + one, -1) - one


# eig: A v_j = w_j v_j, with A V = V diag(w). With P = V^-1 A_dot V:
#   w_dot = diag(P),  V_dot = V (F * P) + V diag(c),  F_ij = 1 / (w_j - w_i), F_jj = 0.
# c_j is what the normalisation leaves: LAPACK's v_j has norm 1, and its largest element
# v_kj is real, so with u_j = (V (F * P))_j:
#   c_j = -Re(v_j^H u_j) - i Im(u_kj) / v_kj.
# Left eigenvectors are right eigenvectors of A^H, whose eigenvalues are conj(w).


def _eig_jvp(primals, tangents, **params):
    (a,), (a_dot,) = primals, tangents  # (..., n, n)
    left, right = (params[f"compute_{s}_eigenvectors"] for s in ("left", "right"))
    if (left or right) and not params.get("enable_eigvec_derivs", True):
        raise MissingRule(
            "eigenvectors of a nonsymmetric matrix have a derivative only where the "
            "eigenvalues are distinct, which cannot be checked. Pass "
            "enable_eigvec_derivs=True to jax.lax.linalg.eig to say that they are."
        )
    # The vectors serve the tangents in a way in which their normalisation cancels.
    full = {"compute_right_eigenvectors": True, "enable_eigvec_derivs": True}
    outs = eig_p.bind(a, **{**params, **full})
    w, v = outs[0], outs[-1]
    a_dot = lax.convert_element_type(a_dot, v.dtype)
    p = solve(v, matmul(a_dot, v))
    dots = [diagonal(p)]
    if left:
        v_left = outs[1]
        p_left = solve(v_left, matmul(adjoint(a_dot), v_left))
        dots.append(_eigenvectors_dot(conjugate(w), v_left, p_left))
    if right:
        dots.append(_eigenvectors_dot(w, v, p))
    return list(outs[: len(dots)]), dots


def _eigenvectors_dot(w, v, p):
    u = matmul(v, lax.mul(_gaps_inverted(w, identity(v)), p))
    rows_axis = v.ndim - 2
    largest = lax.expand_dims(lax.argmax(lax.abs(v), rows_axis, np.int32), (rows_axis,))
    places = lax.broadcasted_iota(np.int32, v.shape, rows_axis)
    at_largest = lax.eq(places, lax.broadcast_in_dim(largest, v.shape, range(v.ndim)))

    def picked(x):
        zero = lax.full_like(x, 0)
        return lax.reduce_sum(lax.select(at_largest, x, zero), (rows_axis,))

    along = lax.reduce_sum(lax.real(lax.mul(conjugate(v), u)), (rows_axis,))
    turning = lax.div(picked(lax.imag(u)), picked(lax.real(v)))
    c = lax.neg(lax.complex(along, turning))
    return u + lax.mul(v, rows(c, v.shape))


general("eig", jvp=_eig_jvp)


# eigh: A = V diag(w) V^H. With P = V^H A_dot V:
#   w_dot = Re diag(P),  V_dot = V (F * P),  F_ij = 1 / (w_j - w_i), F_ii = 0.


def _eigh_jvp(primals, tangents, **params):
    (a,), (a_dot,) = primals, tangents  # (..., n, n)
    _refuse_subset("eigh", params, a.shape[-1])
    v, w = eigh_p.bind(a, **params)
    p = matmul(adjoint(v), matmul(a_dot, v))
    inverted = _gaps_inverted(lax.convert_element_type(w, v.dtype), identity(v))
    return [v, w], [matmul(v, lax.mul(inverted, p)), diagonal(_real(p))]


def _real(x):
    return lax.real(x) if jnp.issubdtype(x.dtype, np.complexfloating) else x


def _refuse_subset(name, params, count):
    subset = params.get("subset_by_index")
    if subset is not None and tuple(subset) != (0, count):
        raise MissingRule(
            f"`{name}` has a derivative for all {count} vectors together, but "
            f"`subset_by_index` is {subset}. Leave it out and select from the result."
        )


general("eigh", jvp=_eigh_jvp)


# svd: A = U diag(s) V^H, with U (m, k), V (n, k), k = min(m, n). With P = U^H A_dot V:
#   s_dot = Re diag(P),
#   U^H U_dot = F * (P S + S P^H) + D,  V^H V_dot = F * (S P + P^H S),
#   F_ij = 1 / (s_j^2 - s_i^2), F_ii = 0, and D = i diag(Im P_jj / s_j): only U turns.
# What A_dot moves out of the spaces spanned is added where there is room:
#   U_dot += (1 - U U^H) A_dot V S^-1  if m > n,
#   V_dot += (1 - V V^H) A_dot^H U S^-1  if n > m.


def _svd_jvp(primals, tangents, *, full_matrices, compute_uv, **params):
    (a,), (a_dot,) = primals, tangents  # (..., m, n)
    m, n = a.shape[-2:]
    if compute_uv and full_matrices and m != n:
        raise MissingRule(
            f"all singular vectors of a matrix of shape {(m, n)} have no derivative: "
            f"{abs(m - n)} of them may turn freely. Pass full_matrices=False."
        )
    if compute_uv:
        _refuse_subset("svd", params, min(m, n))
    s, u, v_h = svd_p.bind(a, full_matrices=False, compute_uv=True, **params)
    v, moved = adjoint(v_h), matmul(a_dot, adjoint(v_h))  # A_dot V
    if not compute_uv:
        along = lax.reduce_sum(_real(lax.mul(conjugate(u), moved)), (u.ndim - 2,))
        return [s], [along]
    p = matmul(adjoint(u), moved)
    u_dot, v_dot = _turned(s, u, v, p)
    if m > n:
        u_dot = u_dot + lax.div(moved - matmul(u, p), _along(s, u))
    if n > m:
        moved_back = matmul(adjoint(a_dot), u) - matmul(v, adjoint(p))
        v_dot = v_dot + lax.div(moved_back, _along(s, v))
    return [s, u, v_h], [diagonal(_real(p)), u_dot, adjoint(v_dot)]


def _turned(s, u, v, p):
    """U_dot and V_dot within the spaces that U and V span."""
    one, p_h, s_wide = identity(p), adjoint(p), lax.convert_element_type(s, p.dtype)
    by_column, by_row = rows(s_wide, p.shape), columns(s_wide, p.shape)
    gaps = lax.mul(by_column + by_row, by_column - by_row)
    inverted = lax.integer_pow(gaps + one, -1) - one
    u_turn = lax.mul(inverted, lax.mul(p, by_column) + lax.mul(p_h, by_row))
    v_turn = lax.mul(inverted, lax.mul(p, by_row) + lax.mul(p_h, by_column))
    if p.dtype != s.dtype:
        u_turn = u_turn + _phase(s, p)
    return matmul(u, u_turn), matmul(v, v_turn)


def _phase(s, p):
    """D: the diagonal of U^H U_dot, 0 where s is 0."""
    skew = lax.mul(p - adjoint(p), identity(p)) * 0.5
    zero = lax.eq(s, lax.full_like(s, 0))
    divisor = lax.select(zero, lax.full_like(s, np.inf), s)
    return lax.div(skew, _along(divisor, p))


def _along(s, like):
    """s, one per column, in the shape and dtype of `like`."""
    return rows(lax.convert_element_type(s, like.dtype), like.shape)


general("svd", jvp=_svd_jvp)
