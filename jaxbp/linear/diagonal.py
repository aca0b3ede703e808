"""Elementwise maps: a slope per element, a number, or a mask."""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
from jax import lax

from .. import ir
from .base import LinearMap, Params, broadcast, unbroadcast


def _scaled(slope, params, x, *residuals):
    """x times the slope; a boolean slope is a mask, which keeps NaN out."""
    factor = slope(*residuals) if params is None else slope(*residuals, params=params)
    if factor.dtype == bool:
        return jnp.where(factor, x, jnp.zeros_like(x))
    if factor.dtype != x.dtype:  # a cotangent wider than what it belongs to
        factor = ir.cast(factor, x.dtype)
    return x * factor


def stepped(slope: Callable) -> Callable:
    """Marks a slope of a few values only: to store it takes a byte an element."""
    slope.stepped = True  # pyright: ignore[reportFunctionMemberAccess]
    return slope


@dataclass(slots=True, unsafe_hash=True)
class Diagonal(LinearMap):
    """y_dot_i = slope_i x_dot_i; the slope is computed when the map is applied."""

    slope: Callable
    params: Params | None = None
    kind = "diagonal"

    def push(self, residuals, x_dot):
        return ir.replay(_scaled, (self.slope, self.params), x_dot, *residuals)

    def pull(self, residuals, y_bar):
        return self.push(residuals, y_bar)


@dataclass(slots=True, unsafe_hash=True)
class Scaled(LinearMap):
    """y_dot = factor x_dot with one number: 1, -1, 2, ..."""

    factor: float
    kind = "scaled"

    def push(self, residuals, x_dot):
        if self.factor == 1:
            return x_dot
        return lax.neg(x_dot) if self.factor == -1 else x_dot * self.factor

    def pull(self, residuals, y_bar):
        return self.push(residuals, y_bar)


@dataclass(slots=True, unsafe_hash=True)
class Broadcast(LinearMap):
    """The inner map after its operand was broadcast from `shape` to `out_shape`."""

    inner: LinearMap
    shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    kind = "broadcast"

    def push(self, residuals, x_dot):
        return self.inner.push(residuals, broadcast(x_dot, self.out_shape))

    def pull(self, residuals, y_bar):
        return unbroadcast(self.inner.pull(residuals, y_bar), self.shape)
