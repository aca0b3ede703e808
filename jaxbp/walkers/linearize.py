"""Linearise mode: the program runs once and its derivative is written down.

The linear program that results is walked forward for a pushforward, backward for a
pullback.
"""

from collections.abc import Callable, Sequence

from .. import ir
from ..errors import NonlinearTangent
from ..linear.base import Edge
from ..linear.precision import InPrecision
from ..linear.program import LinearProgram, assemble
from .live import run_live
from .walker import Walker

_NONLINEAR = (
    "a derivative rule must be linear in its tangents, but one of them is multiplied "
    "with or divided by another. Correct the rule's formula."
)


class Recorder(Walker):
    """A walker whose dots are slots: edges are written down."""

    def __init__(self):
        self.edges: list[Edge] = []
        self.x64 = ir.x64()
        self.avals: list = []  # per slot: the type of the value whose tangent it is

    def slot(self, value) -> int:
        self.avals.append(ir.typeof(value))
        return len(self.avals) - 1

    def extend(self, edges, dots, outs):
        out: list = [None] * len(outs)
        x64 = ir.x64()
        for edge in edges:
            for residual in edge.residuals:
                if type(residual) is ir.Hole:
                    raise NonlinearTangent(_NONLINEAR)
            for place in edge.outs:
                if out[place] is None:
                    out[place] = self.slot(outs[place])
            ins = tuple([dots[place] for place in edge.ins])
            targets = tuple([out[place] for place in edge.outs])
            it, other = edge.map, edge.instead
            if x64 != self.x64:  # the walks of the program come later
                it, other = InPrecision(it, x64), None
            self.edges.append(Edge(it, edge.residuals, ins, targets, self.where, other))
        return out

    def finish(self, ins, outs) -> LinearProgram:
        """The linear program from the slots `ins` to the slots `outs`."""
        return assemble(self.edges, self.avals, ins, outs)

    def through(self, jvp, values, dots, params):
        """Runs the rule with its tangents open: what is done to them is recorded."""
        values = solid(values)
        holes = [ir.Hole(ir.tangent_aval(ir.typeof(v))) for v in values]
        found: list = []

        def rule(*tangents):
            tangents = [
                t if d is not None else None
                for t, d in zip(tangents, dots, strict=True)
            ]
            outs, out_tangents = jvp(values, tangents, **params)
            found.extend(outs)
            return list(out_tangents), []

        _, out_dots, _ = run_live(self, rule, holes, dots)
        return found, out_dots


def solid(values: Sequence) -> list:
    """Values with every hole filled by zeros, for rules that need arrays."""
    return [ir.zeros(v.aval) if type(v) is ir.Hole else v for v in values]


def record(run: Callable, values: Sequence, active: Sequence[bool], recorder=None):
    """Outputs, linear program and extras of `run(recorder, values, dots)`.

    `run` gives values, dots and possibly more; the program has one input per active
    value.
    """
    recorder = Recorder() if recorder is None else recorder
    pairs = zip(values, active, strict=True)
    dots = [recorder.slot(v) if a else None for v, a in pairs]
    outs, out_dots, *extras = run(recorder, values, dots)
    ins = [d for d in dots if d is not None]
    return outs, recorder.finish(ins, out_dots), *extras


def linearize_flat(function: Callable, primals: Sequence, active: Sequence[bool]):
    """Values of `function(*primals) -> outs, extras`, the linear program of outs."""
    return record(
        lambda recorder, values, dots: run_live(recorder, function, values, dots),
        primals,
        active,
    )


def linearize_program(program, values: Sequence, active: Sequence[bool]):
    """Outputs of a closed inner program and its linear program at `values`."""
    return record(
        lambda recorder, values, dots: recorder.run(program, values, dots),
        values,
        active,
    )


__all__ = ["LinearProgram", "Recorder", "linearize_flat", "linearize_program", "solid"]
