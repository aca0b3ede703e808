"""Reductions and cumulative operations."""

from jax import lax

from .registry import general, linear


def _sum_transpose(y_bar, x, *, axes, **params):
    kept = tuple(axis for axis in range(len(x.shape)) if axis not in axes)
    return lax.broadcast_in_dim(y_bar, x.shape, kept)


linear("reduce_sum", transpose=_sum_transpose, kind="reduce")


# y = max x along axes. The tangent is the mean of the tangents at the places that attain
# it (one place, unless there are ties).
def _extremum(reduce):
    def jvp(primals, tangents, *, axes, **params):
        (x,), (x_dot,) = primals, tangents
        y = reduce(x, axes)
        kept = tuple(axis for axis in range(x.ndim) if axis not in axes)
        at = lax.eq(x, lax.broadcast_in_dim(y, x.shape, kept))
        weight = lax.convert_element_type(at, x_dot.dtype)
        count = lax.reduce_sum(weight, axes)
        return y, lax.div(lax.reduce_sum(lax.mul(x_dot, weight), axes), count)

    return jvp


general("reduce_max", jvp=_extremum(lambda x, axes: lax.reduce_max(x, axes)))
general("reduce_min", jvp=_extremum(lambda x, axes: lax.reduce_min(x, axes)))


def _cumsum_transpose(y_bar, x, *, axis, reverse):
    return lax.cumsum(y_bar, axis, not reverse)


linear("cumsum", transpose=_cumsum_transpose, kind="reduce")
