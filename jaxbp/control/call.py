"""Rules of primitives that hold an inner program: jit and its kin.

An inner jit stays one call: its program is linearised once per set of active inputs,
however often and in however many traces it is called, as JAX keeps the program itself.
Where the walk is being staged, a few equations are walked in line: that is faster than
a call, and passes that look at neighbouring equations see them.
"""

import weakref
from collections.abc import Callable
from typing import NamedTuple

import jax

from .. import ir, settings
from ..errors import InvalidArgument
from ..linear.base import Edge, Params, filled
from ..linear.call import Call, CompiledWalks
from ..linear.for_cpu import for_cpu_p
from ..linear.loop.one_function import one_function_p
from ..linear.primitive import JointlyThroughPrimitive
from ..linear.program import restricted
from ..rules import registry
from ..rules.registry import register
from ..walkers.forward import Pusher
from ..walkers.linearize import linearize_program, solid
from ..walkers.live import LiveTracer
from .ref import call_with_contents, carrying

# Equations that are walked in the time it takes to bind both directions of a call. One
# whose rule is traced, or that holds programs, is worth a call by itself.
_FEW = 6


@carrying(call_with_contents)
def jit_rule(walker, primitive, values, dots, params):
    program = ir.called(params)
    opens = walker.opens_calls or settings.current().open_calls
    if (
        opens
        or any(type(v) is ir.Hole for v in values)
        or (_is_traced(values) and _in_line(program, params))
    ):
        return walker.run(program, values, dots)
    return _called(walker, program, values, dots, params.get("name", "closed_call"))


def _is_traced(values) -> bool:
    """Whether a call is staged, or recorded by a derivative around this one: each level
    of nested derivatives would double the programs to compile."""
    return ir.is_staging(ir.current_trace()) or any(
        type(value) is LiveTracer for value in values
    )


def _in_line(program, params) -> bool:
    """Whether a call that is staged is better walked as a part of its caller."""
    return ir.inlined(params) or _size(program) <= _FEW


@ir.once_per_program
def _size(program) -> float:
    """In equations; minus infinity where a program must be walked in line.

    It must where it has effects or holds tracers.
    """
    jaxpr, consts = ir.inner(program)
    if jaxpr.effects or any(map(ir.is_tracer, consts)):
        return float("-inf")
    return sum(map(_weight, jaxpr.eqns))


def _weight(eqn) -> float:
    if eqn.primitive.name in ("jit", "for_cpu", "one_function"):
        return _size(ir.called(eqn.params))
    traced = isinstance(registry.lookup(eqn.primitive), registry.General)
    return 1 + _FEW if traced or ir.inner_programs(eqn.params) else 1


def _called(walker, program, values, dots, name):
    """The inner program and its derivative as compiled calls."""
    active = tuple([d is not None for d in dots])
    options = settings.current()
    if isinstance(walker, Pusher):
        pushed = _pushed(program, active, name, options)
        return pushed(values, [d for d in dots if d is not None])
    computed, static = _linearized(program, active, name, options)(*values)
    plan: _Plan = static.value
    at = [*values, *computed, *plan.held]
    outs = [at[place] for place in plan.outs]
    if plan.walks is None:
        return outs, [None] * len(outs)
    residuals = tuple([at[place] for place in plan.tape])
    edge = Edge(Call(plan.walks), residuals, plan.ins, plan.targets)
    return outs, walker.extend([edge], dots, outs)


class _Plan(NamedTuple):
    """Where a call's outputs and tape are: among operands, what it computes, `held`."""

    outs: tuple[int, ...]
    tape: tuple[int, ...]
    held: tuple  # arrays known when it was traced
    ins: tuple[int, ...]  # operands whose tangents its linear program takes
    targets: tuple[int, ...]  # outputs whose tangents it gives
    walks: CompiledWalks | None  # None: no output depends on the active inputs


@ir.once_per_program
def _linearized(program, active, name, options) -> Callable:
    weakly = weakref.ref(program)

    def linearized(*values):
        outs, linear = linearize_program(weakly(), values, active)
        slots = linear.structure.outs
        targets = tuple([i for i, slot in enumerate(slots) if slot is not None])
        structure, ins, kept = restricted(
            linear.structure, [slot is not None for slot in slots]
        )
        places = {id(value): i for i, value in enumerate(values)}
        wanted = [*outs, *[linear.tape[i] for i in kept]]
        computed, held = _sorted(wanted, places)
        count = len(outs)
        found = tuple([places[id(value)] for value in wanted])
        moving = [i for i, a in enumerate(active) if a]
        plan = _Plan(
            found[:count],
            found[count:],
            tuple(held),
            tuple([moving[i] for i in ins]),
            targets,
            CompiledWalks(structure, name) if targets else None,
        )
        return computed, ir.Static(plan)

    return _named(linearized, name)


def _sorted(wanted: list, places: dict[int, int]) -> tuple[list, list]:
    """What is computed and what is known already; each gets a place, after others."""
    apart = {id(v): v for v in wanted if id(v) not in places}
    computed = [v for v in apart.values() if ir.is_tracer(v)]
    held = [v for v in apart.values() if not ir.is_tracer(v)]
    for value in (*computed, *held):
        places[id(value)] = len(places)
    return computed, held


@ir.once_per_program
def _pushed(program, active, name, options) -> Callable:
    weakly = weakref.ref(program)

    def pushed(values, tangents):
        tangents = iter(tangents)
        dots = [next(tangents) if a else None for a in active]
        return Pusher().run(weakly(), values, dots)

    return _named(pushed, f"{name}_jvp")


def _named(function, name) -> Callable:
    function.__name__ = function.__qualname__ = name
    return jax.jit(function)


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
            "its residual arguments depends on the inputs. Call the function directly "
            "to differentiate it in these."
        )
    outs = ir.evaluate(primitive, values, params)
    active = tuple(i for i, d in enumerate(dots) if d is not None)
    avals = [ir.typeof(v) if i >= held else None for i, v in enumerate(values)]
    targets = tuple(range(len(outs)))
    linear_map = JointlyThroughPrimitive(
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
register(one_function_p, jit_rule)
register(for_cpu_p, inline_rule)
register("composite", inline_rule)
register("xla_metadata_call", inline_rule)
register("linear_call", linear_call_rule)
