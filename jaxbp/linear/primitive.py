"""A primitive that is linear in some operands, the others held as residuals.

Reshape, transpose, slice, gather, sum, dot product and convolution have this form: the
tangent goes through the primitive itself, the cotangent through a transpose that the
rule states.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jax import lax

from .. import ir
from .base import LinearMap, Params, SimpleMap, add, filled
from .labels import OPERATOR, Form, Labels


@dataclass(slots=True, unsafe_hash=True)
class ThroughPrimitive(SimpleMap):
    """Linear in one operand.

    Fields:
      primitive: bound to the tangent, with the residuals in the other places.
      params: its parameters.
      transpose: transpose(y_bar, *operands, **params) -> x_bar. The linear operand is
        given by its type, the others by value.
      place: the linear operand's index.
      aval: the linear operand's type.
      form: what kind of operation it is.
    """

    primitive: Any
    params: Params
    transpose: Callable
    place: int
    aval: Any
    form: Form = OPERATOR

    def operands(self, residuals, x):
        return (*residuals[: self.place], x, *residuals[self.place :])

    def push_one(self, residuals, x_dot):
        return self.primitive.bind(*self.operands(residuals, x_dot), **self.params)

    def pull_one(self, residuals, y_bar):
        operands = self.operands(residuals, self.aval)
        return self.transpose(y_bar, *operands, **self.params)

    def pull_onto(self, residuals, y_bars, x_bars):
        """In place where a part is read: a scatter is a kernel of its own, which would
        write the whole, to be added. Where most of it is written, a compiler adds in
        one pass what comes from several."""
        (y_bar,), (x_bar,) = y_bars, x_bars
        onto, whole = self.form.onto, self.aval
        if x_bar is not None and x_bar.dtype != y_bar.dtype:
            found = self.pull_one(residuals, y_bar)
            own = x_bar.dtype == whole.dtype  # a loop's total, say: it keeps its type
            return [add(x_bar, ir.cast(found, x_bar.dtype) if own else found)]
        if onto is None or x_bar is None:
            return [add(x_bar, self.pull_one(residuals, y_bar))]
        if ir.placed(whole) or 2 * y_bar.size > whole.size:
            return [add(x_bar, self.pull_one(residuals, y_bar))]
        return [onto(self, residuals, y_bar, x_bar)]

    def labels(self, x, y, residuals) -> Labels | None:
        find = self.form.labels
        return None if find is None else find(self, x, y, residuals)

    def coefficient(self, residuals):
        return None if self.form.labels is None else 1


@dataclass(slots=True, unsafe_hash=True)
class Contraction(ThroughPrimitive):
    """A dot product with its other operand held: that is the coefficient."""

    waits = True  # pyright: ignore[reportAssignmentType]

    def coefficient(self, residuals):
        return residuals[0]

    def pull_steps(self, residuals, y_bar):
        """One dot product: the steps are one more axis of the other operand that the
        product keeps; pulling back contracts over all kept axes, so it sums over them.
        """
        params = dict(self.params)
        contracted, batch = params["dimension_numbers"]
        other = 1 - self.place
        axes = [list(contracted), list(batch)]
        for pair in axes:
            pair[other] = tuple(axis + 1 for axis in pair[other])
        params["dimension_numbers"] = tuple(map(tuple, axes))
        own_kept = len(self.aval.shape) - len(contracted[self.place])
        before = len(batch[0]) if other == 0 else own_kept  # axes of y before its own
        order = [*range(1, before + 1), 0, *range(before + 1, y_bar.ndim)]
        y_bar = lax.transpose(y_bar, order) if before else y_bar
        return self.transpose(y_bar, *self.operands(residuals, self.aval), **params)


@dataclass(slots=True, unsafe_hash=True)
class JointlyThroughPrimitive(LinearMap):
    """Linear in several operands together: concatenate, dynamic update, pad.

    `transpose` gives one cotangent per operand; an operand that is held may get None.
    """

    primitive: Any
    params: Params
    transpose: Callable
    avals: tuple  # per operand: its type if linear, None if held as a residual
    places: tuple[int, ...]  # the linear operands that carry tangents
    targets: tuple[int, ...]  # the outputs that do: not integers
    form: Form = OPERATOR

    def operands(self, residuals, linear):
        held = iter(residuals)
        return [
            next(held) if aval is None else x
            for aval, x in zip(self.avals, linear, strict=True)
        ]

    def push(self, residuals, x_dots):
        linear: list = [None] * len(self.avals)
        for place, x_dot in zip(self.places, x_dots, strict=True):
            linear[place] = x_dot
        whole = [
            x if a is None else filled([x], [a])[0]
            for x, a in zip(linear, self.avals, strict=True)
        ]
        out = self.primitive.bind(*self.operands(residuals, whole), **self.params)
        outs = out if self.primitive.multiple_results else [out]
        return [outs[i] for i in self.targets]

    def pull(self, residuals, y_bars):
        operands = self.operands(residuals, self.avals)
        y_bar = y_bars[0]
        if self.primitive.multiple_results:
            given = dict(zip(self.targets, y_bars, strict=True))
            y_bar = [given.get(i) for i in range(self.targets[-1] + 1)]
        x_bars = self.transpose(y_bar, *operands, **self.params)
        return [x_bars[place] for place in self.places]


def hold(primitive, values, params, place, transpose, form: Form = OPERATOR):
    """The map and residuals of a primitive linear in the operand at `place`."""
    aval = ir.typeof(values[place])
    residuals = (*values[:place], *values[place + 1 :])
    kind = Contraction if form.labels is dot_labels else ThroughPrimitive
    return kind(primitive, params, transpose, place, aval, form), residuals


def dot_labels(it: ThroughPrimitive, x, y, residuals) -> Labels:
    """Labels of dot_general: the output has its batched axes, then either's kept."""
    contracted, batch = it.params["dimension_numbers"]
    sides: list[list[int]] = []
    first = count = len(batch[0]) + len(contracted[0])
    shapes = [x.shape, ir.typeof(residuals[0]).shape]
    if it.place == 1:
        shapes.reverse()
    for side, shape in enumerate(shapes):
        named = dict(zip((*batch[side], *contracted[side]), range(first), strict=True))
        rest = [axis for axis in range(len(shape)) if axis not in named]
        named |= {axis: count + i for i, axis in enumerate(rest)}
        sides.append([named[axis] for axis in range(len(shape))])
        count += len(rest)
    shared = (*sides[0],), (*sides[1],)
    out = (*range(len(batch[0])), *[i for s in shared for i in sorted(s) if i >= first])
    return Labels(out, shared[it.place], shared[1 - it.place])
