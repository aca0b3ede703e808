"""The one door through which JAX's differentiation is used by this engine.

Packages define primitives of their own and register with JAX how these are
differentiated: a pushforward, and a transpose for those that are linear. A primitive
that has no rule here uses what is registered there, unless options forbid it.
"""

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass

import jax

from .. import ir, settings
from ..linear.base import Edge, Params, filled
from ..linear.primitive import JointlyThroughPrimitive
from .registry import General


def borrowed_rule(primitive: ir.Primitive):
    """JAX's own rule for `primitive`, where options allow it; else None."""
    if settings.current().foreign_rules is None or not ir.jax_differentiates(primitive):
        return None
    noted = _noted.get()
    if noted is not None:
        noted.add(primitive.name)
    return _Borrowed(_jax_pushforward(primitive))


_noted: ContextVar[set[str] | None] = ContextVar("noted", default=None)


@contextlib.contextmanager
def noting():
    """Gives a set that gets the names of the primitives borrowed within."""
    names: set[str] = set()
    token = _noted.set(names)
    try:
        yield names
    finally:
        _noted.reset(token)


class _Borrowed(General):
    """JAX's pushforward; on tangents, in which the primitive is linear, itself."""

    def __call__(self, walker, primitive, values, dots, params):
        active = tuple([i for i, d in enumerate(dots) if d is not None])
        if any(type(values[i]) is ir.Hole for i in active):
            return _applied(walker, primitive, values, dots, params, active)
        return super().__call__(walker, primitive, values, dots, params)


def _applied(walker, primitive, values, dots, params, active):
    """The primitive itself as a linear map of its operands `active`."""
    outs = ir.evaluate(primitive, values, params)
    targets = tuple([i for i, y in enumerate(outs) if ir.differentiable(ir.typeof(y))])
    if not targets:
        return outs, [None] * len(outs)
    avals = tuple([ir.typeof(v) if i in active else None for i, v in enumerate(values)])
    residuals = tuple([v for v, a in zip(values, avals, strict=True) if a is None])
    transpose = _Transpose(primitive, active, targets)
    linear_map = JointlyThroughPrimitive(
        primitive, Params(params), transpose, avals, active, targets
    )
    return outs, walker.extend(
        [Edge(linear_map, residuals, active, targets)], dots, outs
    )


@dataclass(frozen=True)
class _Transpose:
    """The transpose that JAX knows of a primitive, linear in the operands `active`."""

    primitive: ir.Primitive
    active: tuple[int, ...]
    targets: tuple[int, ...]  # the outputs that are not integers

    def __call__(self, y_bars, *operands, **params):
        def function(*linear):
            whole = list(operands)
            for place, x in zip(self.active, linear, strict=True):
                whole[place] = x
            outs = self.primitive.bind(*whole, **params)
            outs = outs if self.primitive.multiple_results else [outs]
            return [outs[i] for i in self.targets]

        types = [ir.struct(operands[place]) for place in self.active]
        given = y_bars if self.primitive.multiple_results else [y_bars]
        avals = jax.eval_shape(function, *types)
        y_bars = filled([given[i] for i in self.targets], map(ir.typeof, avals))
        x_bars: list = [None] * len(operands)
        pulled = _jax_transpose(function, types, y_bars)
        for place, x_bar in zip(self.active, pulled, strict=True):
            x_bars[place] = x_bar
        return x_bars


def _jax_transpose(function, types, y_bars):
    return jax.linear_transpose(function, *types)(y_bars)


def _jax_pushforward(primitive):
    def pushforward(primals, tangents, **params):
        def function(*active):
            given = iter(active)
            whole = [
                x if t is None else next(given)
                for x, t in zip(primals, tangents, strict=True)
            ]
            return primitive.bind(*whole, **params)

        pairs = zip(primals, tangents, strict=True)
        moving = [(x, t) for x, t in pairs if t is not None]
        xs, x_dots = zip(*moving, strict=True)
        y, y_dot = jax.jvp(function, xs, x_dots)
        if not primitive.multiple_results:
            return y, _dot(y, y_dot)
        return y, [_dot(*pair) for pair in zip(y, y_dot, strict=True)]

    return pushforward


def _dot(y, y_dot):
    return y_dot if ir.differentiable(ir.typeof(y)) else None
