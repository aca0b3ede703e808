"""What a loop's body computes from invariants alone, done once before the loop."""

import math
from collections.abc import Sequence
from typing import Any

from ... import ir
from ...walkers.walker import Walker

_ARITHMETIC = ("add", "convert_element_type", "mul", "neg", "sub")


def hoist(walker: Walker, body, env: dict) -> tuple[Any, frozenset[int], dict]:
    """Does the equations of a loop's body that depend on invariants alone.

    What a body computes twice is done once, and has one cotangent to be summed over the
    steps: a right side called at every stage of a step slices its parameters each time.

    Args:
      walker: the walker of the program around the loop: derivatives are done with them.
      body: the body's jaxpr.
      env: the invariants, variable -> (value, dot); gains the results.

    Returns:
      The body, reading what is done once by one name; the places of the equations done;
      of those left although invariant (what would grow, such as a broadcast), variable
      -> place: a residual may still ask for it.
    """
    invariant, late, done = set(env), {}, set()
    numbers: dict = {}  # variable -> place of an equation that reads none
    made: dict = {}  # (primitive, operands, parameters) -> outputs of one done
    same: dict = {}  # variable -> the one of the same value
    for place, eqn in enumerate(body.eqns):
        variables = [a for a in eqn.invars if not isinstance(a, ir.Literal)]
        if eqn.effects or not invariant.issuperset(variables):
            continue
        there = [v for v in variables if v in env]
        stated = {numbers[v]: None for v in variables if v in numbers}
        ready = bool(there) and all(v in env or v in numbers for v in variables)
        if ready and is_number(eqn) and any(env[v][1] is not None for v in there):
            continue
        if ready and is_compact(eqn, there):
            for earlier in stated:
                walker.equation(body.eqns[earlier], env)
                for var in body.eqns[earlier].outvars:
                    del numbers[var], late[var]
            done.update(stated)
            alike = _alike(eqn, same, made)
            if alike is None or not all(var in env for var in alike):
                walker.equation(eqn, env)
            else:
                env.update((v, env[w]) for v, w in zip(eqn.outvars, alike, strict=True))
                same.update(zip(eqn.outvars, alike, strict=True))
            done.add(place)
        elif any(env[v][1] is not None for v in there):
            continue  # it carries a tangent, which is recorded in the loop
        else:
            late.update((var, place) for var in eqn.outvars)
            if not variables:
                numbers.update((var, place) for var in eqn.outvars)
        invariant.update(eqn.outvars)
    for var in same:
        del env[var]
    body = _renamed(body, tuple(same.items())) if same else body
    return body, frozenset(done), late


def _alike(eqn, same: dict, made: dict) -> Sequence | None:
    """What an equation done gives that computes the same, or None."""
    if any(isinstance(atom, ir.Literal) for atom in eqn.invars):
        return None
    operands = [same.get(var, var) for var in eqn.invars]
    key = eqn.primitive, *operands, *eqn.params.values()
    try:
        outs = made.setdefault(key, eqn.outvars)
    except TypeError:  # a parameter without a hash
        return None
    return None if outs is eqn.outvars else outs


@ir.once_per_program
def _renamed(body, same: tuple):
    """A body that reads other variables of the same values."""
    found = dict(same)

    def named(atoms):
        return [a if isinstance(a, ir.Literal) else found.get(a, a) for a in atoms]

    eqns = [eqn.replace(invars=named(eqn.invars)) for eqn in body.eqns]
    return body.replace(eqns=eqns, outvars=named(body.outvars))


def _bytes(variables: Sequence) -> int:
    avals = [v.aval for v in variables if hasattr(v.aval, "shape")]
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in avals)


def is_compact(eqn, read: Sequence | None = None) -> bool:
    """Whether what it makes takes hardly more bytes than what it reads (of that, than
    `read`), so that it is better kept than done at every step."""
    if read is None:
        read = [a for a in eqn.invars if not isinstance(a, ir.Literal)]
    return _bytes(eqn.outvars) <= 2 * _bytes(read)


def is_number(eqn) -> bool:
    """Whether it is arithmetic of numbers. To do it at every step is nothing, but what
    is done before the loop has a cotangent of its own, summed over the steps."""
    small = all(v.aval.shape == () for v in eqn.outvars)
    return small and eqn.primitive.name in _ARITHMETIC
