"""Calls in a loop's body of which a part is the same at every step.

    for t: x = map_coordinates(x, at)      a function of its own, under `jit`
    within: places and weights, from `at` alone; then x is read at them

A call is one equation of the body, which changes as x does. It is opened, so that what
follows from the loop's invariants is done once, before the loop (`hoist`), and neither
done nor kept at every step.
"""

from typing import Any

import jax

from ... import ir
from .invariants import is_compact, is_number


@ir.once_per_program
def opened(body, invariants: frozenset):
    """The body, such calls in it replaced by what they call.

    Args:
      body: a loop's jaxpr.
      invariants: its variables that are the same at every step.
    """
    same, eqns, left = set(invariants), [], list(reversed(body.eqns))
    changed = False
    while left:
        eqn = left.pop()
        if _is_opened(eqn, same):
            left += reversed(_inside(eqn))
            changed = True
            continue
        if _is_done_once(eqn, same):
            same.update(eqn.outvars)
        eqns.append(eqn)
    return body.replace(eqns=eqns) if changed else body


def _is_done_once(eqn, same: set) -> bool:
    variables = [a for a in eqn.invars if not isinstance(a, ir.Literal)]
    known = bool(variables) and same.issuperset(variables)
    return known and is_compact(eqn) and not eqn.effects and not is_number(eqn)


def _is_opened(eqn, same: set) -> bool:
    if eqn.primitive.name not in ("jit", "pjit") or eqn.effects:
        return False
    flags = [not isinstance(a, ir.Literal) and a in same for a in eqn.invars]
    if _is_done_once(eqn, same):
        return False
    jaxpr, consts = ir.inner(ir.called(eqn.params))
    made = {v for inner in jaxpr.eqns for v in inner.outvars}
    outs = jaxpr.outvars
    plain = all(not isinstance(a, ir.Literal) and a in made for a in outs)
    if consts or not plain or len(set(outs)) < len(outs):
        return False
    known = {v for v, on in zip(jaxpr.invars, flags, strict=True) if on}
    return any(_does_once(inner, known) for inner in jaxpr.eqns)


def _does_once(eqn, known: set) -> bool:
    """Whether an equation, or one of those it calls, is done once; then its results
    are known, too. What reads nothing is: a mask of numbers that are counted, say."""
    if not eqn.invars and not eqn.effects:
        return True
    if _is_done_once(eqn, known):
        known.update(eqn.outvars)
        return True
    return _is_opened(eqn, known)


def _inside(eqn) -> list:
    """The equations of a call, between the caller's variables."""
    jaxpr, _ = ir.inner(ir.called(eqn.params))
    made = [v for inner in jaxpr.eqns for v in inner.outvars]
    types = [ir.struct(v.aval) for v in made]
    fresh: list[Any] = jax.make_jaxpr(lambda *xs: xs)(*types).jaxpr.invars
    names: dict = dict(zip(made, fresh, strict=True))
    names |= dict(zip(jaxpr.invars, eqn.invars, strict=True))
    for inner, outer in zip(jaxpr.outvars, eqn.outvars, strict=True):
        if type(outer).__name__ != "DropVar":
            names[inner] = outer
    return [
        inner.replace(
            invars=[a if isinstance(a, ir.Literal) else names[a] for a in inner.invars],
            outvars=[names[v] for v in inner.outvars],
        )
        for inner in jaxpr.eqns
    ]
