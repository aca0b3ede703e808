"""A map of a part of a program in which other types are on than around it."""

from dataclasses import dataclass

from .. import ir
from .base import Edge, LinearMap


@dataclass(slots=True, unsafe_hash=True)
class InPrecision(LinearMap):
    """`inner`, applied where 64-bit types are on or off as where it was recorded."""

    inner: LinearMap
    x64: bool

    def push(self, residuals, x_dots):
        return ir.in_precision(self.x64, self.inner.push, residuals, x_dots)

    def pull(self, residuals, y_bars):
        return ir.in_precision(self.x64, self.inner.pull, residuals, y_bars)

    def narrowed(self, edge: Edge, needed) -> Edge:
        found = self.inner.narrowed(edge._replace(map=self.inner), needed)
        return found._replace(map=InPrecision(found.map, self.x64))
