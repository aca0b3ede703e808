"""Terms of convolutions and cumulative sums.

An output of a convolution stands at its own position, and reads the input at stride x
output + dilation x kernel place - padding. Where no output reaches into the padding
that is a sum of labels; else an array of positions, with the outside masked.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from .factor import Factor, multiplied
from .places import Axis, Index, Label, along
from .term import Term

LARGEST = 1 << 21  # entries of a term that is made here; beyond it is an operator


def cumsum(it) -> Term | None:
    """A triangle of ones."""
    axis, size = it.params["axis"], it.x.shape[it.params["axis"]]
    if size * size > LARGEST or size < 2:
        return None
    of = [along(n) for n in it.x.shape]
    out = list(of)
    out[axis] = along(size)
    ones = np.tri(size, dtype=bool)
    array = ones.T if it.params["reverse"] else ones
    factor = Factor((out[axis].labels[0], of[axis].labels[0]), array, True)
    return Term(tuple(out), tuple(of), factor)


def convolution(it) -> Term | None:
    """By the image or by the kernel, without groups."""
    params = it.params
    if params["feature_group_count"] * params["batch_group_count"] != 1:
        return None
    if len(it.residuals) != 1:
        return None
    numbers = params["dimension_numbers"]
    held = it.residuals[0]
    image, kernel = (it.x, held) if it.place == 0 else (held, it.x)
    names = _names(numbers, image.shape, kernel.shape, it.y.shape)
    every = {label for axis in names for label in axis.labels}
    if math.prod([label.size for label in every]) > LARGEST:
        return None
    batch, features, channels = names[:3]
    rank = len(it.y.shape) - 2
    steps, places = names[3 : 3 + rank], names[3 + rank :]
    windows = [
        _window(i, image.shape, steps[i], places[i], params) for i in range(rank)
    ]
    own = [batch, channels, *[axis for axis, _ in windows]]
    weights = [features, channels, *places]
    out = _laid(numbers.out_spec, [batch, features, *steps])
    image_axes = _laid(numbers.lhs_spec, own)
    kernel_axes = _laid(numbers.rhs_spec, weights)
    of, other = (
        (image_axes, kernel_axes) if it.place == 0 else (kernel_axes, image_axes)
    )
    factor = _taken(held, other)
    kept = tuple(every)
    for _, mask in windows:
        if mask is not None:
            factor = multiplied(mask, factor, kept, it.y.dtype, None)
    return Term(out, of, factor)


def _names(numbers, image, kernel, y) -> list[Axis]:
    """Axes, each with a label: batch, features, channels, steps, kernel places."""
    lhs, rhs, out = numbers
    sizes = [y[out[0]], y[out[1]], image[lhs[1]]]
    sizes += [y[axis] for axis in out[2:]]
    sizes += [kernel[axis] for axis in rhs[2:]]
    return [along(size) for size in sizes]


def _window(place: int, image, step: Axis, inside: Axis, params):
    """Where an axis of the image is read, and a mask of what lies in it."""
    size = image[params["dimension_numbers"].lhs_spec[2 + place]]
    stride, low = params["window_strides"][place], params["padding"][place][0]
    dilation, gap = params["rhs_dilation"][place], params["lhs_dilation"][place]
    steps = tuple([(label, stride) for label in step.labels])
    steps += tuple([(label, dilation) for label in inside.labels])
    raw = np.add.outer(np.arange(step.size) * stride, np.arange(inside.size) * dilation)
    raw = raw - low
    fits = (raw >= 0) & (raw <= (size - 1) * gap) & (raw % gap == 0)
    if gap == 1 and fits.all():
        return Axis(size, -low, steps), None
    labels = (*step.labels, *inside.labels)
    grid = [label.size for label in labels]
    table = np.clip(raw // gap, 0, size - 1).astype(np.int32).reshape(grid)
    mask = Factor(labels, fits.reshape(grid), True)
    return Axis(size, 0, (), Index(labels, table)), mask


def _laid(spec, axes) -> tuple[Axis, ...]:
    """Axes in the order batch, features, space; or features, channels, space: each in
    its place."""
    found: list = [None] * len(axes)
    for place, axis in zip(spec, axes, strict=True):
        found[place] = axis
    return tuple(found)


def _taken(held, axes) -> Factor:
    """The other operand, read at these positions."""
    labels: tuple[Label, ...] = ()
    for axis in axes:
        labels += tuple([label for label in axis.labels if label not in labels])
    if not isinstance(held, jax.Array | np.ndarray):
        return Factor(labels, None)
    if all(axis.whole is not None or axis == Axis(1) for axis in axes):
        return Factor(labels, held.reshape([label.size for label in labels]))
    places = tuple([axis.positions(labels) for axis in axes])
    array = jnp.asarray(held)[places]
    return Factor(labels, jnp.broadcast_to(array, [label.size for label in labels]))
