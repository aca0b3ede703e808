"""The Schur form, and the functions of matrices that JAX computes by it.

Sources: Higham 2008, "Functions of Matrices", doi:10.1137/1.9780898717778; Golub and
Van Loan 2013, "Matrix Computations", section 7.1 and algorithm 9.1.1 (Parlett); the
tangents follow from differentiating A = U T U^H, as in Giles 2008, section 3.1.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.lax import linalg

from .. import ir
from .functions import function
from .matrix import adjoint, conjugate, diagonal, identity, matmul, solve_triangular
from .registry import Rewritten, general

# schur: A = U T U^H with unitary U. With C = U^H A_dot U and W = U^H U_dot, which is
# skew-Hermitian,
#   T_dot = C + T W - W T,  U_dot = U W.
# T_dot is zero where T is. Below the diagonal that says T M - M T = -C, M being the
# part of W below the diagonal: no other part of W enters there, so W = M - M^H. M has
# a solution where the eigenvalues are distinct; where two meet it is not finite.
#
# The decomposition is not unique: D^H T D and U D are another one, for any diagonal D
# of phases. LAPACK picks one that no formula follows; the derivative is that of the
# smooth one through the given point with diag(W) = 0. Of a smooth function of A it
# does not matter which.
#
# A real T has blocks of 2 x 2 on its diagonal for pairs of complex eigenvalues. G, the
# unitary matrix of their eigenvectors, makes G^H T G triangular; M, now below the
# blocks, is that of the complex problem turned back. Within a block [[a, p], [q, d]] a
# rotation w is free; LAPACK keeps a = d (routine dlanv2), hence
#   w = -(T_dot_11 - T_dot_22) / (2 (p + q)),
# and w = 0 where p + q = 0: such a block may turn freely, it is a rotation itself.


_schur_p: Any = ir.primitive("schur")


def _schur_jvp(primals, tangents, **params):
    (a,), (a_dot,) = primals, tangents  # (..., n, n)
    t, u = _schur_p.bind(a, **{**params, "compute_schur_vectors": True})
    c = matmul(adjoint(u), matmul(a_dot, u))
    if jnp.issubdtype(a.dtype, np.complexfloating):
        below = _rows_minus_columns(t) > 0
        m = _lower_unknown(t, c, below)
    else:
        m, below = _real_turn(t, c)
    w = m - adjoint(m)
    t_dot = c + matmul(t, w) - matmul(w, t)
    if not jnp.issubdtype(a.dtype, np.complexfloating):
        turn = _block_turn(t, t_dot)
        t_dot = t_dot + matmul(t, turn) - matmul(turn, t)
        w = w + turn
    t_dot = jnp.where(below, jnp.zeros_like(t_dot), t_dot)
    dots = [t_dot, matmul(u, w)]
    count = 1 + params["compute_schur_vectors"]
    return [t, u][:count], dots[:count]


def _rows_minus_columns(t):
    rows = lax.broadcasted_iota(np.int32, t.shape, t.ndim - 2)
    return rows - lax.broadcasted_iota(np.int32, t.shape, t.ndim - 1)


def _lower_unknown(t, c, unknown):
    """M in T M - M T = -C for upper triangular T, where `unknown`; 0 elsewhere.

    Column j of M follows from those before it: (T - t_jj) m_j = M T e_j - c_j.
    """

    def step(m, column):
        t_j, c_j, unknown_j, place = column
        right = matmul(m, t_j[..., None]) - c_j[..., None]
        t_jj = jnp.sum(t_j * place, axis=-1)
        m_j = _masked_solve(t, -t_jj, unknown_j, right)
        return m + m_j * place[..., None, :], None

    return lax.scan(step, jnp.zeros_like(t), _columns(t, c, unknown))[0]


def _columns(t, *others):
    """What a step of the scans reads: columns of the matrices, where they stand."""
    columns = [jnp.moveaxis(x, -1, 0) for x in (t, *others)]  # (n, ..., n)
    return *columns, jnp.moveaxis(identity(t), -1, 0)


def _masked_solve(t, shift, unknown, right):
    """x (..., n, 1) in (T + shift) x = right in rows and columns marked, else 0."""
    one = identity(t)
    shifted = t + one * shift[..., None, None]
    both = unknown[..., :, None] & unknown[..., None, :]
    right = jnp.where(unknown[..., None], right, jnp.zeros_like(right))
    return solve_triangular(jnp.where(both, shifted, one), right, is_lower=False)


def _pairs(t):
    """Whether a row of a real T is the first, or the second, of a block of two."""
    offsets = _rows_minus_columns(t)
    below = (offsets == 1) & (t != 0)
    return jnp.any(below, axis=-2), jnp.any(below, axis=-1)


def _real_turn(t, c):
    """M of a real T, and where it may differ from 0: below the blocks."""
    first, _ = _pairs(t)
    offsets = _rows_minus_columns(t)
    below = offsets > first[..., None, :].astype(offsets.dtype)
    g = _triangulating(t)
    g_h = adjoint(g)
    t, c = (matmul(g_h, matmul(x.astype(g.dtype), g)) for x in (t, c))
    m = lax.real(matmul(g, matmul(_lower_unknown(t, c, below), g_h)))
    return jnp.where(below, m, jnp.zeros_like(m)), below


def _block_elements(t):
    """Of the block that begins in a row: a, p, q, d (..., n); 0 past the end."""
    n = t.shape[-1]
    on = diagonal(t)
    if n == 1:
        return on, 0 * on, 0 * on, 0 * on
    beside = [(0, 0)] * (t.ndim - 2) + [(0, 1)]
    upper, lower = (
        jnp.pad(jnp.diagonal(t, k, axis1=-2, axis2=-1), beside) for k in (1, -1)
    )
    return on, upper, lower, jnp.pad(on[..., 1:], beside)


def _triangulating(t):
    """G: the eigenvectors (p, (d - a) / 2 + i s) / r of the blocks of a real T."""
    a, p, q, d = _block_elements(t)
    first, second = _pairs(t)
    one = jnp.ones_like(a)
    half = jnp.where(first, (d - a) / 2, 0 * one)
    p = jnp.where(first, p, one)
    s = jnp.sqrt(jnp.where(first, -(half**2 + p * q), one))
    s = jnp.where(first, s, 0 * one)
    r = jnp.sqrt(p**2 + half**2 + s**2)
    v1, v2 = lax.complex(p / r, 0 * r), lax.complex(half / r, s / r)
    offsets = _rows_minus_columns(t)
    v1_before = jnp.roll(v1, 1, axis=-1)
    on = jnp.where(second, v1_before, v1)[..., None] * identity(t).astype(v1.dtype)
    under, over = (offsets == 1).astype(v1.dtype), (offsets == -1).astype(v1.dtype)
    return on + under * v2[..., None, :] - over * conjugate(v2)[..., None]


def _block_turn(t, t_dot):
    """The skew part of W within the blocks of a real T."""
    a_dot, _, _, d_dot = _block_elements(t_dot)
    _, p, q, _ = _block_elements(t)
    first, _ = _pairs(t)
    turns = first & (p + q != 0)
    safe = jnp.where(turns, 2 * (p + q), jnp.ones_like(p))
    w = jnp.where(turns, (d_dot - a_dot) / safe, jnp.zeros_like(p))
    under = (_rows_minus_columns(t) == 1).astype(t.dtype) * w[..., None, :]
    return under - adjoint(under)


general("schur", jvp=_schur_jvp)


# jax.scipy.linalg.sqrtm: X X = A, so X X_dot + X_dot X = A_dot: a Sylvester equation.
# Higham 2008, section 6.1. Its own program reaches X by the Schur form, which has no
# derivative where eigenvalues meet (X has), and by a loop that reverse mode refuses.
# The transposed map is that of X^T; derivatives of it are those of the equation.
def _sqrtm_rule(walker, primitive, values, dots, params):
    def jvp(primals, tangents):
        (x,) = ir.evaluate(primitive, primals, params)  # (n, n), complex

        def applied(f):
            return matmul(x, f) + matmul(f, x)

        x_dot = lax.custom_linear_solve(
            applied,
            ir.cast(tangents[0], x.dtype),
            solve=lambda _, right: _sylvester(x, right),
            transpose_solve=lambda _, right: _sylvester(x.T, right),
        )
        return [x], [x_dot]

    return walker.through(jvp, values, dots, {})


def _sylvester(x, right):
    """F in X F + F X = right, by the Schur form of X."""
    t, u = linalg.schur(x)

    def step(f, column):
        t_j, c_j, place = column
        t_jj = jnp.sum(t_j * place, axis=-1)
        known = c_j[..., None] - matmul(f, t_j[..., None])
        f_j = _masked_solve(t, t_jj, jnp.ones(t_j.shape, bool), known)
        return f + f_j * place[..., None, :], None

    turned = matmul(adjoint(u), matmul(right, u))
    f = lax.scan(step, jnp.zeros_like(t), _columns(t, turned))[0]
    return matmul(u, matmul(f, adjoint(u)))


function("_sqrtm", "jax/_src/scipy/linalg.py", _sqrtm_rule)


# jax.scipy.linalg.funm: F = f(T), from its diagonal, commutes with T (Parlett). Column
# j follows from those before it, with rows above j alone:
#   (T - t_jj) f_j = F T e_j - f_jj T e_j.
# The same values as by its loops over diagonals, which reverse mode refuses. Where two
# eigenvalues are equal this is not finite.
def _parlett(f, t, **params):
    def step(f, column):
        t_j, d_j, above, place = column
        t_jj, f_jj = jnp.sum(t_j * place, axis=-1), jnp.sum(d_j * place, axis=-1)
        known = matmul(f, t_j[..., None]) - (f_jj[..., None] * t_j)[..., None]
        f_j = _masked_solve(t, -t_jj, above, known)
        return f + f_j * place[..., None, :], None

    offsets = _rows_minus_columns(t)
    diagonals = f * identity(f)
    found = lax.scan(step, diagonals, _columns(t, diagonals, offsets < 0))[0]
    apart = jnp.abs(diagonal(t)[..., None, :] - diagonal(t)[..., :, None])
    apart = jnp.where(offsets < 0, apart, jnp.full_like(apart, np.inf))
    return found, jnp.minimum(jnp.min(apart), jnp.abs(t[0, 0]))


function(
    "_algorithm_11_1_1", "jax/_src/third_party/scipy/linalg.py", Rewritten(_parlett)
)
