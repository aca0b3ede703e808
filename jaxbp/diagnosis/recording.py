"""A function run on its values, its derivative written down edge by edge, and beside
each edge the equation that it came from, with the values that were there."""

from dataclasses import dataclass, field
from typing import Any

from .. import ir
from ..walkers.linearize import Recorder
from .watch import by_element

# What these hold is walked in line: their equations are looked at one by one.
_OPENED = (*ir.CALLS, "cond")


@dataclass
class Equation:
    """One primitive, or one function with a rule of its own, on its values.

    Fields:
      name: of the primitive, or of the function.
      values, outs: arrays.
      dots, slots: the slots of their tangents, None where they do not move.
      params: as an equation has them.
      origin: where it stands.
      edges: the places of its edges in the linear program, from and up to.
      by_element: whether what stands at one index of all these belongs together; of
        a function with a rule of its own it is taken to.
    """

    name: str
    values: list
    outs: list
    dots: list
    slots: list
    params: dict
    origin: ir.Origin
    edges: tuple[int, int]
    by_element: bool

    @property
    def line(self) -> str:
        """`file:line (function)` in the user's code, or ""."""
        return self.origin.source


@dataclass
class Recording:
    """What a run leaves.

    Fields:
      outs: values. out_slots: the slots of their tangents, or None.
      in_slots: those of the inputs that move.
      recorder: holds edges, types of slots, and equations.
    """

    outs: list
    out_slots: list
    in_slots: list
    recorder: "Watcher" = field(repr=False)

    def equation_of(self, place: int) -> Equation | None:
        """The equation whose edge stands at a place."""
        for equation in self.recorder.equations:
            if equation.edges[0] <= place < equation.edges[1]:
                return equation
        return None


class Watcher(Recorder):
    """Records a derivative with everything in line that can be, and notes equations."""

    opens_calls = True

    def __init__(self):
        super().__init__()
        self.equations: list[Equation] = []
        self._inside = False

    def apply(self, primitive, values, dots, params):
        name = primitive.name
        if name in ir.CHECKPOINTS:
            return self.run(ir.called(params), values, dots)
        if self._inside or name in _OPENED or any(type(v) is ir.Hole for v in values):
            return super().apply(primitive, values, dots, params)
        origin, first = self._origin(name), len(self.edges)
        self._inside = True
        try:
            outs, slots = super().apply(primitive, values, dots, params)
        finally:
            self._inside = False
        own = _called(params)
        self.equations.append(
            Equation(
                own or name, list(values), list(outs), list(dots), list(slots), params,
                origin, (first, len(self.edges)), bool(own) or by_element(primitive),
            )
        )  # fmt: skip
        return outs, slots

    def _origin(self, name):
        if self.where is None or self.own_lines:
            return ir.Origin(name, ir.here(), outer=self.where)
        return self.where


def _called(params: dict[str, Any]) -> str:
    """The name of a function that brings its own derivative, "" of all else."""
    functions = params.get("subfuns") or (params.get("call_jaxpr"),)
    info = getattr(functions[0], "debug_info", None)
    if info is None:
        info = getattr(getattr(functions[0], "jaxpr", None), "debug_info", None)
    return getattr(info, "func_name", None) or ""
