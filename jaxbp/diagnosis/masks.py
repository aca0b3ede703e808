"""Whether a select drops the value whose derivative is not finite.

jnp.where(x > 0, jnp.sqrt(x), 0.)       # at 0 the square root is dropped
The value is 0, as it should be, but its derivative is 0 times infinity.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from .births import Event
from .recording import Recording


class Mask(NamedTuple):
    """A select that drops a value.

    Fields:
      line: of the select.
      case: which of its cases the value was: 1 is what stands where the condition
        holds, 0 what stands where it does not.
    """

    line: str
    case: int


def mask_behind(recording: Recording, program, event: Event) -> Mask | None:
    """The first select behind an event's equation that drops the element, if any.

    A mark is set where the element's value stands and carried along as a tangent would
    be; where it is nothing but dropped, and by a select, that is it.
    """
    edges = program.structure.edges
    marked = {slot: _mark(event, program, slot) for slot in edges[event.place].outs}
    for place in range(event.place + 1, len(edges)):
        edge = edges[place]
        given = [marked.get(slot) for slot in edge.ins]
        if all(value is None for value in given):
            continue
        equation = recording.equation_of(place)
        pushed = edge.map.push(program.residuals(edge), given)
        if equation is not None and equation.name == "select_n":
            if not any(_any(value) for value in pushed):
                case = [d for d in equation.dots].index(edge.ins[0]) - 1
                return Mask(equation.line, case)
        for slot, value in zip(edge.outs, pushed, strict=True):
            if value is not None:
                before = marked.get(slot)
                value = _as_mark(value)
                marked[slot] = value if before is None else jnp.maximum(before, value)
    return None


def _mark(event: Event, program, slot):
    """One where the element stands, if output and operand have one shape; else
    everywhere."""
    aval = program.structure.avals[slot]
    mark = np.ones(aval.shape, aval.dtype)
    if aval.shape == event.where.shape:
        mark = np.zeros(aval.shape, aval.dtype)
        mark[event.index] = 1
    return jnp.asarray(mark)


def _as_mark(value):
    """1 where anything came, however large or small; 0 elsewhere."""
    return jnp.where(value == 0, jnp.zeros_like(value), jnp.ones_like(value))


def _any(value) -> bool:
    return value is not None and bool((np.asarray(value) != 0).any())
