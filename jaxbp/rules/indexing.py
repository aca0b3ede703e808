"""Slices and gathers at computed places, and their scatters: linear in the values."""

from jax import lax

from .registry import linear


def _dynamic_slice_transpose(y_bar, x, *starts, slice_sizes):
    zero_x = lax.full(x.shape, 0, y_bar.dtype)
    return lax.dynamic_update_slice(zero_x, y_bar, starts)


linear("dynamic_slice", transpose=_dynamic_slice_transpose)


def _dynamic_update_slice_transpose(y_bar, x, update, *starts):
    x_bar = lax.dynamic_update_slice(
        y_bar, lax.full(update.shape, 0, y_bar.dtype), starts
    )
    update_bar = lax.dynamic_slice(y_bar, starts, update.shape)
    return [x_bar, update_bar, *[None for _ in starts]]


linear(
    "dynamic_update_slice", transpose=_dynamic_update_slice_transpose, operands=(0, 1)
)


# gather: the cotangents of rows read several times are added: a scatter-add.
def _scatter_numbers(numbers):
    return lax.ScatterDimensionNumbers(
        update_window_dims=numbers.offset_dims,
        inserted_window_dims=numbers.collapsed_slice_dims,
        scatter_dims_to_operand_dims=numbers.start_index_map,
        operand_batching_dims=numbers.operand_batching_dims,
        scatter_indices_batching_dims=numbers.start_indices_batching_dims,
    )


def _gather_transpose(
    y_bar,
    x,
    indices,
    *,
    dimension_numbers,
    unique_indices,
    indices_are_sorted,
    mode,
    **params,
):
    return lax.scatter_add(
        lax.full(x.shape, 0, y_bar.dtype),
        indices,
        y_bar,
        _scatter_numbers(dimension_numbers),
        indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices,
        mode=mode,
    )


linear("gather", transpose=_gather_transpose)


# scatter-add: out = x with updates added at places: the operand's cotangent passes, the
# update's is gathered from the places.
def _scatter_add_transpose(
    y_bar,
    x,
    indices,
    updates,
    *,
    dimension_numbers,
    indices_are_sorted,
    unique_indices,
    mode,
    **params,
):
    return [
        y_bar,
        None,
        _gathered(y_bar, indices, updates, dimension_numbers, indices_are_sorted, mode),
    ]


def _gathered(y_bar, indices, updates, numbers, is_sorted, mode):
    """What a scatter with these numbers would have written to: a gather."""
    sizes, windows = [], iter(numbers.update_window_dims)
    removed = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    for axis in range(y_bar.ndim):
        sizes.append(1 if axis in removed else updates.shape[next(windows)])
    return lax.gather(
        y_bar,
        indices,
        lax.GatherDimensionNumbers(
            offset_dims=numbers.update_window_dims,
            collapsed_slice_dims=numbers.inserted_window_dims,
            start_index_map=numbers.scatter_dims_to_operand_dims,
            operand_batching_dims=numbers.operand_batching_dims,
            start_indices_batching_dims=numbers.scatter_indices_batching_dims,
        ),
        slice_sizes=sizes,
        indices_are_sorted=is_sorted,
        mode=mode,
        fill_value=0,
    )


linear("scatter-add", transpose=_scatter_add_transpose, operands=(0, 2))
