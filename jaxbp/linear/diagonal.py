"""Elementwise maps: a slope per element, a number, or a mask."""

from collections.abc import Callable
from dataclasses import dataclass

from jax import lax

from .. import ir
from .base import Params, SimpleMap, broadcast, unbroadcast
from .labels import Labels, along, identity


def _factor(slope, params, *residuals):
    return slope(*residuals) if params is None else slope(*residuals, params=params)


def _scaled(slope, params, x, *residuals):
    """x times the slope; a boolean slope is a mask, which keeps NaN out."""
    factor = _factor(slope, params, *residuals)
    if factor.dtype == bool:
        return lax.select(broadcast(factor, x.shape), x, lax.full_like(x, 0))
    if factor.dtype != x.dtype:  # a cotangent wider than what it belongs to
        factor = ir.cast(factor, x.dtype)
    return x * factor


def stepped(slope: Callable) -> Callable:
    """Marks a slope of a few values only: to store it takes a byte an element."""
    slope.stepped = True  # pyright: ignore[reportFunctionMemberAccess]
    return slope


@dataclass(slots=True, unsafe_hash=True)
class Diagonal(SimpleMap):
    """y_dot_i = slope_i x_dot_i; the slope is computed when the map is applied."""

    slope: Callable
    params: Params | None = None

    def push_one(self, residuals, x_dot):
        return ir.replay(_scaled, (self.slope, self.params), x_dot, *residuals)

    def pull_one(self, residuals, y_bar):
        return self.push_one(residuals, y_bar)

    def coefficient(self, residuals):
        return ir.replay(_factor, (self.slope, self.params), *residuals)

    def labels(self, x, y, residuals):
        found = ir.shape_of(_factor, (self.slope, self.params), *residuals)
        axes = identity(x, y)
        return axes._replace(
            coefficient=along(found.shape, y.shape), mask=found.dtype == bool
        )


@dataclass(slots=True, unsafe_hash=True)
class Scaled(SimpleMap):
    """y_dot = factor x_dot with one number: 1, -1, 2, ..."""

    factor: float

    def push_one(self, residuals, x_dot):
        if self.factor == 1:
            return x_dot
        return lax.neg(x_dot) if self.factor == -1 else x_dot * self.factor

    def pull_one(self, residuals, y_bar):
        return self.push_one(residuals, y_bar)

    def coefficient(self, residuals):
        return self.factor

    def labels(self, x, y, residuals):
        return identity(x, y)


@dataclass(slots=True, unsafe_hash=True)
class Broadcast(SimpleMap):
    """An elementwise map after its operand was broadcast from `shape` to `out_shape`:
    a scalar, or axes of length 1."""

    inner: Diagonal | Scaled
    shape: tuple[int, ...]
    out_shape: tuple[int, ...]

    def push_one(self, residuals, x_dot):
        return self.inner.push_one(residuals, broadcast(x_dot, self.out_shape))

    def pull_one(self, residuals, y_bar):
        return unbroadcast(self.inner.pull_one(residuals, y_bar), self.shape)

    def coefficient(self, residuals):
        return self.inner.coefficient(residuals)

    def labels(self, x, y, residuals):
        found: Labels = self.inner.labels(y, y, residuals)
        return found._replace(of=along(self.shape, self.out_shape))
