"""Rules of primitives that hold an inner program: jit and its kin.

Where the walk itself is being staged into a program, an inner jit is walked in line:
the compiler sees through it anyway, and no program is traced twice. Where operations
run at once, the inner program stays one compiled call, linearised once per set of
active inputs.
"""

import functools

import jax

from .. import ir
from ..errors import InvalidArgument
from ..linear.applied import JointlyApplied
from ..linear.base import Edge, Params, filled
from ..linear.call import Call
from ..rules.registry import register
from .custom import is_strict
from .forward import Pusher
from .linearize import linearize_program, solid
from .refs import call_with_contents, carrying


@carrying(call_with_contents)
def jit_rule(walker, primitive, values, dots, params):
    program = ir.called(params)
    if ir.is_staging(ir.current_trace()) or any(type(v) is ir.Hole for v in values):
        return walker.run(program, values, dots)
    return compiled(walker, program, values, dots)


def compiled(walker, program, values, dots):
    """The inner program and its derivative as compiled calls."""
    active = tuple(d is not None for d in dots)
    if isinstance(walker, Pusher):
        return _pushed(program, active, is_strict())(
            values, [d for d in dots if d is not None]
        )
    outs, inner_program = _linearized(program, active, is_strict())(*values)
    structure = inner_program.structure
    targets = tuple(i for i, slot in enumerate(structure.outs) if slot is not None)
    structure = structure._replace(outs=tuple(structure.outs[i] for i in targets))
    ins = tuple(i for i, a in enumerate(active) if a)
    edge = Edge(Call(structure), tuple(inner_program.tape), ins, targets)
    return outs, walker.extend([edge], dots, outs)


# Kept apart by `strict`, in whose force the program is walked.
@functools.lru_cache(maxsize=1024)
def _linearized(program, active, strict):
    return jax.jit(lambda *values: linearize_program(program, values, active))


@functools.lru_cache(maxsize=1024)
def _pushed(program, active, strict):
    def pushed(values, tangents):
        tangents = iter(tangents)
        dots = [next(tangents) if a else None for a in active]
        return Pusher().run(program, values, dots)

    return jax.jit(pushed)


def inline_rule(walker, primitive, values, dots, params):
    """A call that only names its program: walked in line in both modes."""
    program = params["jaxpr"] if "jaxpr" in params else params["call"]
    return walker.run(ir.closed(program), values, dots)


def linear_call_rule(walker, primitive, values, dots, params):
    """jax.custom_derivatives.linear_call: a linear function with its own transpose."""
    held = params["num_callee_consts"] + params["num_res"]
    values = solid(values)
    if any(d is not None for d in dots[:held]):
        raise InvalidArgument(
            "linear_call has a derivative in its linear arguments alone, but one of "
            f"its residual arguments depends on the inputs ({ir.user_line()}). Call "
            "the function directly to differentiate it in these."
        )
    outs = ir.evaluate(primitive, values, params)
    active = tuple(i for i, d in enumerate(dots) if d is not None)
    avals = [ir.typeof(v) if i >= held else None for i, v in enumerate(values)]
    targets = tuple(range(len(outs)))
    linear_map = JointlyApplied(
        primitive, Params(params), _linear_call_transpose, tuple(avals), active, targets
    )
    edge = Edge(linear_map, tuple(values[:held]), active, targets)
    return outs, walker.extend([edge], dots, outs)


def _linear_call_transpose(y_bars, *operands, transpose_thunk, **params):
    first = params["num_callee_consts"]
    held = first + params["num_res"]
    program, consts = transpose_thunk()
    avals = [var.aval for var in ir.inner(program)[0].invars]
    y_bars = filled(y_bars, avals[len(consts) + params["num_res"] :])
    x_bars = ir.evaluate_program(program, [*consts, *operands[first:held], *y_bars])
    return [None] * held + x_bars


register("jit", jit_rule)
register("closed_call", jit_rule)
register("composite", inline_rule)
register("custom_vmap_call", inline_rule)
register("linear_call", linear_call_rule)
