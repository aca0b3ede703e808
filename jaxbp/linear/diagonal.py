"""Elementwise maps: a slope per element, a number, or a mask."""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jax import lax

from .. import ir
from .base import Params, SimpleMap, broadcast, unbroadcast
from .labels import Labels, along, identity

# Bytes. Fewer are multiplied by the reciprocal: in a loop a division has to wait for
# what comes from the step behind, its reciprocal does not. What is large is divided:
# compilers keep a reciprocal that several read as one array more.
_LARGE = 4096


@dataclass(slots=True)
class Over:
    """A factor of a slope: 1 over an array."""

    by: Any

    @property
    def shape(self):
        return self.by.shape


def _factors(slope, params, residuals) -> tuple[Any, ...]:
    found = slope(*residuals) if params is None else slope(*residuals, params=params)
    return found if type(found) is tuple else (found,)


def _factor(slope, params, *residuals):
    factors = map(_number, _factors(slope, params, residuals))
    return functools.reduce(operator.mul, factors)


def _number(factor):
    return 1 / factor.by if type(factor) is Over else factor


def _scaled(slope, params, x, *residuals):
    """x times the slope; a boolean slope is a mask, which keeps NaN out."""
    return functools.reduce(_times, _joined(_factors(slope, params, residuals)), x)


def _joined(factors) -> list[Any]:
    """The product of the others, and then the factors to divide by: what the slopes of
    a quotient share is not one more array to keep."""
    over: list[Any] = [factor for factor in factors if type(factor) is Over]
    rest = [factor for factor in factors if type(factor) is not Over]
    return [functools.reduce(operator.mul, rest), *over] if rest else over


def _times(x, factor: Any):
    if type(factor) is Over:
        large = factor.shape == x.shape and ir.nbytes(ir.typeof(x)) >= _LARGE
        if large and factor.by.dtype == x.dtype:
            return x / factor.by
        factor = _number(factor)
    if factor.dtype == bool:
        return lax.select(broadcast(factor, x.shape), x, lax.full_like(x, 0))
    if factor.dtype != x.dtype:  # a cotangent wider than what it belongs to
        factor = ir.cast(factor, x.dtype)
    return x * factor


# Let B repeat an array along axes, D multiply by the slope w n with a factor w of the
# long shape and a factor n = B m of the short one. Then, by distributivity,
# (D B)^T y_bar = m sum(w y_bar) and D B x_dot = w B (m x_dot): what is short already is
# multiplied where it is short, and the long product needs w alone.
def _spread(slope, params, shape, x, *residuals):
    early, late = _by_shape(slope, params, residuals, x.shape)
    y = broadcast(functools.reduce(_times, early, x), shape)
    return functools.reduce(_times, late, y)


def _summed(slope, params, shape, y, *residuals):
    late, early = _by_shape(slope, params, residuals, shape)
    x = unbroadcast(functools.reduce(_times, early, y), shape)
    return functools.reduce(_times, late, x)


def _by_shape(slope, params, residuals, shape) -> tuple[list, list]:
    """The slope as factors of the shape `shape`, and one of the others."""
    factors = _factors(slope, params, residuals)
    short = [factor for factor in factors if factor.shape == shape]
    long = [factor for factor in factors if factor.shape != shape]
    return short, _joined(long)


def stepped(slope: Callable) -> Callable:
    """Marks a slope that is a mask, or one of 0, 1/2, 1, -1: to store it takes a byte
    an element."""
    slope.stepped = True  # pyright: ignore[reportFunctionMemberAccess]
    return slope


@dataclass(slots=True, unsafe_hash=True)
class Diagonal(SimpleMap):
    """y_dot_i = slope_i x_dot_i; the slope is computed when the map is applied.

    A slope that gives a tuple is the product of its factors; `Over(x)` is 1 / x.
    """

    slope: Callable
    params: Params | None = None

    def push_one(self, residuals, x_dot):
        return ir.replay(_scaled, (self.slope, self.params), x_dot, *residuals)

    def pull_one(self, residuals, y_bar):
        return self.push_one(residuals, y_bar)

    def coefficient(self, residuals):
        return ir.replay(_factor, (self.slope, self.params), *residuals)

    def operations(self, residuals) -> frozenset[str]:
        """Names of the primitives that compute its coefficient."""
        return ir.operations(_factor, (self.slope, self.params), *residuals)

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
        it = self.inner
        if isinstance(it, Scaled):
            return it.push_one(residuals, broadcast(x_dot, self.out_shape))
        static = it.slope, it.params, self.out_shape
        return ir.replay(_spread, static, x_dot, *residuals)

    def pull_one(self, residuals, y_bar):
        it = self.inner
        if isinstance(it, Scaled):
            return unbroadcast(it.pull_one(residuals, y_bar), self.shape)
        static = it.slope, it.params, self.shape
        return ir.replay(_summed, static, y_bar, *residuals)

    def coefficient(self, residuals):
        return self.inner.coefficient(residuals)

    def labels(self, x, y, residuals):
        found: Labels = self.inner.labels(y, y, residuals)
        return found._replace(of=along(self.shape, self.out_shape))
