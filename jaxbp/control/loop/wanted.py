"""Which of a loop's carries a cotangent can come back through.

What only says when to stop (a residual's norm, an error estimate) is computed from what
moves, and yet nothing of it reaches an output that anybody asks for. Its derivative is
not taken: it costs time, and may be infinite where a loop has converged.
"""

from collections.abc import Sequence

import jax
from jax import lax

from ... import ir
from ...rules import registry
from ..activity import CALLS


def wanted_carries(body, asked: Sequence[bool]) -> tuple[bool, ...]:
    """The least set of carries, with those asked for, that holds what its own next
    values are computed from.

    Args:
      body: closed program of (held, carries) -> carries.
      asked: per carry: does a cotangent of its last value come in.
    """
    flags = tuple(asked)
    while True:
        read = _read(body, flags)[-len(flags) :] if flags else ()
        grown = tuple([f or r for f, r in zip(flags, read, strict=True)])
        if grown == flags:
            return flags
        flags = grown


@ir.once_per_program
def _read(program, outs: tuple[bool, ...]) -> tuple[bool, ...]:
    """Per input of a closed program: is an output of `outs` computed from it."""
    jaxpr, _ = ir.inner(program)
    needed = {atom for atom, on in zip(jaxpr.outvars, outs, strict=True) if on}
    for eqn in reversed(jaxpr.eqns):
        made = tuple([var in needed for var in eqn.outvars])
        if not any(made):
            continue
        if isinstance(registry.lookup(eqn.primitive), registry.ZeroRule):
            continue
        if eqn.primitive.name in CALLS and not eqn.effects:
            read = _read(ir.called(eqn.params), made)
        else:
            read = [True] * len(eqn.invars)
        pairs = zip(eqn.invars, read, strict=True)
        needed |= {a for a, on in pairs if on and not isinstance(a, ir.Literal)}
    return tuple([var in needed for var in jaxpr.invars])


@ir.once_per_program
def stilled(body, wanted: tuple[bool, ...]):
    """The same program, with no derivative of the carries that are not wanted."""
    jaxpr, _ = ir.inner(body)

    def step(*given):
        pairs = zip(ir.evaluate_program(body, given), wanted, strict=True)
        return [y if on else _still(y) for y, on in pairs]

    return jax.make_jaxpr(step)(*[ir.struct(var.aval) for var in jaxpr.invars])


def _still(value):
    return lax.stop_gradient(value) if ir.differentiable(ir.typeof(value)) else value
