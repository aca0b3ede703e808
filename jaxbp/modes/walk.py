"""What both modes share: a program is walked, and derivatives go along.

A walker carries, beside each value, its *dot*: in forward mode the tangent itself, in
linearise mode the slot of the tangent in the linear program; None means zero.
"""

from collections.abc import Sequence

from .. import ir
from ..linear.base import Edge
from ..rules import registry
from ..rules.borrowed import borrowed_rule

ALLOCATING = ("new_ref", "empty_ref")  # a tangent may be written there later
OWN = (*ALLOCATING, "custom_lin")  # come to their rule without a tangent, too


class Walker:
    """Applies rules to primitives; subclasses say what happens to their edges."""

    opens_calls = False  # inner jits are walked in line: their equations must be seen
    where = None  # (place of the equation, number of equations, equation)

    def extend(self, edges: Sequence[Edge], dots: Sequence, outs: Sequence) -> list:
        """Carries `dots` through the edges; gives one dot per output value."""
        raise NotImplementedError

    def through(self, jvp, values, dots, params) -> tuple[list, list]:
        """Carries `dots` through jvp(primals, tangents, **params)."""
        raise NotImplementedError

    def apply(self, primitive, values, dots, params) -> tuple[list, list]:
        """One primitive with at least one dot; `params` as an equation has them."""
        rule = registry.lookup(primitive)
        if rule is None:
            rule = borrowed_rule(primitive)
            if rule is None:
                raise registry.missing(primitive, self._place())
        return rule(self, primitive, values, dots, params)

    def run(self, program, values, dots) -> tuple[list, list]:
        """Walks the equations of a closed inner program."""
        jaxpr, consts = ir.inner(program)
        env: dict = {}
        for var, const in zip(jaxpr.constvars, consts, strict=True):
            env[var] = const, None
        for var, value, dot in zip(jaxpr.invars, values, dots, strict=True):
            env[var] = value, dot
        with ir.precision_of(program):
            self.walk(jaxpr, env)
        outs, out_dots = unzip([ir.read(env, atom) for atom in jaxpr.outvars])
        for place, atom in enumerate(jaxpr.outvars):
            if isinstance(atom, ir.Literal):  # user code may go on with it
                outs[place] = ir.array(outs[place])
        return outs, out_dots

    def walk(self, jaxpr, env: dict, skip=frozenset()) -> None:
        """Walks `jaxpr` with its inputs in `env`: variable -> (value, dot)."""
        outer = self.where
        count = len(jaxpr.eqns)
        for place, eqn in enumerate(jaxpr.eqns):
            if place in skip:
                continue
            self.where = place, count, eqn
            with ir.equation_context(eqn):
                self.equation(eqn, env)
        self.where = outer

    def equation(self, eqn, env: dict) -> None:
        """One equation: reads its operands from `env`, writes its outputs there."""
        values, dots = unzip([ir.read(env, atom) for atom in eqn.invars])
        if all(d is None for d in dots) and eqn.primitive.name not in OWN:
            params = ir.call_params(eqn.primitive, eqn.params)
            outs = ir.evaluate(eqn.primitive, values, params)
            out_dots = [None] * len(outs)
        else:
            outs, out_dots = self.apply(eqn.primitive, values, dots, eqn.params)
        for var, out, dot in zip(eqn.outvars, outs, out_dots, strict=True):
            env[var] = out, dot

    def _place(self) -> str:
        if self.where is None:
            return ir.user_line()
        place, count, eqn = self.where
        return f"equation {place + 1} of {count}, {ir.source_line(eqn)}"


def unzip(pairs) -> tuple[list, list]:
    """A list of pairs as two lists."""
    return [a for a, _ in pairs], [b for _, b in pairs]
