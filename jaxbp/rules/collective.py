"""Collectives over named axes: linear, each the transpose of another.

A sum over an axis and a copy along it are transposes; under vmap with an axis name,
where every place holds a copy of the sum, psum is its own transpose, as in JAX.
"""

import jax.numpy as jnp
from jax import lax

from .. import ir
from ..linear.labels import Form, summing
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


def _psum_labels(it, x, y, residuals):
    """Of sums over axes of the array itself; over a mesh's it is an operator."""
    axes = it.params["axes"]
    if any(not isinstance(axis, int) for axis in axes):
        return None
    return summing(x, axes)


linear("psum", transpose=_psum_transpose, form=Form("sums", _psum_labels))


# Inside shard_map types say along which axes a value varies: psum there takes the axes
# off the type, and a cast puts them back.
linear(
    "psum_invariant",
    transpose=lambda y_bar, x, *, axes: lax.pcast(y_bar, axes, to="varying"),
)
linear("pvary", transpose=lambda y_bar, x, *, axes: lax.psum(y_bar, axes))


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


def _all_gather_invariant_transpose(
    y_bar, x, *, all_gather_dimension, axis_name, axis_size, tiled
):
    length = y_bar.shape[all_gather_dimension] // axis_size
    start = lax.axis_index(axis_name) * length
    own = lax.dynamic_slice_in_dim(y_bar, start, length, all_gather_dimension)
    return own if tiled else lax.squeeze(own, (all_gather_dimension,))


linear("all_gather_invariant", transpose=_all_gather_invariant_transpose)


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


# A value that is *unreduced* along an axis is the sum of what the devices hold; the
# cotangent of such a value is *reduced*, the same on all of them, and the other way
# round: casts and collectives between the two are transposes of one another.
linear(
    "all_gather_reduced",
    transpose=lambda y_bar, x, *, all_gather_dimension, axis_name, tiled, **params: (
        lax.psum_scatter(
            y_bar, axis_name, scatter_dimension=all_gather_dimension, tiled=tiled
        )
    ),
)
linear(
    "unreduced_reduce_scatter",
    transpose=lambda y_bar, x, *, axis_name, scatter_dimension, tiled, **params: (
        lax.all_gather(
            y_bar, axis_name, axis=scatter_dimension, tiled=tiled, to="reduced"
        )
    ),
)
linear("preduced", transpose=lambda y_bar, x, *, axes: lax.psum(y_bar, axes))
linear(
    "unreduced_psum",
    transpose=lambda y_bar, x, *, axes: lax.pcast(y_bar, axes, to="reduced"),
)


def _cast_to(state):
    def transpose(y_bar, x, *, axes):
        return lax.pcast(y_bar, axes, to=state)

    return transpose


for suffix in ("", "_p"):  # part of the name up to JAX 0.11
    linear(f"reduced_vary_cast{suffix}", transpose=_cast_to("unreduced"))
    linear(f"vary_unreduced_cast{suffix}", transpose=_cast_to("varying"))


def _ppermute_transpose(y_bar, x, *, axis_name, perm):
    return lax.ppermute(y_bar, axis_name, [(to, source) for source, to in perm])


linear("ppermute", transpose=_ppermute_transpose)


def _pbroadcast_transpose(y_bar, x, *, axis_name, source):
    total = lax.psum(y_bar, axis_name)
    here = lax.axis_index(axis_name) == source
    return jnp.where(here, total, jnp.zeros_like(total))


linear("pbroadcast", transpose=_pbroadcast_transpose)
linear(
    "pbroadcast_dynamic",
    transpose=lambda y_bar, x, source, *, axis_name: _pbroadcast_transpose(
        y_bar, x, axis_name=axis_name, source=source
    ),
)


# Rows go from `operand` to the places in `output` that the offsets say, and overwrite
# what stands there. Going back, rows return along the same ways, and `output` gets the
# cotangent of the rows that were not overwritten.
def _ragged_all_to_all_transpose(
    y_bar, operand, output, starts, sent, targets, received, **params
):
    axis_name = params["axis_name"]
    targets = lax.all_to_all(targets, axis_name, 0, 0, tiled=True)
    starts = lax.all_to_all(starts, axis_name, 0, 0, tiled=True)
    operand_bar = lax.ragged_all_to_all(
        y_bar, ir.zeros(ir.tangent_aval(operand)), targets, received, starts, sent,
        axis_name=axis_name, axis_index_groups=params["axis_index_groups"],
    )  # fmt: skip
    rows = jnp.arange(y_bar.shape[0], dtype=targets.dtype)[None]
    first, last = targets[:, None], (targets + received)[:, None]
    written = jnp.any((first <= rows) & (rows < last), 0)
    written = written.reshape(-1, *[1] * (y_bar.ndim - 1))
    output_bar = jnp.where(written, jnp.zeros_like(y_bar), y_bar)
    return [operand_bar, output_bar, None, None, None, None]


linear("ragged_all_to_all", transpose=_ragged_all_to_all_transpose, operands=(0, 1))
