"""What a loop's body computes from invariants alone, done once before the loop."""

import math
from collections.abc import Sequence

from ... import ir
from ...walkers.walker import Walker

_ARITHMETIC = ("add", "convert_element_type", "mul", "neg", "sub")


def hoist(walker: Walker, body, env: dict) -> tuple[frozenset[int], dict]:
    """Does the equations of a loop's body that depend on invariants alone.

    Args:
      walker: the walker of the program around the loop: derivatives are done with them.
      body: the body's jaxpr.
      env: the invariants, variable -> (value, dot); gains the results.

    Returns:
      The places of the equations done; of those left although invariant (what would
      grow, such as a broadcast), variable -> place: a residual may still ask for it.
    """
    invariant, late, done = set(env), {}, set()
    for place, eqn in enumerate(body.eqns):
        variables = [a for a in eqn.invars if not isinstance(a, ir.Literal)]
        if eqn.effects or not invariant.issuperset(variables):
            continue
        ready = bool(variables) and all(v in env for v in variables)
        if ready and _is_number(eqn) and any(env[v][1] is not None for v in variables):
            continue
        if ready and _bytes(eqn.outvars) <= 2 * _bytes(variables):
            walker.equation(eqn, env)
            done.add(place)
        elif any(v in env and env[v][1] is not None for v in variables):
            continue  # it carries a tangent, which is recorded in the loop
        else:
            late.update((var, place) for var in eqn.outvars)
        invariant.update(eqn.outvars)
    return frozenset(done), late


def _bytes(variables: Sequence) -> int:
    avals = [v.aval for v in variables if hasattr(v.aval, "shape")]
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in avals)


def _is_number(eqn) -> bool:
    """Whether it is arithmetic of numbers. To do it at every step is nothing, but what
    is done before the loop has a cotangent of its own, summed over the steps."""
    small = all(v.aval.shape == () for v in eqn.outvars)
    return small and eqn.primitive.name in _ARITHMETIC
