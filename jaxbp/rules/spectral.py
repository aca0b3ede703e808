"""Eigenvalues and singular values.

Where two of them meet, vectors have no derivative, and tangents are not finite, as in
JAX. Of what depends on the space alone that the vectors span there is a cotangent: see
`turning`. Every tangent is written for a single matrix; all leading axes are batched.
Source: Giles 2008, "An extended collection of matrix derivative results", Oxford
NA-08/01, sections 3.1 and 3.2.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core.primitives import eig_p
from jax.numpy.linalg import solve

from .. import ir
from ..errors import MissingRule
from .matrix import (
    adjoint,
    columns,
    conjugate,
    diagonal,
    half_lower,
    identity,
    matmul,
    rows,
)
from .registry import general, register
from .turning import gaps_inverted, nonlinear, turned

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
    u = matmul(v, lax.mul(gaps_inverted(w, identity(v)), p))
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


# eigh: A = V diag(w) V^H is read from one triangle, as cholesky's is (JAX takes a
# tangent that is not Hermitian as if it were). With P = V^H A_dot V:
#   w_dot = Re diag(P),  V_dot = V (F * P),  F_ij = 1 / (w_j - w_i), F_ii = 0.


def _eigh_rule(walker, primitive, values, dots, params):
    (a,) = values  # (..., n, n)
    _refuse_subset("eigh", params, ir.typeof(a).shape[-1])
    v, w = ir.evaluate(primitive, values, params)
    if type(a) is ir.Hole:
        raise nonlinear("eigh")

    def projected(primals, tangents):
        (a_dot,) = tangents
        half = half_lower(a_dot if params.get("lower", True) else adjoint(a_dot))
        p = matmul(adjoint(v), matmul(half + adjoint(half), v))
        return [p], [p]

    (p,), p_dots = walker.through(projected, values, dots, {})
    turn, w_dot = turned(walker, p, w, p_dots)

    def vectors(primals, tangents):
        return [v], [None if tangents[0] is None else matmul(v, tangents[0])]

    _, v_dots = walker.through(vectors, [p], [turn], {})
    return [v, w], [*v_dots, w_dot]


register("eigh", _eigh_rule)


def _real(x):
    return lax.real(x) if jnp.issubdtype(x.dtype, np.complexfloating) else x


def _refuse_subset(name, params, count):
    subset = params.get("subset_by_index")
    if subset is not None and tuple(subset) != (0, count):
        raise MissingRule(
            f"`{name}` has a derivative for all {count} vectors together, but "
            f"`subset_by_index` is {subset}. Leave it out and select from the result."
        )


# svd: A = U diag(s) V^H, with U (m, k), V (n, k), k = min(m, n). With P = U^H A_dot V,
# H = (P + P^H) / 2 and K = (P - P^H) / 2:
#   s_dot = Re diag(P),
#   U^H U_dot = F * H + G * K + D,  V^H V_dot = F * H - G * K,
#   F_ij = 1 / (s_j - s_i), G_ij = 1 / (s_j + s_i), F_ii = G_ii = 0, and
#   D = i diag(Im P_jj / s_j): only U turns.
# These are Giles's, where F_ij = 1 / (s_j^2 - s_i^2), in parts: what is singular where
# two values meet turns U and V alike, and U V^H not at all.
# What A_dot moves out of the spaces spanned is added where there is room:
#   U_dot += (1 - U U^H) A_dot V S^-1  if m > n,
#   V_dot += (1 - V V^H) A_dot^H U S^-1  if n > m.


def _svd_rule(walker, primitive, values, dots, params):
    (a,) = values  # (..., m, n)
    if type(a) is ir.Hole:
        raise nonlinear("svd")
    m, n = a.shape[-2:]
    full_matrices, compute_uv = params["full_matrices"], params["compute_uv"]
    if compute_uv and full_matrices and m != n:
        raise MissingRule(
            f"all singular vectors of a matrix of shape {(m, n)} have no derivative: "
            f"{abs(m - n)} of them may turn freely. Pass full_matrices=False."
        )
    if compute_uv:
        _refuse_subset("svd", params, min(m, n))
    found = primitive.bind(a, **{**params, "full_matrices": False, "compute_uv": True})
    if not compute_uv:
        return walker.through(_values_jvp(*found), values, dots, {})
    s, u, v_h = found
    v = adjoint(v_h)

    def projected(primals, tangents):
        (a_dot,) = tangents
        p = matmul(adjoint(u), matmul(a_dot, v))
        return [p], [(p + adjoint(p)) * 0.5]

    (p,), h_dots = walker.through(projected, values, dots, {})
    turn, s_dot = turned(walker, p, s, h_dots)

    def vectors(primals, tangents):
        u_dot, v_dot = _moved(s, u, v, tangents[1])
        if tangents[0] is not None:
            u_dot = u_dot + matmul(u, tangents[0])
            v_dot = v_dot + matmul(v, tangents[0])
        return [u, v_h], [u_dot, adjoint(v_dot)]

    _, vector_dots = walker.through(vectors, [p, a], [turn, dots[0]], {})
    return [s, u, v_h], [s_dot, *vector_dots]


def _values_jvp(s, u, v_h):
    def jvp(primals, tangents):
        moved = matmul(tangents[0], adjoint(v_h))
        along = lax.reduce_sum(_real(lax.mul(conjugate(u), moved)), (u.ndim - 2,))
        return [s], [along]

    return jvp


def _moved(s, u, v, a_dot):
    """U_dot and V_dot, but for the turn F * H that both share."""
    m, n = a_dot.shape[-2:]
    moved = matmul(a_dot, v)
    p = matmul(adjoint(u), moved)
    one, wide = identity(p), lax.convert_element_type(s, p.dtype)
    sums = rows(wide, p.shape) + columns(wide, p.shape)
    inverted = lax.select(lax.ne(one, lax.full_like(one, 0)), 0 * one, 1 / sums)
    apart = lax.mul(inverted, (p - adjoint(p)) * 0.5)
    u_turn = apart if p.dtype == s.dtype else apart + _phase(s, p)
    u_dot, v_dot = matmul(u, u_turn), lax.neg(matmul(v, apart))
    if m > n:
        u_dot = u_dot + lax.div(moved - matmul(u, p), _along(s, u))
    if n > m:
        back = matmul(adjoint(a_dot), u) - matmul(v, adjoint(p))
        v_dot = v_dot + lax.div(back, _along(s, v))
    return u_dot, v_dot


def _phase(s, p):
    """D: the diagonal of U^H U_dot, 0 where s is 0."""
    skew = lax.mul(p - adjoint(p), identity(p)) * 0.5
    zero = lax.eq(s, lax.full_like(s, 0))
    divisor = lax.select(zero, lax.full_like(s, np.inf), s)
    return lax.div(skew, _along(divisor, p))


def _along(s, like):
    """s, one per column, in the shape and dtype of `like`."""
    return rows(lax.convert_element_type(s, like.dtype), like.shape)


register("svd", _svd_rule)
