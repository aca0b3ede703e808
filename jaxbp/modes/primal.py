"""A program evaluated as where it is differentiated: functions by their own rules.

    @jax.custom_vjp
    def f(x): return x                       # evaluated plainly, f(2.) is 2
    f.defvjp(lambda x: (3 * x, None), ...)   # where f is differentiated, it is 6
    A checkpoint or a loop that is run again gives, going forward, what the gradient
    will be of: 6. `Primal` evaluates so, and records nothing.

The value that a custom_vjp's forward part gives is what its derivative belongs to; and
JAX, taking the derivative of a derivative, can go through that part in either mode.
"""

from collections.abc import Sequence

from .. import ir
from ..rules import registry
from .linearize import Recorder
from .walk import unzip

_RULES = ("call_hi_primitive", "custom_jvp_call", "custom_lin", "custom_vjp_call")


class Primal(Recorder):
    """Evaluates; what has a rule of its own, or calls what has one, by its rule.

    Its dots say what moves: to a rule, a constant is one.
    """

    opens_calls = True

    def values(self, program, values: Sequence, active: Sequence[bool]) -> list:
        """The outputs of a closed program, some of whose inputs move."""
        return self.run(program, values, self.dots(values, active))[0]

    def dots(self, values: Sequence, active: Sequence[bool]) -> list:
        """A slot for each value that moves."""
        pairs = zip(values, active, strict=True)
        return [self.slot(value) if moves else None for value, moves in pairs]

    def equation(self, eqn, env):
        values, dots = unzip([ir.read(env, atom) for atom in eqn.invars])
        open_tangents = any(type(value) is ir.Hole for value in values)
        if _by_rule(eqn) or open_tangents:  # within a rule all is recorded
            return super().equation(eqn, env)
        params = ir.call_params(eqn.primitive, eqn.params)
        zero = isinstance(registry.lookup(eqn.primitive), registry.ZeroRule)
        moves = not zero and any(dot is not None for dot in dots)
        outs = ir.evaluate(eqn.primitive, values, params)
        for var, out in zip(eqn.outvars, outs, strict=True):
            moved = moves and ir.differentiable(ir.typeof(out))
            env[var] = out, self.slot(out) if moved else None


def has_rules(program) -> bool:
    """Whether a function with a rule of its own is called in a closed program."""
    return _has_rules(ir.inner(program)[0])


@ir.once_per_program
def _has_rules(jaxpr) -> bool:
    return any(map(_by_rule, jaxpr.eqns))


def _by_rule(eqn) -> bool:
    inside = ir.inner_programs(eqn.params)
    return eqn.primitive.name in _RULES or any(map(has_rules, inside))
