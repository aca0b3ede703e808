"""Primitives that move elements without changing them: all linear.

The cotangent moves back along the same path; what was dropped comes back as zero, what
was repeated is summed.
"""

import numpy as np
from jax import lax

from .. import ir
from ..linear.base import total, unbroadcast
from ..linear.labels import IDENTITY, Form, Labels, along, identity, reshaped
from .registry import MOVES, linear


def nothing(x, y_bar):
    """Zeros like `x` in the type of `y_bar`, which may be wider.

    A custom backward rule may give a cotangent wider than its argument (float8, with
    cotangents in bfloat16), as JAX allows; moving elements keeps it wide.
    """
    return ir.zeros(x if x.dtype == y_bar.dtype else x.update(dtype=y_bar.dtype))


def _broadcast_transpose(y_bar, x, *, shape, broadcast_dimensions, **params):
    added = [axis for axis in range(len(shape)) if axis not in broadcast_dimensions]
    summed = total(y_bar, tuple(added)) if added else y_bar
    return unbroadcast(summed, x.shape)


def _broadcast_labels(it, x, y, residuals):
    count = len(y.shape)
    of = [
        axis if x.shape[i] == y.shape[axis] else count + i
        for i, axis in enumerate(it.params["broadcast_dimensions"])
    ]
    return Labels(tuple(range(count)), tuple(of))


linear(
    "broadcast_in_dim",
    transpose=_broadcast_transpose,
    form=Form("repeats", _broadcast_labels),
)


def _concatenate_transpose(y_bar, *operands, dimension):
    if len(operands) == 1:
        return y_bar
    ends = np.cumsum([x.shape[dimension] for x in operands])
    return [
        lax.slice_in_dim(y_bar, int(end) - x.shape[dimension], int(end), axis=dimension)
        for x, end in zip(operands, ends, strict=True)
    ]


linear("concatenate", transpose=_concatenate_transpose, operands=None, form=MOVES)


def _convert_transpose(y_bar, x, **params):
    return ir.cast(y_bar, x.dtype)


def _convert_labels(it, x, y, residuals):
    drops = np.issubdtype(x.dtype, np.complexfloating) and not np.issubdtype(
        y.dtype, np.complexfloating
    )
    return None if drops else identity(x, y)  # the real part is no complex multiple


linear(
    "convert_element_type",
    transpose=_convert_transpose,
    form=Form("moves", _convert_labels),
)


# pad: out = x with `low`, `high` elements put before and after (negative: taken away)
# and `interior` between. Back: undo the negative parts first, then slice.
def _pad_transpose(y_bar, x, padding_value, *, padding_config):
    if x.shape == () or ir.typeof(y_bar).size == 0:
        x_bar = y_bar if x.shape == () else nothing(x, y_bar)
    else:
        back = [(-low, -high, 0) for low, high, _ in padding_config]
        whole = lax.pad(y_bar, np.zeros((), y_bar.dtype), back)
        steps = [interior + 1 for _, _, interior in padding_config]
        x_bar = lax.slice(whole, [0] * whole.ndim, whole.shape, steps)
    if not padding_config:
        return [x_bar, ir.zeros(padding_value)]
    total = lax.reduce_sum(y_bar, tuple(range(y_bar.ndim)))
    inside = lax.reduce_sum(x_bar, tuple(range(x_bar.ndim)))
    return [x_bar, lax.sub(total, inside)]


linear("pad", transpose=_pad_transpose, operands=None, form=MOVES)
linear(
    "reduce_precision",
    transpose=lambda y_bar, x, **params: lax.reduce_precision(y_bar, **params),
    form=IDENTITY,
)


def _reshape_transpose(y_bar, x, *, dimensions=None, **params):
    if dimensions is None:
        return lax.reshape(y_bar, x.shape)
    permuted = lax.reshape(y_bar, [x.shape[axis] for axis in dimensions])
    return lax.transpose(permuted, [int(i) for i in np.argsort(dimensions)])


def _reshape_labels(it, x, y, residuals):
    return reshaped(x, y) if it.params.get("dimensions") is None else None


linear("reshape", transpose=_reshape_transpose, form=Form("moves", _reshape_labels))
linear(
    "rev",
    transpose=lambda y_bar, x, *, dimensions: lax.rev(y_bar, dimensions),
    form=MOVES,
)


def _slice_transpose(y_bar, x, *, start_indices, limit_indices, strides):
    strides = strides or (1,) * len(start_indices)
    config = []
    sizes = zip(start_indices, strides, y_bar.shape, x.shape, strict=True)
    for start, stride, count, size in sizes:
        covered = start + (1 + (count - 1) * stride if count else 0)
        config.append((start, size - covered, stride - 1))
    return lax.pad(y_bar, np.zeros((), y_bar.dtype), config)


def _slice_window(it, residuals):
    strides = it.params["strides"] or ()
    return it.params["start_indices"] if all(n == 1 for n in strides) else None


linear("slice", transpose=_slice_transpose, form=Form("moves", window=_slice_window))


def _split_transpose(y_bars, x, *, sizes, axis):
    dtype = next(y_bar.dtype for y_bar in y_bars if y_bar is not None)
    whole = []
    for size, y_bar in zip(sizes, y_bars, strict=True):
        shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
        whole.append(lax.full(shape, 0, dtype) if y_bar is None else y_bar)
    return [lax.concatenate(whole, axis)]


linear("split", transpose=_split_transpose, form=MOVES)
linear(
    "squeeze",
    transpose=lambda y_bar, x, **params: lax.reshape(y_bar, x.shape),
    form=Form("moves", lambda it, x, y, residuals: reshaped(x, y)),
)


def _stack_transpose(y_bar, *operands, axis):
    if len(operands) == 1:
        return lax.squeeze(y_bar, (axis,))
    return [lax.index_in_dim(y_bar, i, axis, False) for i in range(len(operands))]


linear("stack", transpose=_stack_transpose, operands=None, form=MOVES)


def _tile_transpose(y_bar, x, *, reps):
    pairs = [n for rep, size in zip(reps, x.shape, strict=True) for n in (rep, size)]
    copies = lax.reshape(y_bar, pairs)
    return lax.reduce_sum(copies, tuple(range(0, len(pairs), 2)))


def _tile_labels(it, x, y, residuals):
    """Where an axis is copied it must have had one element."""
    pairs = list(zip(it.params["reps"], x.shape, strict=True))
    if any(rep > 1 and size != 1 for rep, size in pairs):
        return None
    return Labels(tuple(range(len(y.shape))), along(x.shape, y.shape))


linear("tile", transpose=_tile_transpose, form=Form("repeats", _tile_labels))


def _transpose_labels(it, x, y, residuals):
    of = tuple(range(len(x.shape)))
    return Labels(tuple([of[axis] for axis in it.params["permutation"]]), of)


linear(
    "transpose",
    transpose=lambda y_bar, x, *, permutation: lax.transpose(
        y_bar, [int(i) for i in np.argsort(permutation)]
    ),
    form=Form("moves", _transpose_labels),
)


def _unstack_transpose(y_bars, x, *, axis):
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    dtype = next(y_bar.dtype for y_bar in y_bars if y_bar is not None)
    rows = [lax.full(shape, 0, dtype) if y is None else y for y in y_bars]
    return [lax.concatenate([lax.expand_dims(r, (axis,)) for r in rows], axis)]


linear("unstack", transpose=_unstack_transpose, form=MOVES)
