"""Linear systems given as functions: jax.lax.custom_linear_solve.

The solver itself is never differentiated. From A x = b follows
  A x_dot = b_dot - A_dot x,
where A_dot x is the tangent of the program `matvec` at a fixed x, and
  A^T b_bar = x_bar,
which `transpose_solve` solves. What a solver tells besides x (aux) has no tangent.
"""

from dataclasses import dataclass
from typing import Any

from .. import ir
from ..errors import MissingRule
from ..linear.base import Edge, LinearMap, Params, filled
from ..linear.diagonal import Scaled
from ..rules.registry import register
from .linearize import solid


@dataclass(slots=True, unsafe_hash=True)
class Solve(LinearMap):
    """A^-1 on the right-hand sides; residuals: what the four programs close over."""

    primitive: Any
    params: Params
    avals: tuple  # per right-hand side: its type
    places: tuple[int, ...]  # the right-hand sides that carry tangents

    def push(self, residuals, x_dots):
        right: list = [None] * len(self.avals)
        for place, x_dot in zip(self.places, x_dots, strict=True):
            right[place] = x_dot
        return self._solved(residuals, right, **self.params)

    def pull(self, residuals, y_bars):
        jaxprs, lengths = self.params["jaxprs"], self.params["const_lengths"]
        if jaxprs.transpose_solve is None:
            raise MissingRule(
                "reverse mode needs the solver of the transposed system, but "
                "`custom_linear_solve` was called without one. Pass it "
                "`transpose_solve=...` or `symmetric=True`."
            )
        b_bars = self._solved(
            _exchanged(residuals, lengths),
            y_bars,
            const_lengths=lengths.transpose(),
            jaxprs=jaxprs.transpose(),
        )
        return [b_bars[place] for place in self.places]

    def _solved(self, held, right, **params):
        outs = self.primitive.bind(*held, *filled(right, self.avals), **params)
        return outs[: len(self.avals)]


def _exchanged(held, lengths) -> list:
    """The programs' constants in the order of the transposed system's programs."""
    parts, start = {}, 0
    for name, length in zip(lengths._fields, lengths, strict=True):
        parts[name] = held[start : start + length]
        start += length
    names = type(lengths)(*lengths._fields).transpose()
    return [value for name in names for value in parts[name]]


def linear_solve_rule(walker, primitive, values, dots, params):
    """One solve; its operands are the constants of its programs, then b."""
    values = solid(values)
    outs = ir.evaluate(primitive, values, params)
    count = sum(params["const_lengths"])
    held, right = values[:count], values[count:]
    x = outs[: len(right)]
    moved = _matvec_dots(walker, held, dots, x, params)
    pairs = zip(right, dots[count:], moved, strict=True)
    right_dots = [_difference(walker, b, plus, minus) for b, plus, minus in pairs]
    places = tuple(i for i, dot in enumerate(right_dots) if dot is not None)
    if not places:
        return outs, [None] * len(outs)
    avals = tuple(ir.typeof(b) for b in right)
    solve = Solve(primitive, Params(params), avals, places)
    edge = Edge(solve, tuple(held), places, tuple(range(len(x))))
    return outs, [
        *walker.extend([edge], right_dots, x),
        *[None] * (len(outs) - len(x)),
    ]


def _matvec_dots(walker, held, dots, x, params) -> list:
    """The dots of A x at a fixed x."""
    count = params["const_lengths"].matvec
    if all(dot is None for dot in dots[:count]):
        return [None] * len(x)
    operand_dots = [*dots[:count], *[None] * len(x)]
    return walker.run(params["jaxprs"].matvec, [*held[:count], *x], operand_dots)[1]


def _difference(walker, value, plus, minus):
    """The dot plus - minus, of a value like `value`."""
    if minus is None:
        return plus
    edges = [Edge(Scaled(-1), (), (1,), (0,))]
    if plus is not None:
        edges.append(Edge(Scaled(1), (), (0,), (0,)))
    return walker.extend(edges, [plus, minus], [value])[0]


register("linear_solve", linear_solve_rule)
