"""How eigenvectors turn within the space that they span, where values may meet.

V_dot = V (F * P) with F_ij = 1 / (w_j - w_i): where w_i = w_j the vectors are arbitrary
within their plane and have no derivative. A function may have one all the same. In
reverse mode it is told by what reaches the pull:

- Let w be unused. Among matrices near A there are some whose vectors, in the limit, are
  any basis of the plane; a function of V alone that is continuous at A is then the same
  for every basis of it. So its cotangent T of V^T V_dot has no part that turns the
  basis, T_ij = conj(T_ji); and moving A within the plane, which changes w and the basis
  alone, does not change the function: that part of the cotangent of P is 0.
- Where T turns the basis, the function has no derivative: not finite.
- Where w is used, V and w together may stand for any function of the matrix, whose
  derivative (of w^2 in V w^2 V^H, say) is in neither of the two cotangents: not finite.

Two values count as one where their gap is within the rounding of the factorization.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import ir
from ..errors import NonlinearTangent
from ..linear.base import Edge, LinearMap
from .matrix import adjoint, columns, diagonal, identity, rows

ROUNDINGS = 8  # per row and column, of values and of cotangents


def gaps_inverted(w, one):
    """1 / (w_j - w_i) off the diagonal, 0 on it."""
    gaps = rows(w, one.shape) - columns(w, one.shape)
    return lax.integer_pow(gaps + one, -1) - one


@dataclass(slots=True, unsafe_hash=True)
class Turn(LinearMap):
    """P (..., n, n), Hermitian, to F * P and Re diag(P); residuals: the values w."""

    dtype: np.dtype  # of P

    def push(self, residuals, x_dots):
        (w,), (p,) = residuals, x_dots
        inverted = gaps_inverted(lax.convert_element_type(w, p.dtype), identity(p))
        return [lax.mul(inverted, p), diagonal(_real(p))]

    def pull(self, residuals, y_bars):
        (w,), (turn_bar, w_bar) = residuals, y_bars
        p_bar = None
        if turn_bar is not None:
            one = identity(turn_bar)
            inverted = gaps_inverted(lax.convert_element_type(w, one.dtype), one)
            if w_bar is None:
                inverted = jnp.where(_settled(w, turn_bar), 0 * one, inverted)
            p_bar = lax.mul(inverted, turn_bar)
        if w_bar is not None:
            shape = (*w_bar.shape, w_bar.shape[-1])
            whole = rows(lax.convert_element_type(w_bar, self.dtype), shape)
            on_diagonal = lax.mul(whole, identity(whole))
            p_bar = on_diagonal if p_bar is None else p_bar + on_diagonal
        return [p_bar]


def _real(x):
    return lax.real(x) if jnp.issubdtype(x.dtype, np.complexfloating) else x


def _settled(w, turn_bar):
    """Where two values are one and no cotangent turns their vectors: (..., n, n)."""
    n = w.shape[-1]
    rounding = ROUNDINGS * n * float(jnp.finfo(w.dtype).eps)
    gaps = lax.abs(rows(w, turn_bar.shape) - columns(w, turn_bar.shape))
    largest = jnp.max(lax.abs(w), axis=-1, keepdims=True, initial=0)[..., None]
    turning = lax.abs(turn_bar - adjoint(turn_bar))
    size = jnp.max(lax.abs(turn_bar), axis=(-2, -1), keepdims=True, initial=0)
    return (gaps <= rounding * largest) & (turning <= rounding * size)


def turned(walker, p, w, p_dots) -> list:
    """Dots of F * P and of the values, from that of P."""
    outs = [ir.Hole(ir.typeof(p)), w]
    return walker.extend([Edge(Turn(p.dtype), (w,), (0,), (0, 1))], p_dots, outs)


def nonlinear(name) -> NonlinearTangent:
    return NonlinearTangent(
        f"a derivative rule must be linear in its tangents, but `{name}` of one of "
        "them is not. Correct the rule's formula."
    )
