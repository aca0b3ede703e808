"""Collectives over named axes: linear, each the transpose of another.

A sum over an axis and a copy along it are transposes; under vmap with an axis name,
where every place holds a copy of the sum, psum is its own transpose, as in JAX.
"""

import jax.numpy as jnp
from jax import lax

from .registry import linear, zero

zero("axis_index")


def _psum_transpose(y_bar, x, *, axes, axis_index_groups):
    named = tuple(a for a in axes if not isinstance(a, int))
    summed = [a for a in axes if isinstance(a, int)]
    if summed:
        kept = [a for a in range(len(x.shape)) if a not in summed]
        y_bar = lax.broadcast_in_dim(y_bar, x.shape, kept)
    if not named:
        return y_bar
    return lax.psum(y_bar, named, axis_index_groups=axis_index_groups)


linear("psum", transpose=_psum_transpose, kind="reduce")


def _all_gather_transpose(
    y_bar, x, *, all_gather_dimension, axis_name, tiled, **params
):
    return lax.psum_scatter(
        y_bar,
        axis_name,
        scatter_dimension=all_gather_dimension,
        axis_index_groups=params["axis_index_groups"],
        tiled=tiled,
    )


linear("all_gather", transpose=_all_gather_transpose)


def _reduce_scatter_transpose(
    y_bar, x, *, scatter_dimension, axis_name, tiled, **params
):
    return lax.all_gather(
        y_bar,
        axis_name,
        axis=scatter_dimension,
        axis_index_groups=params["axis_index_groups"],
        tiled=tiled,
    )


linear("reduce_scatter", transpose=_reduce_scatter_transpose)


def _all_to_all_transpose(y_bar, x, *, axis_name, split_axis, concat_axis, **params):
    return lax.all_to_all(y_bar, axis_name, concat_axis, split_axis, **params)


linear("all_to_all", transpose=_all_to_all_transpose)


def _ppermute_transpose(y_bar, x, *, axis_name, perm):
    return lax.ppermute(y_bar, axis_name, [(to, source) for source, to in perm])


linear("ppermute", transpose=_ppermute_transpose)


def _pbroadcast_transpose(y_bar, x, *, axis_name, source):
    total = lax.psum(y_bar, axis_name)
    here = lax.axis_index(axis_name) == source
    return jnp.where(here, total, jnp.zeros_like(total))


linear("pbroadcast", transpose=_pbroadcast_transpose)
