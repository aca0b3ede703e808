"""How long a block is, and how many states are stored: by bytes."""

from collections.abc import Sequence
from typing import NamedTuple

from ... import ir
from ...rules import registry
from ..activity import moves, spread
from .again import recomputes

_LEAST_BYTES = 1 << 16
_STATES = 300  # as many as a loop may keep whose states are large
_MOST_STEPS = 1024  # beyond, a block's own time is nothing to that of its steps


class Sizes(NamedTuple):
    """Steps of a block; slots for states, a power of two."""

    steps: int
    slots: int


def sizes(body, known: set, types: Sequence, budget: int | None) -> Sizes:
    """Sizes of the blocks of a loop.

    Args:
      body: the jaxpr of a step.
      known: its variables that carry tangents.
      types: of the carries.
      budget: in bytes, or None.
    """
    state = max(1, sum(map(ir.nbytes, types)))
    tape = max(1, _tape_bytes(body, set(known), types))
    whole = max(_LEAST_BYTES, _STATES * state) if budget is None else budget
    most = 128 if state <= 256 else 64
    share = whole // 2 if budget is None else whole // 4
    slots = 1 << (min(most, max(4, share // state)).bit_length() - 1)
    steps = (whole - slots * state) // (tape + state)
    return Sizes(min(_MOST_STEPS, max(1, steps)), slots)


def _tape_bytes(body, active: set, carries: Sequence) -> int:
    """About what the tape of a step takes."""
    if recomputes(body, frozenset(), list(map(ir.Hole, carries)), _MOST_STEPS):
        return sum(map(ir.nbytes, carries))
    spread(body, active)
    return _kept_bytes(body, active)


def _kept_bytes(body, active: set) -> int:
    kept: dict = {}
    inside = 0
    for eqn in body.eqns:
        if not any(moves(atom, active) for atom in eqn.invars):
            continue
        rule = registry.lookup(eqn.primitive)
        if programs := ir.inner_programs(eqn.params):
            length = eqn.params.get("length", 1)
            inside += length * sum(map(_all_bytes, programs))
        elif isinstance(rule, registry.Elementwise):
            if rule.nonlinear:
                kept |= dict.fromkeys(eqn.outvars)
        elif isinstance(rule, registry.Bilinear):
            kept |= dict.fromkeys(v for v in eqn.invars if moves(v, active))
        elif not isinstance(rule, registry.Linear | registry.ZeroRule):
            kept |= dict.fromkeys(eqn.outvars)
    return inside + sum(ir.nbytes(var.aval) for var in kept)


def _all_bytes(program) -> int:
    """Of an inner program whatever may be kept."""
    jaxpr, _ = ir.inner(program)
    floating = {v for v in jaxpr.invars if ir.differentiable(v.aval)}
    spread(jaxpr, floating)
    return _kept_bytes(jaxpr, floating)
