"""Slices and gathers at computed places: linear in the values."""

import numpy as np
from jax import lax

from .. import ir
from ..linear import in_place
from ..linear.base import Edge, Params
from ..linear.labels import Form
from ..linear.primitive import hold
from ..linear.read_back import read_back
from .registry import MOVES, linear, register
from .shape import nothing


def _dynamic_slice_transpose(y_bar, x, *starts, slice_sizes, **params):
    return in_place.write(nothing(x, y_bar), y_bar, starts)


linear(
    "dynamic_slice",
    transpose=_dynamic_slice_transpose,
    form=Form("moves", window=lambda it, starts: starts),
)


def _dynamic_update_slice_transpose(y_bar, x, update, *starts, **params):
    if ir.is_tracer(y_bar) and in_place.is_part(update.shape, x):
        update_bar = in_place.read(y_bar, starts, update.shape, linear=True)
        x_bar = in_place.cleared(y_bar, starts, update_bar)
        return [x_bar, update_bar, *[None for _ in starts]]
    cleared = nothing(update, y_bar)
    x_bar = in_place.write(y_bar, cleared, starts)
    update_bar = in_place.window(y_bar, starts, update.shape)
    return [x_bar, update_bar, *[None for _ in starts]]


linear(
    "dynamic_update_slice",
    transpose=_dynamic_update_slice_transpose,
    operands=(0, 1),
    form=MOVES,
)


# gather: the cotangents of places read several times are added: a scatter-add. What is
# read out of bounds is a constant, so tangents are filled with 0 there.
def scatter_numbers(numbers):
    """The scatter that writes where a gather with these numbers reads."""
    return lax.ScatterDimensionNumbers(
        update_window_dims=numbers.offset_dims,
        inserted_window_dims=numbers.collapsed_slice_dims,
        scatter_dims_to_operand_dims=numbers.start_index_map,
        operand_batching_dims=numbers.operand_batching_dims,
        scatter_indices_batching_dims=numbers.start_indices_batching_dims,
    )


def meet_whole(numbers: lax.ScatterDimensionNumbers) -> bool:
    """Whether windows within an operand that begin at different places do not meet."""
    indexed = set(numbers.scatter_dims_to_operand_dims)
    apart = indexed.issubset(numbers.inserted_window_dims)
    return apart and not numbers.operand_batching_dims


def are_known_apart(x, indices, numbers: lax.ScatterDimensionNumbers) -> bool:
    """Whether all windows of `x` are known to lie inside, each at its own place."""
    at = ir.known(indices) if meet_whole(numbers) else None
    if at is None:
        return False
    axes = list(numbers.scatter_dims_to_operand_dims)
    shape = np.array(x.shape)[axes]
    at = at.reshape(-1, len(axes)).astype(np.int64)
    if not ((at >= 0) & (at < shape)).all():
        return False
    places = np.ravel_multi_index(tuple(at.T), tuple(shape))
    return np.unique(places).size == places.size


def _gather_transpose(
    y_bar,
    x,
    indices,
    *,
    dimension_numbers,
    unique_indices,
    indices_are_sorted,
    mode,
    slice_sizes,
    **params,
):
    how = dict(mode=mode, slice_sizes=slice_sizes)
    found = read_back(y_bar, x, indices, dimension_numbers=dimension_numbers, **how)
    if found is not None:
        return found
    numbers = scatter_numbers(dimension_numbers)
    once = not ir.placed(x) and are_known_apart(x, indices, numbers)
    how = lax.scatter if once else lax.scatter_add  # written: sooner than added
    return how(
        nothing(x, y_bar),
        indices,
        y_bar,
        numbers,
        indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices or once,
        mode=mode,
    )


def _gather_onto(it, residuals, y_bar, x_bar):
    params = it.params
    return lax.scatter_add(
        x_bar,
        residuals[0],
        y_bar,
        scatter_numbers(params["dimension_numbers"]),
        indices_are_sorted=params["indices_are_sorted"],
        unique_indices=params["unique_indices"],
        mode=params["mode"],
    )


GATHER = Form("moves", onto=_gather_onto)


def _gather_rule(walker, primitive, values, dots, params):
    outs = ir.evaluate(primitive, values, params)
    if dots[0] is None:
        return outs, [None]
    filled_with_0 = Params(params | {"fill_value": 0})
    edge_map, residuals = hold(
        primitive, values, filled_with_0, 0, _gather_transpose, GATHER
    )
    edge = Edge(edge_map, residuals, (0,), (0,))
    return outs, walker.extend([edge], dots, outs)


register("gather", _gather_rule, kind="moves")
