"""A map of several inputs or outputs as one map per pair of them."""

from dataclasses import dataclass
from typing import Any

from .. import ir
from .base import Edge, LinearMap, SimpleMap


@dataclass(slots=True, unsafe_hash=True)
class Part(SimpleMap):
    """What one input of a map brings to one of its outputs.

    Fields:
      whole: the map.
      place, target: the input and the output, by number.
      x, y: types of all its inputs, and of all its outputs.
    """

    whole: LinearMap
    place: int
    target: int
    x: tuple
    y: tuple

    @property
    def form(self):
        return self.whole.form

    def push_one(self, residuals, x_dot):
        x_dots: list[Any] = [None] * len(self.x)
        x_dots[self.place] = x_dot
        y_dot = self.whole.push(residuals, x_dots)[self.target]
        return (
            ir.zeros(ir.tangent_aval(self.y[self.target])) if y_dot is None else y_dot
        )

    def pull_one(self, residuals, y_bar):
        y_bars: list[Any] = [None] * len(self.y)
        y_bars[self.target] = y_bar
        x_bar = self.whole.pull(residuals, y_bars)[self.place]
        return ir.zeros(ir.tangent_aval(self.x[self.place])) if x_bar is None else x_bar


def parts(edge: Edge, avals) -> list[Edge]:
    """One edge per input and output of `edge`; what they bring adds up to the whole.

    Args:
      avals: per slot its type, as in a `Structure`.
    """
    if len(edge.ins) == len(edge.outs) == 1:
        return [edge]
    x = tuple([avals[slot] for slot in edge.ins])
    y = tuple([avals[slot] for slot in edge.outs])
    return [
        edge._replace(map=Part(edge.map, i, j, x, y), ins=(source,), outs=(target,))
        for i, source in enumerate(edge.ins)
        for j, target in enumerate(edge.outs)
    ]
