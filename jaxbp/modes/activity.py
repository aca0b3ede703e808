"""What can be told of a loop's body from its equations, before anything is traced."""

import math

from .. import ir
from ..rules import registry
from .walk import ALLOCATING

# Their derivative is zero, but to run them again is not cheap.
_RANDOM = ("random_bits", "rng_bit_generator", "rng_uniform", "threefry2x32")


def spread(body, active: set, done=frozenset()) -> None:
    """Adds to `active` the variables of `body` that may carry a tangent."""
    for place, eqn in enumerate(body.eqns):
        moved = any(moves(a, active) for a in eqn.invars)
        if place not in done and (moved or eqn.primitive.name in ALLOCATING):
            if not isinstance(registry.lookup(eqn.primitive), registry.ZeroRule):
                active.update(v for v in eqn.outvars if ir.differentiable(v.aval))


def moves(atom, active: set) -> bool:
    """Whether a variable or literal may carry a tangent."""
    return not isinstance(atom, ir.Literal) and atom in active


def moving_outputs(program, active) -> tuple[int, ...]:
    """The outputs of a closed program that may move where its inputs `active` do."""
    jaxpr, _ = ir.inner(program)
    moving = {var for var, moved in zip(jaxpr.invars, active, strict=True) if moved}
    spread(jaxpr, moving)
    return tuple(i for i, atom in enumerate(jaxpr.outvars) if moves(atom, moving))


def recomputes(body, done, carries) -> bool:
    """Whether a step is better run again than remembered.

    It is where the body does nothing but elementwise and structural operations, and its
    carries take fewer bytes than the outputs of its nonlinear equations, of which the
    residuals are made.
    """
    kept = sum(_bytes(ir.typeof(value)) for value in carries)
    work = _cheap_residual_bytes(body, done)
    return work is not None and kept < work


def _cheap_residual_bytes(body, done=frozenset()) -> int | None:
    total = 0
    for place, eqn in enumerate(body.eqns):
        if place in done:
            continue
        rule = registry.lookup(eqn.primitive)
        name = eqn.primitive.name
        if name == "jit":
            inner = _cheap_residual_bytes(ir.inner(eqn.params["jaxpr"])[0])
            if inner is None:
                return None
            total += inner
        elif isinstance(rule, registry.Elementwise):
            if rule.nonlinear:
                total += sum(_bytes(v.aval) for v in eqn.outvars)
        elif isinstance(rule, registry.ZeroRule):
            if name in _RANDOM:
                return None
        elif not isinstance(rule, registry.Linear) or eqn.effects:
            return None
    return total


def _bytes(aval) -> int:
    return math.prod(aval.shape) * aval.dtype.itemsize
