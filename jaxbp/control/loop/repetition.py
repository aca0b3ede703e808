"""A while loop made ready to be gone through backwards.

Carries that the body hands on unchanged become constants: their cotangents are then
those of weights. Where the condition is an array (loops of several lengths, under
vmap), the loop goes on as long as one element does:

    goes on:   element 0  1  1  0      its last operand is kept beside the carry
               element 1  1  1  1
    operands of step 3: element 0 gets those of its step 2, again

so that the body is never asked for what lies past an element's end, where it may be NaN
or infinite: behind a zero cotangent 0 times infinity would not be zero. An element that
takes no step at all gets the carry of one that does.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ... import ir


class Repetition(NamedTuple):
    """The condition and body of a loop, and where their operands are: static.

    Fields:
      cond: closed program of (tests, carries): () bool, or one per element.
      body: closed program of (held, moved) -> moved.
      counts: of operands: of tests, and of constants.
      held: places among the loop's operands of what the body does not change.
      moved: of what it does.
      elements: shape of what the condition gives.
    """

    cond: Any
    body: Any
    counts: tuple[int, int]
    held: tuple[int, ...]
    moved: tuple[int, ...]
    elements: tuple[int, ...]

    def start(self, values: Sequence) -> list:
        """What the body changes, at first."""
        carries = [values[i] for i in self.moved]
        if self.elements:
            carries += self._operands(values, carries)
        return carries

    def end(self, values: Sequence, carries: Sequence) -> list:
        """The loop's outputs."""
        return self._whole(values, carries)[sum(self.counts) :]

    def flags(self, dots: Sequence) -> tuple[list, list]:
        """Which of the held and of the changed operands carry a tangent at first."""
        carries = [dots[i] is not None for i in self.moved]
        extra = len(carries) if self.elements else 0
        return [dots[i] is not None for i in self.held], carries + [False] * extra

    def goes_on(self, values: Sequence, carries: Sequence):
        """() bool: is there a further step."""
        going = self._going(values, carries)
        return jnp.any(going) if self.elements else going

    def _going(self, values, carries):
        whole = self._whole(values, carries)
        tests = whole[: self.counts[0]]
        return ir.evaluate_program(self.cond, tests + whole[sum(self.counts) :])[0]

    def _whole(self, values, carries) -> list:
        whole = list(values)
        for place, value in zip(self.moved, carries, strict=False):
            whole[place] = value
        return whole

    def _operands(self, values, carries) -> list:
        going = self._going(values, carries)
        some = jnp.argmax(going.reshape(-1))
        axes, count = going.ndim, math.prod(going.shape)
        found = []
        for value in map(lax.stop_gradient, carries):
            flat = lax.reshape(value, (count, *value.shape[axes:]))
            one = lax.dynamic_index_in_dim(flat, some, 0, keepdims=False)
            found.append(chosen(going, value, jnp.broadcast_to(one, value.shape)))
        return found


def operands(params) -> int:
    """How many operands a loop has."""
    carries = len(ir.inner(params["body_jaxpr"])[0].outvars)
    return params["cond_nconsts"] + params["body_nconsts"] + carries


def repetition(params) -> Repetition:
    """The loop of an equation."""
    counts = params["cond_nconsts"], params["body_nconsts"]
    cond = params["cond_jaxpr"]
    return _repetition(params["body_jaxpr"], cond, counts, operands(params))


@ir.once_per_program
def _repetition(body, cond, counts, count: int) -> Repetition:
    tests, consts = counts
    jaxpr, _ = ir.inner(body)
    elements = ir.inner(cond)[0].outvars[0].aval.shape
    pairs = zip(jaxpr.outvars, jaxpr.invars[consts:], strict=True)
    stays = [out is var for out, var in pairs]
    places = range(sum(counts), count)
    stay = [place for place, same in zip(places, stays, strict=True) if same]
    moved = [place for place, same in zip(places, stays, strict=True) if not same]
    held = [*range(0 if elements else tests, tests + consts), *stay]
    types = dict(enumerate([v.aval for v in jaxpr.invars], tests))
    types |= dict(enumerate([v.aval for v in ir.inner(cond)[0].invars[:tests]]))
    shell = Repetition(cond, body, counts, tuple(held), tuple(moved), elements)
    step = _step_of_elements if elements else _step
    made = jax.make_jaxpr(lambda *given: step(shell, count, given))(
        *[ir.struct(types[i]) for i in [*held, *moved, *(moved if elements else [])]]
    )
    return shell._replace(body=made)


def _step(loop: Repetition, count: int, given: Sequence) -> list:
    """The loop's own body, of held and changed operands."""
    whole: list = [None] * count
    for place, value in zip([*loop.held, *loop.moved], given, strict=False):
        whole[place] = value
    outs = ir.evaluate_program(loop.body, whole[loop.counts[0] :])
    return [outs[place - sum(loop.counts)] for place in loop.moved]


def _step_of_elements(loop: Repetition, count: int, given: Sequence) -> list:
    """A step of those elements that go on; and the operands that it had."""
    held, moved = len(loop.held), len(loop.moved)
    values, last = given[held : held + moved], given[held + moved :]
    whole: list = [None] * count
    for place, value in zip([*loop.held, *loop.moved], given, strict=False):
        whole[place] = value
    going = loop._going(whole, values)
    operands = [
        chosen(going, value, lax.stop_gradient(old))
        for value, old in zip(values, last, strict=True)
    ]
    news = _step(loop, count, [*given[:held], *operands])
    pairs = zip(news, values, strict=True)
    outs = [chosen(going, new, value) for new, value in pairs]
    return outs + list(map(lax.stop_gradient, operands))


def chosen(which, new, old):
    """`new` where `which`, of its leading axes, is true; else `old`."""
    aval = ir.typeof(new)
    axes = tuple(range(ir.typeof(which).ndim))
    return lax.select(lax.broadcast_in_dim(which, aval.shape, axes), new, old)
