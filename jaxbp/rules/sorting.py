"""Sorting and selection: the tangents are permuted as the values are."""

import numpy as np
from jax import lax
from jax.extend.core.primitives import approx_top_k_p, sort_p, top_k_p

from .registry import general


def _take_along(x, indices, axis):
    """x at `indices` along `axis`, the other axes in step; no index occurs twice."""
    others = tuple(i for i in range(indices.ndim) if i != axis)
    numbers = lax.GatherDimensionNumbers(
        offset_dims=(),
        collapsed_slice_dims=(axis,),
        start_index_map=(axis,),
        operand_batching_dims=others,
        start_indices_batching_dims=others,
    )
    return lax.gather(
        x,
        lax.expand_dims(indices, (indices.ndim,)),
        numbers,
        slice_sizes=(1,) * indices.ndim,
        unique_indices=True,
        mode="promise_in_bounds",
    )


# The places are sorted along with the values; they tell where each output comes from.
def _sort_jvp(primals, tangents, *, dimension, num_keys, **params):
    shape = primals[0].shape
    dtype = np.int32 if shape[dimension] < 2**31 else np.int64
    places = lax.broadcasted_iota(dtype, shape, dimension)
    *ys, order = sort_p.bind(
        *primals, places, dimension=dimension, num_keys=num_keys, **params
    )
    return ys, [
        None if x_dot is None else _take_along(x_dot, order, dimension)
        for x_dot in tangents
    ]


general("sort", jvp=_sort_jvp)


def _top_k_jvp(primals, tangents, *, axis, **params):
    y, places = top_k_p.bind(*primals, axis=axis, **params)
    return [y, places], [_take_along(tangents[0], places, axis), None]


general("top_k", jvp=_top_k_jvp)


def _approx_top_k_jvp(primals, tangents, *, reduction_dimension, **params):
    y, places = approx_top_k_p.bind(
        *primals, reduction_dimension=reduction_dimension, **params
    )
    axis = reduction_dimension % y.ndim
    return [y, places], [_take_along(tangents[0], places, axis), None]


general("approx_top_k", jvp=_approx_top_k_jvp)
