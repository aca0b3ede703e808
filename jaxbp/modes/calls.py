"""Rules of primitives that hold an inner program: jit and its kin.

Where the walk itself is being staged into a program, an inner jit is walked in line: the
compiler sees through it anyway, and no program is traced twice. Where operations run at
once, the inner program stays one compiled call, linearised once per set of active inputs.
"""

import functools

import jax

from .. import ir
from ..linear.base import Edge
from ..linear.call import Call
from ..rules.registry import register
from .forward import Pusher
from .linearize import linearize_program


def jit_rule(walker, primitive, values, dots, params):
    program = params["jaxpr"] if "jaxpr" in params else params["call_jaxpr"]
    if ir.is_staging(ir.current_trace()) or any(type(v) is ir.Hole for v in values):
        return walker.run(program, values, dots)
    return compiled(walker, program, values, dots)


def compiled(walker, program, values, dots):
    """The inner program and its derivative as compiled calls."""
    active = tuple(d is not None for d in dots)
    if isinstance(walker, Pusher):
        return _pushed(program, active)(values, [d for d in dots if d is not None])
    outs, inner_program = _linearized(program, active)(*values)
    structure = inner_program.structure
    targets = tuple(i for i, slot in enumerate(structure.outs) if slot is not None)
    structure = structure._replace(outs=tuple(structure.outs[i] for i in targets))
    ins = tuple(i for i, a in enumerate(active) if a)
    edge = Edge(Call(structure), tuple(inner_program.tape), ins, targets)
    return outs, walker.extend([edge], dots, outs)


@functools.lru_cache(maxsize=1024)
def _linearized(program, active):
    return jax.jit(lambda *values: linearize_program(program, values, active))


@functools.lru_cache(maxsize=1024)
def _pushed(program, active):
    def pushed(values, tangents):
        tangents = iter(tangents)
        dots = [next(tangents) if a else None for a in active]
        return Pusher().run(program, values, dots)

    return jax.jit(pushed)


register("jit", jit_rule)
register("closed_call", jit_rule)
