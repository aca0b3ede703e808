"""What is known of a program's inputs, followed through its equations."""

from collections.abc import Callable, Sequence
from typing import Any

from .. import ir
from .flow import is_call


def followed(jaxpr, given: Sequence, nothing: Any, through: Callable) -> list:
    """What is known of each output.

    Args:
      jaxpr: open. given: what is known of each input.
      nothing: of a literal or a constant.
      through: (equation, what is known of its inputs) -> of its outputs. Calls are
        opened instead; loops and branches are not.
    """
    known = dict(zip(jaxpr.invars, given, strict=True))
    read = lambda a: nothing if isinstance(a, ir.Literal) else known.get(a, nothing)  # noqa: E731
    for eqn in jaxpr.eqns:
        inputs = list(map(read, eqn.invars))
        inner = _opened(eqn)
        outs = followed(inner, inputs, nothing, through) if inner else None
        outs = through(eqn, inputs) if outs is None else outs
        known.update(zip(eqn.outvars, outs, strict=True))
    return list(map(read, jaxpr.outvars))


def _opened(eqn):
    """The program that a call runs on its inputs; None where it is no call."""
    if not is_call(eqn.primitive.name):
        return None
    inner, _ = ir.inner(ir.called(eqn.params))
    return inner if len(inner.invars) == len(eqn.invars) else None
