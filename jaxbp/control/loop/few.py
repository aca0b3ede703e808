"""Whether a loop's steps are better pulled many at once: `linear.loop.at_once`.

They are where a step computes few numbers at a time, carries few, and does so much with
them that a compiler makes tens of calls of it. Where XLA compiles the whole loop to a
single function, to take the steps one by one is as fast: on the CPU, by itself below
1 KiB read and written a step, and for us small loops of all kinds (`one_function`).
"""

import math
from collections.abc import Sequence

import numpy as np

from ... import ir
from ...linear.loop.at_once import MOST
from ...linear.loop.one_function import is_one_function
from ...rules import registry
from .step import Body

_COMPUTED = 32  # numbers: the most that an equation of a step gives
_LEAST = 32  # steps
# Equations of a step, and bytes that they read and write: with fewer its pull, which
# reads and writes about twice as many, is compiled with the loop.
_MANY, _MUCH = 56, 600
_CALLS = ("jit", "closed_call", "custom_jvp_call", "for_cpu", "one_function")
_TOGETHER = frozenset(
    "abs broadcast_in_dim concatenate convert_element_type copy cumsum dynamic_slice "
    "gather pad reduce_max reduce_min reduce_sum reshape rev select_n sign slice split "
    "squeeze stack tile transpose unstack".split()
)
_TOLD = frozenset(
    "and argmax argmin ceil eq floor ge gt iota is_finite le lt ne not or round "
    "stop_gradient xor".split()
)


def few_numbers(body: Body, carries: Sequence, length: int) -> bool:
    """Whether steps are better pulled many at once.

    Args:
      carries: types of the carries that move.
      length: the number of steps.
    """
    count = sum(math.prod(aval.shape) for aval in carries)
    if is_one_function(body.jaxpr):
        return False
    if length < _LEAST or not 0 < count <= MOST:
        return False
    kinds = {aval.dtype for aval in carries}
    if len(kinds) > 1 or not np.issubdtype(kinds.pop(), np.floating):
        return False
    held = set(body.held)
    changing = {var for var in body.jaxpr.invars if var not in held}
    found = _work(body.jaxpr, changing, body.done)
    return found is not None and found[0] >= _MANY and found[1] >= _MUCH


def _work(jaxpr, changing: set, done=frozenset()) -> tuple[int, int] | None:
    """The number of equations, and bytes that they read and write; None where one of
    them is large, or not as well done for many steps together.

    Args:
      changing: variables that differ from step to step; those computed are added.
    """
    count, total = 0, 0
    for place, eqn in enumerate(jaxpr.eqns):
        if place in done:
            continue
        variables = [a for a in eqn.invars if not isinstance(a, ir.Literal)]
        inside = _inside(eqn, changing)
        if inside is None and not _is_done_together(eqn, changing):
            return None
        if inside is not None:
            found = _work(*inside)
            if found is None:
                return None
            count, total = count + found[0], total + found[1]
        else:
            count += 1
            total += sum(ir.nbytes(v.aval) for v in eqn.outvars)
            total += sum(_read(v.aval, eqn) for v in variables)
        if not changing.isdisjoint(variables):
            changing.update(eqn.outvars)
    return count, total


def _inside(eqn, changing: set) -> tuple | None:
    """Of a call the program that is called, and which of its variables change."""
    if eqn.primitive.name not in _CALLS or eqn.effects:
        return None
    (program, *_) = ir.inner_programs(eqn.params)
    jaxpr, _ = ir.inner(program)
    pairs = zip(jaxpr.invars, eqn.invars, strict=True)
    return jaxpr, {
        var for var, a in pairs if not isinstance(a, ir.Literal) and a in changing
    }


def _read(aval, eqn) -> int:
    """Bytes of an operand that are read: of what is read by parts, a part."""
    return min(ir.nbytes(aval), *[ir.nbytes(v.aval) for v in eqn.outvars])


def _is_done_together(eqn, changing: set) -> bool:
    if eqn.effects or any(_is_large(v.aval) for v in eqn.outvars):
        return False
    name, rule = eqn.primitive.name, registry.lookup(eqn.primitive)
    if name == "dot_general":  # of two matrices at each step: as many calls as steps
        moves = [not isinstance(a, ir.Literal) and a in changing for a in eqn.invars]
        matrices = [len(a.aval.shape) > 1 for a in eqn.invars]
        return not (all(moves) and all(matrices))
    known = name in _TOGETHER or name in _TOLD
    return known or isinstance(rule, registry.Elementwise)


def _is_large(aval) -> bool:
    return math.prod(aval.shape) > _COMPUTED or ir.placed(aval)
