"""Operations on stacks of matrices, (..., m, n), shared by the rules of linear algebra.

They are made of `lax` primitives: tangents pass through them at the cost of one `bind`.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core.primitives import triangular_solve_p

from .. import ir


def transposed(x):
    """x^T."""
    if x.ndim == 2:
        return lax.transpose(x, (1, 0))
    return lax.transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def conjugate(x):
    """The complex conjugate; a real x is itself."""
    return lax.conj(x) if jnp.issubdtype(x.dtype, np.complexfloating) else x


def adjoint(x):
    """x^H: transposed and conjugated."""
    return transposed(conjugate(x))


def matmul(a, b):
    """a b, batched over the leading axes, at the highest precision."""
    batch = tuple(range(a.ndim - 2))
    contracted = ((a.ndim - 1,), (b.ndim - 2,))
    numbers = contracted, (batch, batch)
    return lax.dot_general(a, b, numbers, precision=lax.Precision.HIGHEST)


_FEW = 4096  # numbers: a mask of so few is a constant, and no residual of a loop's step
_BY_NUMPY = {
    lax.ge: np.greater_equal,
    lax.gt: np.greater,
    lax.le: np.less_equal,
    lax.eq: np.equal,
}


def _mask(x, compare, k: int):
    """Where row minus column compares so with k: (..., m, n) bool."""
    m, n = x.shape[-2:]
    if m * n > _FEW:
        rows = lax.broadcasted_iota(np.int32, x.shape, x.ndim - 2)
        columns = lax.broadcasted_iota(np.int32, x.shape, x.ndim - 1)
        return compare(lax.sub(rows, columns), np.int32(k))
    return _for_all(_small_mask(m, n, compare, k), x)


@functools.lru_cache(maxsize=1024)
def _small_mask(m: int, n: int, compare, k: int) -> np.ndarray:
    offsets = np.subtract.outer(np.arange(m), np.arange(n))
    return _BY_NUMPY[compare](offsets, k)


def _for_all(matrix: np.ndarray, x):
    """A known matrix for each of the matrices x."""
    if x.ndim == 2:
        return matrix
    return lax.broadcast_in_dim(matrix, x.shape, (x.ndim - 2, x.ndim - 1))


def _where(mask, x):
    return lax.select(mask, x, ir.zeros(ir.typeof(x)))


def lower(x, k=0):
    """x on and below diagonal k, 0 above."""
    return _where(_mask(x, lax.ge, -k), x)


def upper(x, k=0):
    """x on and above diagonal k, 0 below."""
    return _where(_mask(x, lax.le, -k), x)


def half_lower(x):
    """Phi(x): x below the diagonal, half of x on it, 0 above.

    The part of x that rebuilds a Hermitian matrix: x = Phi(x) + Phi(x)^H.
    """
    n = x.shape[-1]
    if n * n > _FEW:
        scale = 1 - identity(x) * 0.5
    else:
        scale = _for_all(np.where(np.eye(n, dtype=bool), 0.5, 1.0).astype(x.dtype), x)
    return lax.mul(lower(x), scale)


def identity(x):
    """Identity matrices in the shape and dtype of x."""
    return lax.convert_element_type(_mask(x, lax.eq, 0), x.dtype)


def diagonal(x):
    """The diagonal of square matrices: (..., n)."""
    return lax.reduce_sum(_where(_mask(x, lax.eq, 0), x), (x.ndim - 1,))


def rows(x, shape):
    """Copies the vectors x (..., n) along the rows of `shape` (..., m, n)."""
    return lax.broadcast_in_dim(x, shape, (*range(len(shape) - 2), len(shape) - 1))


def columns(x, shape):
    """Copies the vectors x (..., m) along the columns of `shape` (..., m, n)."""
    return lax.broadcast_in_dim(x, shape, tuple(range(len(shape) - 1)))


def block(x, row_stop=None, column_stop=None, row_start=0, column_start=0):
    """A block of every matrix; the stops default to the ends."""
    m, n = x.shape[-2:]
    stops = (
        m if row_stop is None else row_stop,
        n if column_stop is None else column_stop,
    )
    if (row_start, column_start, *stops) == (0, 0, m, n):
        return x
    start = [0] * (x.ndim - 2) + [row_start, column_start]
    return lax.slice(x, start, [*x.shape[:-2], *stops])


def permute_rows(x, order):
    """Row order[i] of x as row i; x (..., m, n), order (..., m) int."""
    batch = tuple(range(x.ndim - 2))
    numbers = lax.GatherDimensionNumbers(
        offset_dims=(x.ndim - 1,),
        collapsed_slice_dims=(x.ndim - 2,),
        start_index_map=(x.ndim - 2,),
        operand_batching_dims=batch,
        start_indices_batching_dims=batch,
    )
    return lax.gather(
        x,
        lax.expand_dims(order, (order.ndim,)),
        numbers,
        slice_sizes=(1,) * (x.ndim - 1) + (x.shape[-1],),
        unique_indices=True,
        mode="promise_in_bounds",
    )


def solve_triangular(a, b, *, left=True, is_lower=True, unit=False):
    """x in a x = b, or in x a = b with left=False; reads one triangle of a only."""
    return triangular_solve_p.bind(
        a,
        b,
        left_side=left,
        lower=is_lower,
        transpose_a=False,
        conjugate_a=False,
        unit_diagonal=unit,
    )


def solve_adjoint(a, b, *, is_lower=True):
    """x in x a^H = b; reads one triangle of a only."""
    return triangular_solve_p.bind(
        a,
        b,
        left_side=False,
        lower=is_lower,
        transpose_a=True,
        conjugate_a=jnp.issubdtype(a.dtype, np.complexfloating),
        unit_diagonal=False,
    )
