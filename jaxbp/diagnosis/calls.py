"""The calls of functions with derivative rules of their own, at the values they see.

`f` runs once on its values, under a trace of ours. Calls within jit, branches and
checkpoints are found as they run; of a loop these steps are looked at: the first, the
last, one at random, that with the largest number in it, and the first that is suspect:
all steps together are gone through once, compiled, along one cotangent.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from .. import ir
from ..rules import registry
from ..walkers.primal import has_rules
from .loops import LOOPS, Loop
from .suspects import RULES, suspect_steps
from .watch import bad_places


class RuleCall(NamedTuple):
    """One call of a function with a rule of its own.

    Fields:
      kind: "custom_vjp", "custom_jvp", or "primitive": one registered here.
      name, line: of the function, and where it is called.
      rule: *values -> outputs; its derivative is the rule's.
      body: the same by the function's own operations; None where it has none.
      values: its operands. steps: (kind, step, length) of the loops around.
    """

    kind: str
    name: str
    line: str
    rule: Callable
    body: Callable | None
    values: list
    steps: tuple[tuple[str, int, int], ...]


def rule_calls(function: Callable, values, seed: int = 0) -> list[RuleCall]:
    """The calls that `function(*values)` makes, in their order."""
    found = _Found(np.random.default_rng(seed))
    with ir.take_current_trace() as parent:
        with ir.set_current_trace(_Calls(parent, found)):
            function(*values)
    return found.calls


class _Found:
    """Collects calls from equations on values."""

    def __init__(self, rng):
        self.calls: list[RuleCall] = []
        self.rng, self.steps, self.line = rng, (), ""

    def equation(self, primitive, values, params) -> list:
        """The outputs of an equation, whose calls are noted."""
        name, line = primitive.name, ir.line_of(ir.here()) or self.line
        if name in RULES:
            self._note(RULES[name], primitive, values, params, line)
        elif not registry.from_jax(primitive) and registry.lookup(primitive):
            self._note("primitive", primitive, values, params, line)
        inside = ir.inner_programs(params)
        if name in RULES or not any(map(has_rules, inside)):
            return ir.evaluate(primitive, values, ir.call_params(primitive, params))
        self.line, outer = line, self.line
        try:
            return self._opened(primitive, values, params)
        finally:
            self.line = outer

    def _opened(self, primitive, values, params) -> list:
        name = primitive.name
        if name in (*ir.CALLS, *ir.CHECKPOINTS):
            return self.program(ir.called(params), values)
        if name == "cond":
            return self.program(params["branches"][int(values[0])], values[1:])
        if name in LOOPS:
            self._loop(name, values, params)
        return ir.evaluate(primitive, values, ir.call_params(primitive, params))

    def program(self, program, values) -> list:
        """The outputs of a closed program."""

        def each(eqn, operands):
            origin = ir.Origin(eqn.primitive.name, eqn.source_info)
            with ir.equation_context(eqn), origin.attributed():
                return self.equation(eqn.primitive, operands, eqn.params)

        with ir.precision_of(program):
            return ir.evaluate_by(each, program, values)

    def _loop(self, kind, values, params) -> None:
        moving = [ir.differentiable(ir.typeof(v)) for v in values]
        loop, before = Loop(kind, values, moving, params), self.steps
        if not loop.length:
            return
        for number in self._numbers(loop):
            self.steps = (*before, (loop.kind, number, loop.length))
            self.program(loop.program, loop.operands(number))
        self.steps = before

    def _numbers(self, loop) -> list[int]:
        """Of the steps that are looked at."""
        last = loop.length - 1
        sizes = np.zeros(loop.length)
        for block in loop.blocks():
            for stack in (*block.carries, *block.elements):
                if ir.differentiable(ir.typeof(stack)) and stack.size:
                    array = np.where(bad_places(stack), 0, np.abs(np.asarray(stack)))
                    rows = array.reshape(len(array), -1).max(axis=1).astype(float)
                    here = slice(block.first, block.first + len(array))
                    sizes[here] = np.maximum(sizes[here], rows)
        at_random = int(self.rng.integers(loop.length))
        found = {0, last, at_random, int(np.argmax(sizes))}
        return sorted(found | suspect_steps(loop, self.rng))

    def _note(self, kind, primitive, values, params, line) -> None:
        body = None
        if kind != "primitive":
            inner = ir.inner_programs(params)[0]
            body = lambda *given: ir.evaluate_program(inner, given)  # noqa: E731

        def rule(*given):
            found = ir.call_params(primitive, params)
            return ir.evaluate(primitive, given, found)

        name = primitive.name if kind == "primitive" else _name_of(params)
        values = [ir.array(v) for v in values]
        call = RuleCall(kind, name, line, rule, body, values, self.steps)
        self.calls.append(call)


class _Calls(ir.Trace):
    """Runs `f` on its values, under `parent`."""

    __slots__ = ("parent", "found")

    def __init__(self, parent, found: _Found):
        super().__init__()
        self.parent, self.found = parent, found

    def process_primitive(self, primitive, values, params, /):
        with ir.set_current_trace(self.parent):
            outs = self.found.equation(primitive, list(values), params)
        return outs if primitive.multiple_results else outs[0]

    def process_custom_jvp_call(
        self, primitive, fun, jvp, values, /, *, symbolic_zeros
    ):
        params = {"subfuns": (fun, jvp), "symbolic_zeros": symbolic_zeros}
        return self._custom(primitive, values, params)

    def process_custom_vjp_call(
        self, primitive, fun, fwd, bwd, values, /, *, out_trees, symbolic_zeros
    ):
        params = {
            "subfuns": (fun, fwd, bwd),
            "out_trees": out_trees,
            "symbolic_zeros": symbolic_zeros,
        }
        return self._custom(primitive, values, params)

    def _custom(self, primitive, values, params):
        """A call on values, first made an equation: its functions run but once."""
        line = ir.line_of(ir.here())
        with ir.set_current_trace(self.parent):
            staged = jax.make_jaxpr(lambda *given: primitive.bind(*given, **params))
            program = staged(*values)
            self.found.line = line
            return self.found.program(program, list(values))


def _name_of(params: dict[str, Any]) -> str:
    """The name of the user's function."""
    info = getattr(ir.inner(ir.inner_programs(params)[0])[0], "debug_info", None)
    told = getattr(info, "func_name", None) or getattr(info, "func_src_info", None)
    return str(told or "a function").partition(" at ")[0]
