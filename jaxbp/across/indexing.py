"""Terms of what is read and written at computed places."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import ir
from .factor import ONE, Factor
from .places import Axis, Index, Label, along
from .term import Term

DROPS = lax.GatherScatterMode.FILL_OR_DROP
CLIPS = lax.GatherScatterMode.CLIP


def _known(array) -> bool:
    """Whether the numbers are there: not traced, and not only a type."""
    return isinstance(array, int | np.ndarray | np.generic) or (
        isinstance(array, jax.Array) and not ir.is_tracer(array)
    )


def _clipped(start, most: int):
    """`start` in bounds; None of a type, which is all that a plan has."""
    if _known(start):
        return np.clip(np.asarray(start), 0, most).astype(np.int32)
    if not isinstance(start, jax.Array):
        return None
    return jnp.clip(start.astype(np.int32), 0, most)


def at_index(axis: Axis, labels: tuple[Label, ...], array) -> Axis:
    """`axis` moved by an array of positions; by numbers alone where they are known and
    evenly spaced."""
    if isinstance(array, np.ndarray):
        if array.ndim == 0:
            return axis._replace(start=axis.start + int(array))
        if array.ndim == 1 and array.size > 1:
            first, step = int(array[0]), int(array[1]) - int(array[0])
            if step and (np.diff(array) == step).all():
                steps = (*axis.steps, (labels[0], step))
                return axis._replace(start=axis.start + first, steps=steps)
    return axis._replace(index=Index(labels, array))


def _axes(shape) -> tuple[Axis, ...]:
    return tuple([along(size) for size in shape])


def _dynamic(part: tuple[Axis, ...], starts, shape) -> tuple[Axis, ...]:
    """The axes of a part as positions in an array of this shape."""
    found = []
    for axis, start, size in zip(part, starts, shape, strict=True):
        most = size - axis.size
        own = Axis(size, 0, axis.steps)
        found.append(own if most == 0 else at_index(own, (), _clipped(start, most)))
    return tuple(found)


def _dynamic_slice(it) -> Term | None:
    if it.place:
        return None
    out = _axes(it.y.shape)
    return Term(out, _dynamic(out, it.residuals, it.x.shape))


def _dynamic_update_slice(it) -> Term | None:
    starts = it.residuals[-len(it.y.shape) :] if it.y.shape else ()
    if it.place == 1:
        of = _axes(it.x.shape)
        return Term(_dynamic(of, starts, it.y.shape), of)
    update = it.operands[1]
    if update is None:  # held: the first of the residuals
        update = it.residuals[0]
    axes = _axes(it.y.shape)
    labels = tuple([label for axis in axes for label in axis.labels])
    array: Any = None
    if all(_clipped(start, 0) is not None for start in starts):
        gone = jnp.zeros(update.shape, bool)
        array = lax.dynamic_update_slice(jnp.ones(it.y.shape, bool), gone, starts)
        array = array.reshape([label.size for label in labels])
    return Term(axes, axes, Factor(labels, array, True))


def _gather(it) -> Term | None:
    if it.place:
        return None
    numbers, sizes = it.params["dimension_numbers"], it.params["slice_sizes"]
    removed = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    whole, part, factor = _windows(
        it.residuals[0],
        it.x.shape,
        it.y.shape,
        numbers.offset_dims,
        removed,
        numbers.start_index_map,
        (numbers.operand_batching_dims, numbers.start_indices_batching_dims),
        sizes,
        it.params["mode"] == DROPS,
    )
    return Term(part, whole, factor)


def _scatter_add(it) -> Term | None:
    if it.place == 0:
        axes = _axes(it.y.shape)
        return Term(axes, axes)
    numbers = it.params["dimension_numbers"]
    removed = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    windows = iter(numbers.update_window_dims)
    sizes = [
        1 if axis in removed else it.x.shape[next(windows)]
        for axis in range(len(it.y.shape))
    ]
    indices = it.residuals[-1] if len(it.residuals) == 1 else it.residuals[0]
    if len(it.residuals) != 1:  # the operand or the updates are held as well
        kinds = [r for r in it.residuals if not ir.differentiable_dtype(r.dtype)]
        if len(kinds) != 1:
            return None
        indices = kinds[0]
    whole, part, factor = _windows(
        indices,
        it.y.shape,
        it.x.shape,
        numbers.update_window_dims,
        removed,
        numbers.scatter_dims_to_operand_dims,
        (numbers.operand_batching_dims, numbers.scatter_indices_batching_dims),
        sizes,
        it.params["mode"] != CLIPS,
    )
    return Term(whole, part, factor)


def _scatter(it) -> Term | None:
    """As `scatter-add`, but what is written over is gone."""
    if it.place:
        return _scatter_add(it)
    indices = [r for r in it.residuals if not ir.differentiable_dtype(r.dtype)]
    updates = [r for r in it.residuals if ir.differentiable_dtype(r.dtype)]
    shape = (updates[0] if updates else it.operands[2]).shape
    axes = _axes(it.y.shape)
    labels = tuple([label for axis in axes for label in axis.labels])
    array: Any = None
    if len(indices) != 1:
        return None
    if _known(indices[0]) or isinstance(indices[0], jax.Array):
        kept = jnp.ones(it.y.shape, bool)
        params = {k: v for k, v in it.params.items() if k in _SCATTERED}
        array = lax.scatter(kept, indices[0], jnp.zeros(shape, bool), **params)
        array = array.reshape([label.size for label in labels])
    return Term(axes, axes, Factor(labels, array, True))


_SCATTERED = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")


def _windows(
    indices, shape, part_shape, offsets, removed, indexed, batched, sizes, drops
):
    """The axes of the whole array, those of the windows, and a mask of those inside.

    Args:
      offsets: axes of the windows' array that lie along the whole array's.
      removed: axes of the whole array that windows lack.
      indexed: per index of a place, the axis of the whole array.
      batched: axes of the whole array, and axes of the indices, that go together.
      drops: what is out of bounds is left out; else it is moved inside, as compiled
        programs do where bounds were promised.
    """
    part = _axes(part_shape)
    batch = [part[i] for i in range(len(part)) if i not in offsets]
    labels = tuple([label for axis in batch for label in axis.labels])
    grid = [label.size for label in labels]
    inside = iter([part[i] for i in offsets])
    along_batch = {}
    for axis, place in zip(*batched, strict=True):
        along_batch[axis] = batch[place]
    whole, mask = [], None
    for axis, size in enumerate(shape):
        if axis in along_batch:
            whole.append(along_batch[axis])
            continue
        own = Axis(size) if axis in removed else Axis(size, 0, next(inside).steps)
        if axis in indexed:
            given = _column(indices, indexed.index(axis), grid)
            most = size - sizes[axis]
            if given is not None and drops:
                fits = (given >= 0) & (given <= most)
                if not _known(fits) or not np.all(fits):
                    mask = fits if mask is None else mask & fits
            if given is not None:
                given = _clipped(given, most)
            own = at_index(own, labels, given)
        whole.append(own)
    factor = ONE
    if mask is not None:
        factor = Factor(labels, mask, True)
    elif drops and not _known(indices):
        factor = Factor(labels, None, True)
    return tuple(whole), part, factor


def _column(indices, place: int, grid):
    if _known(indices):
        return np.asarray(indices)[..., place].reshape(grid).astype(np.int32)
    if not isinstance(indices, jax.Array):
        return None
    return indices[..., place].reshape(grid).astype(np.int32)


MOVES_BY_INDEX = {
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "gather": _gather,
    "scatter-add": _scatter_add,
    "scatter": _scatter,
    "scatter_add": _scatter_add,
}
