"""Edges of a linear program as terms; what has none is an operator.

Maps with labels say everything themselves. Of those that move elements, positions
follow from their primitive's parameters; the table at the end says how.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .. import ir
from ..linear.labels import Labels
from ..linear.parts import Part
from ..linear.primitive import JointlyThroughPrimitive, ThroughPrimitive
from .factor import Factor
from .indexing import MOVES_BY_INDEX
from .places import Axis, Index, Label, Window, along, crossing
from .sliding import convolution, cumsum
from .term import Term


class Operator(NamedTuple):
    """A map known by its two directions alone, in its place."""

    map: Any
    residuals: tuple
    x: Any  # the types of input and output
    y: Any


class Move(NamedTuple):
    """A primitive that moves elements, seen from one input and one output."""

    params: Any
    place: int  # the input, among the primitive's operands
    target: int  # the output
    operands: tuple  # types of all operands, None of those not linear
    residuals: tuple
    x: Any
    y: Any


def term_of(edge, residuals: Sequence, x, y, plan: bool) -> Term | Operator:
    """The edge's term; with `plan` without its array.

    Args:
      residuals: the arrays it holds; for a plan their types do.
      x, y: the types of its input and output.
    """
    it = edge.map
    labels = it.labels(x, y, residuals)
    if labels is not None:
        given = plan and (residuals or labels.coefficient or labels.mask)
        found = labelled(labels, x, y, None if given else it.coefficient(residuals))
        if found is not None:
            return found
    held = tuple(residuals)
    if plan:
        held = tuple([ir.typeof(r) if ir.is_tracer(r) else r for r in held])
    named = _move(it, held, x, y)
    if named is not None:
        name, move = named
        find = MOVES.get(name)
        found = find(move) if find is not None else None
        if found is not None:
            return found
    return Operator(it, tuple(residuals), x, y)


def labelled(labels: Labels, x, y, coefficient) -> Term | None:
    """The term of a labelled map; None where the sizes do not fit."""
    names: dict[int, Label] = {}
    sides = []
    for own, shape in ((labels.out, y.shape), (labels.of, x.shape)):
        axes = []
        for name, size in zip(own, shape, strict=True):
            if size == 1:
                axes.append(Axis(1))
                continue
            label = names.setdefault(name, Label(size))
            if label.size != size:
                return None
            axes.append(Axis(size, 0, ((label, 1),)))
        sides.append(tuple(axes))
    factor = _coefficient(labels, names, coefficient)
    out, of = sides
    return Term(out, of, factor)


def _coefficient(labels: Labels, names: dict, coefficient) -> Factor:
    own = [(i, name) for i, name in enumerate(labels.coefficient)]
    kept = tuple([names[name] for _, name in own if name in names])
    if coefficient is None:
        return Factor(kept, None, labels.mask)
    if not labels.coefficient and not hasattr(coefficient, "dtype"):
        return Factor((), coefficient)
    array = coefficient
    if not array.shape and not labels.mask and not ir.is_tracer(array):
        return Factor((), array.item())
    lost = [i for i, name in own if name not in names]
    if any(array.shape[i] != 1 for i in lost):
        array = jnp.sum(array, tuple(lost), keepdims=True)
    array = array.reshape([label.size for label in kept])
    return Factor(kept, array, labels.mask)


def _move(it, residuals, x, y) -> tuple[str, Move] | None:
    place = target = 0
    if isinstance(it, Part):
        place, target, it = it.place, it.target, it.whole
    if isinstance(it, JointlyThroughPrimitive):
        place, target = it.places[place], it.targets[target]
        operands = it.avals
    elif isinstance(it, ThroughPrimitive):
        place, operands = it.place, ()
    else:
        return None
    if it.form.real_only:
        return None
    params = it.params
    return it.primitive.name, Move(params, place, target, operands, residuals, x, y)


# Moves -----------------------------------------------------------------------


def _axes(shape) -> tuple[Axis, ...]:
    return tuple([along(size) for size in shape])


def _shifted(axis: Axis, start: int, size: int, step: int = 1) -> Axis:
    """The labels of a whole axis as positions along a longer one."""
    return Axis(size, start, tuple([(label, step) for label, _ in axis.steps]))


def _replaced(axes: tuple, place: int, axis: Axis) -> tuple:
    return (*axes[:place], axis, *axes[place + 1 :])


def _slice(it: Move) -> Term:
    out = _axes(it.y.shape)
    steps = it.params["strides"] or (1,) * len(out)
    starts = it.params["start_indices"]
    of = [
        _shifted(axis, starts[i], it.x.shape[i], steps[i]) for i, axis in enumerate(out)
    ]
    return Term(out, tuple(of))


def _rev(it: Move) -> Term:
    out = _axes(it.y.shape)
    of = [
        _shifted(axis, axis.size - 1, axis.size, -1)
        if place in it.params["dimensions"]
        else axis
        for place, axis in enumerate(out)
    ]
    return Term(out, tuple(of))


def _pad(it: Move) -> Term | None:
    if it.place:
        return None
    out, of = [], []
    sizes = zip(it.x.shape, it.y.shape, it.params["padding_config"], strict=True)
    for n, m, (low, _, interior) in sizes:
        met = crossing(Window(low, interior + 1, n), Window(0, 1, m))
        axis = along(met.count)
        out.append(_shifted(axis, met.second[0], m, met.second[1]))
        of.append(_shifted(axis, met.first[0], n, met.first[1]))
    return Term(tuple(out), tuple(of))


def _concatenate(it: Move) -> Term:
    place = it.params["dimension"]
    start = sum(x.shape[place] for x in it.operands[: it.place])
    of = _axes(it.x.shape)
    return Term(_replaced(of, place, _shifted(of[place], start, it.y.shape[place])), of)


def _stack(it: Move) -> Term:
    of, place = _axes(it.x.shape), it.params["axis"]
    axis = Axis(it.y.shape[place], it.place)
    return Term((*of[:place], axis, *of[place:]), of)


def _split(it: Move) -> Term:
    place = it.params["axis"]
    start = sum(it.params["sizes"][: it.target])
    out = _axes(it.y.shape)
    return Term(
        out, _replaced(out, place, _shifted(out[place], start, it.x.shape[place]))
    )


def _tile(it: Move) -> Term:
    of, out = _axes(it.x.shape), []
    for axis, rep in zip(of, it.params["reps"], strict=True):
        again = tuple([(label, axis.size) for label, _ in along(rep).steps])
        out.append(Axis(axis.size * rep, 0, (*again, *axis.steps)))
    return Term(tuple(out), of)


def _unstack(it: Move) -> Term:
    out, place = _axes(it.y.shape), it.params["axis"]
    axis = Axis(it.x.shape[place], it.target)
    return Term(out, (*out[:place], axis, *out[place:]))


def _reshape(it: Move) -> Term | None:
    if it.params.get("dimensions") is not None:
        return None
    return reshaped(it.x.shape, it.y.shape)


def reshaped(x_shape, y_shape) -> Term:
    """The term of a reshape: the digits of the flat position are the labels."""
    bases = {1}
    for shape in (x_shape, y_shape):
        bases.update(_strides(shape))
    count = math.prod(x_shape)
    order = sorted({*bases, count}, reverse=True)
    pairs = list(zip(order, order[1:], strict=False))
    if 0 in order or any(big % small for big, small in pairs):
        return _by_table(x_shape, y_shape)
    digits = [(Label(big // small), small) for big, small in pairs]
    sides = []
    for shape in (y_shape, x_shape):
        axes = []
        for size, stride in zip(shape, _strides(shape), strict=True):
            inside = [
                (i, b // stride) for i, b in digits if stride <= b < stride * size
            ]
            axes.append(Axis(size, 0, tuple(inside)))
        sides.append(tuple(axes))
    return Term(*sides)


def _strides(shape) -> list[int]:
    return [math.prod(shape[place + 1 :]) for place in range(len(shape))]


def _by_table(x_shape, y_shape) -> Term:
    """Positions of the input by arrays, one label per axis of the output."""
    out = _axes(y_shape)
    labels = tuple([label for axis in out for label in axis.labels])
    grid = tuple([label.size for label in labels])
    flat = np.arange(math.prod(grid)).reshape(grid)
    places = np.unravel_index(flat, x_shape) if flat.size else [flat] * len(x_shape)
    of = [
        Axis(n, 0, (), Index(labels, np.asarray(at, np.int32)))
        for n, at in zip(x_shape, places, strict=True)
    ]
    return Term(out, tuple(of))


MOVES: dict[str, Callable[[Move], Term | None]] = {
    "concatenate": _concatenate,
    "conv_general_dilated": convolution,
    "cumsum": cumsum,
    "pad": _pad,
    "reshape": _reshape,
    "rev": _rev,
    "slice": _slice,
    "split": _split,
    "stack": _stack,
    "tile": _tile,
    "unstack": _unstack,
    **MOVES_BY_INDEX,
}
