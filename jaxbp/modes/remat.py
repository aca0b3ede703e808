"""checkpoint (remat): the residuals are the operands; all else is computed again."""

from jax import lax

from .. import ir
from ..linear.base import Edge
from ..linear.call import Opaque
from ..rules.registry import register
from .forward import Pusher
from .linearize import linearize_program, solid


def remat_rule(walker, primitive, values, dots, params):
    """A checkpointed program: linearised again when its map is applied."""
    program = ir.closed(params["jaxpr"])
    values = solid(values)
    if isinstance(walker, Pusher):
        return walker.run(program, values, dots)
    active = tuple(d is not None for d in dots)
    ins = tuple(i for i, a in enumerate(active) if a)
    outs = ir.evaluate(primitive, values, params)
    targets = tuple(i for i, y in enumerate(outs) if ir.differentiable(ir.typeof(y)))
    again = _Again(program, active, targets, params["prevent_cse"])
    edge = Edge(Opaque(again.push, again.pull), tuple(values), ins, targets)
    return outs, walker.extend([edge], dots, outs)


class _Again:
    """Both directions of a program that is linearised anew at its operands."""

    def __init__(self, program, active, targets, prevent_cse):
        self.program, self.active = program, active
        self.targets, self.prevent_cse = targets, prevent_cse

    def _linear(self, residuals, dots):
        if self.prevent_cse:  # else the compiler may keep what was to be dropped
            residuals, dots = lax.optimization_barrier((list(residuals), list(dots)))
        _, linear = linearize_program(self.program, residuals, self.active)
        outs = tuple(linear.structure.outs[i] for i in self.targets)
        linear.structure = linear.structure._replace(outs=outs)
        return linear, dots

    def push(self, residuals, x_dots):
        linear, x_dots = self._linear(residuals, x_dots)
        return linear.push(x_dots)

    def pull(self, residuals, y_bars):
        linear, y_bars = self._linear(residuals, y_bars)
        return linear.pull(y_bars)


register("remat", remat_rule)
