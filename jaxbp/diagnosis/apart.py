"""The births of a loop told apart by the step in which they happen."""

from collections.abc import Callable

import numpy as np

from ..linear.program import LinearProgram
from .loops import LOOPS, Step
from .recording import Recording
from .sweep import birth_steps


def steps_of(recording: Recording, program: LinearProgram, direction: str) -> Callable:
    """What a walk asks at a loop: (place of its edge, what it is given) to (step, in
    which elements of which slot that arrives) for each step that gives birth."""

    def steps(place: int, given: list) -> list[tuple[Step, dict]]:
        equation = recording.equation_of(place)
        if equation is None or equation.name not in LOOPS:
            return []
        edge = program.structure.edges[place]
        comes, goes = edge.outs, equation.dots
        read = equation.slots
        if direction == "push":
            comes, goes, read = edge.ins, equation.slots, equation.dots
        env = dict(zip(comes, given, strict=True))
        listed = [env.get(slot) if slot is not None else None for slot in read]
        found = birth_steps(equation, listed, direction)
        return [(born.step, _by_slot(goes, born.ends)) for born in found]

    return steps


def _by_slot(slots: list, ends: list) -> dict[int, np.ndarray]:
    """The ends by slot; of a while loop the first slots are those of its condition."""
    found: dict[int, np.ndarray] = {}
    for slot, end in zip(slots[len(slots) - len(ends) :], ends, strict=True):
        if slot is not None and end is not None:
            end = np.asarray(end)
            found[slot] = found[slot] | end if slot in found else end
    return found
