"""A primitive that is linear in some operands, the others held as residuals.

Reshape, transpose, slice, gather, sum, dot product and convolution have this form: the
tangent goes through the primitive itself, the cotangent through a transpose that the
rule states.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import ir
from .base import LinearMap, Params, filled


@dataclass(slots=True, unsafe_hash=True)
class Applied(LinearMap):
    """Linear in one operand.

    Fields:
      primitive: bound to the tangent, with the residuals in the other places.
      params: its parameters.
      transpose: transpose(y_bar, *operands, **params) -> x_bar. The linear operand is
        given by its type, the others by value.
      place: the linear operand's index.
      aval: the linear operand's type.
      kind: what the map is, for cost and sparsity: "structural", "contraction", ...
    """

    primitive: Any
    params: Params
    transpose: Callable
    place: int
    aval: Any
    kind: str = "structural"

    def operands(self, residuals, x):
        return (*residuals[: self.place], x, *residuals[self.place :])

    def push(self, residuals, x_dot):
        return self.primitive.bind(*self.operands(residuals, x_dot), **self.params)

    def pull(self, residuals, y_bar):
        operands = self.operands(residuals, self.aval)
        return self.transpose(y_bar, *operands, **self.params)


@dataclass(slots=True, unsafe_hash=True)
class JointlyApplied(LinearMap):
    """Linear in several operands together: concatenate, select, dynamic update.

    `transpose` gives one cotangent per operand; an operand that is held may get None.
    """

    primitive: Any
    params: Params
    transpose: Callable
    avals: tuple  # per operand: its type if linear, None if held as a residual
    places: tuple[int, ...]  # the linear operands that carry tangents
    targets: tuple[int, ...]  # the outputs that do: not integers
    kind: str = "structural"
    many = True

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


def hold(primitive, values, params, place, transpose, kind):
    """The edge map and residuals of a primitive linear in the operand at `place`."""
    aval = ir.typeof(values[place])
    residuals = (*values[:place], *values[place + 1 :])
    return Applied(primitive, params, transpose, place, aval, kind), residuals
