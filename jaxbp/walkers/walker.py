"""What both modes share: a program is walked, and derivatives go along.

A walker carries, beside each value, its *dot*: in forward mode the tangent itself, in
linearise mode the slot of the tangent in the linear program; None means zero.
"""

from collections.abc import Sequence

from .. import ir, settings
from ..errors import JaxbpError
from ..linear.base import Edge
from ..rules import registry
from ..rules.borrowed import borrowed_rule

ALLOCATING = ("new_ref", "empty_ref")  # a tangent may be written there later
OWN = (*ALLOCATING, "custom_lin")  # come to their rule without a tangent, too


class Walker:
    """Applies rules to primitives; subclasses say what happens to their edges."""

    opens_calls = False  # inner jits are walked in line: their equations must be seen
    where: ir.Origin | None = None  # the equation that is walked
    own_lines = False  # a user's rule runs: what it does has lines of its own

    def extend(self, edges: Sequence[Edge], dots: Sequence, outs: Sequence) -> list:
        """Carries `dots` through the edges; gives one dot per output value."""
        raise NotImplementedError

    def through(self, jvp, values, dots, params) -> tuple[list, list]:
        """Carries `dots` through jvp(primals, tangents, **params)."""
        raise NotImplementedError

    def apply(self, primitive, values, dots, params) -> tuple[list, list]:
        """One primitive with at least one dot; `params` as an equation has them."""
        outer, own = self.where, self.own_lines
        if outer is None or own:
            self.where = ir.Origin(primitive.name, ir.here(), outer=outer)
            self.own_lines = False
        try:
            rule = registry.lookup(primitive) or self._borrowed(primitive)
            return rule(self, primitive, values, dots, params)
        except JaxbpError as error:
            raise error.at(self.where) from error.__cause__
        finally:
            self.where, self.own_lines = outer, own

    def _borrowed(self, primitive):
        rule = borrowed_rule(primitive)
        if rule is None:
            raise registry.missing(primitive)
        assert self.where is not None
        self.where.foreign = True
        return rule

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
        outer, count = self.where, len(jaxpr.eqns)
        read = settings.current().open_calls  # then its lines are asked for
        for place, eqn in enumerate(jaxpr.eqns):
            if place in skip:
                continue
            name, info = eqn.primitive.name, eqn.source_info
            self.where = ir.Origin(name, info, place, count, outer)
            with ir.equation_context(eqn):
                if not read:
                    self.equation(eqn, env)
                    continue
                with self.where.attributed():
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


def unzip(pairs) -> tuple[list, list]:
    """A list of pairs as two lists."""
    return [a for a, _ in pairs], [b for _, b in pairs]
