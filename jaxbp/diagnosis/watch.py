"""What a piece of code does to its values, operation by operation.

A linear map, a slope or a user's backward rule is run once more on arrays, under a
trace that notes each primitive with its operands, its outcome and its line: the first
that makes a NaN or an Inf of finite numbers is where it comes from.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import ir
from ..rules.registry import kind_of


class Operation(NamedTuple):
    """One primitive as it ran.

    Fields:
      name: of the primitive.
      values, outs: its operands and its outcome, lists of arrays.
      line: `file:line (function)` of the user's code, or "".
      by_element: whether what stands at one index of all these belongs together.
    """

    name: str
    values: list
    outs: list
    line: str
    by_element: bool = False

    @property
    def gives_birth(self) -> bool:
        """Whether it makes what is not finite of finite numbers."""
        return not any(map(is_bad, self.values)) and any(map(is_bad, self.outs))

    @property
    def makes_nan(self) -> bool:
        """Whether it makes a NaN of what is none."""
        return any(map(has_nan, self.outs)) and not any(map(has_nan, self.values))


class _Watch(ir.Trace):
    """Evaluates under `parent`, and notes what it evaluates."""

    __slots__ = ("parent", "seen", "line")

    def __init__(self, parent, seen: list):
        super().__init__()
        self.parent, self.seen, self.line = parent, seen, ""

    def process_primitive(self, primitive, values, params, /):
        line = ir.line_of(ir.here()) or self.line
        if (
            primitive.name in ir.CALLS
        ):  # what a library has jitted has no line of a user
            self.line, outer = line, self.line
            try:
                with ir.set_current_trace(self):
                    return ir.evaluate_program(ir.called(params), values)
            finally:
                self.line = outer
        with ir.set_current_trace(self.parent):
            out = primitive.bind(*values, **params)
        outs = list(out) if primitive.multiple_results else [out]
        self.seen.append(
            Operation(primitive.name, list(values), outs, line, by_element(primitive))
        )
        return out

    def process_custom_jvp_call(
        self, primitive, fun, jvp, values, /, *, symbolic_zeros
    ):
        with ir.set_current_trace(self):
            return fun.call_wrapped(*values)

    def process_custom_vjp_call(
        self, primitive, fun, fwd, bwd, values, /, *, out_trees, symbolic_zeros
    ):
        with ir.set_current_trace(self):
            return fun.call_wrapped(*values)


def watched(function: Callable, *args) -> list[Operation]:
    """The operations of `function(*args)` on arrays, as far as it came."""
    seen: list[Operation] = []
    with ir.take_current_trace() as parent:
        with ir.set_current_trace(_Watch(parent, seen)):
            function(*args)
    return seen


def by_element(primitive) -> bool:
    """Whether a primitive works element by element."""
    kind = kind_of(primitive)
    return kind == "elementwise" or primitive.name in ("select_n", "add_any")


def bad_places(value: Any) -> np.ndarray:
    """Where an array is NaN or Inf; nowhere if it is no floating array."""
    if value is None or not ir.differentiable(ir.typeof(value)):
        return np.zeros(getattr(value, "shape", ()), bool)
    return ~np.isfinite(np.asarray(value))


def is_bad(value: Any) -> bool:
    """Whether an array holds a NaN or an Inf."""
    return bool(bad_places(value).any())


def has_nan(value: Any) -> bool:
    """Whether an array holds a NaN."""
    if value is None or not ir.differentiable(ir.typeof(value)):
        return False
    return bool(np.isnan(np.asarray(value)).any())
