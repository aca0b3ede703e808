"""A program evaluated as where it is differentiated: functions by their own rules.

The value that a custom_vjp's forward part gives is what its derivative belongs to; and
JAX, taking the derivative of a derivative, can go through that part in either mode.
"""

import functools

from .. import ir
from .linearize import Recorder
from .walk import Walker

_RULES = ("custom_jvp_call", "custom_lin", "custom_vjp_call")


class Primal(Walker):
    """Evaluates; with a rule is evaluated what has one, or calls what has one."""

    def equation(self, eqn, env):
        if not _by_rule(eqn):
            return super().equation(eqn, env)
        recorder, moved = Recorder(), {}
        for var in eqn.invars:
            if not isinstance(var, ir.Literal):
                value, _ = env[var]
                moves = ir.differentiable(ir.typeof(value))
                moved[var] = value, recorder.slot(value) if moves else None
        recorder.equation(eqn, moved)
        env.update((var, (moved[var][0], None)) for var in eqn.outvars)


@functools.lru_cache(maxsize=1024)
def has_rules(program) -> bool:
    """Whether a function with a rule of its own is called in a closed program."""
    return any(map(_by_rule, ir.inner(program)[0].eqns))


def _by_rule(eqn) -> bool:
    inside = ir.inner_programs(eqn.params)
    return eqn.primitive.name in _RULES or any(map(has_rules, inside))
