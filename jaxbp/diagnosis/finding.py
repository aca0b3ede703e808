"""What a person is told of a birth: line, values, reasons, at which step of a loop."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from .. import ir
from ..linear.program import LinearProgram, taped
from . import kinds, masks, remedy
from .births import Event, Walk
from .loops import LOOPS, Step, backward, first_bad_step
from .recording import Equation, Recording, Watcher
from .report import Birth
from .watch import Operation, bad_places, has_nan, is_bad, watched


class Finder:
    """Makes of events what a person is told.

    Args:
      recording, program: the run and its linear program.
      args: the arguments of the function, to know what came in spoilt.
      path: (kind of loop, step, length) of the loops around.
    """

    def __init__(self, recording: Recording, program: LinearProgram, args, path=()):
        self.recording, self.program, self.args = recording, program, args
        self.path = path

    def births(self, walk: Walk, reached: dict[Event, int]) -> list[Birth]:
        """The births, those behind most elements first, one per line and kind."""
        found: dict = {}
        for event in sorted(reached, key=lambda e: -reached[e]):
            birth = self._birth(event, reached[event], walk)
            key = birth.line, birth.primitive, birth.kind, birth.steps
            if key in found:
                found[key].times += 1
            else:
                found[key] = birth
        births = sorted(found.values(), key=lambda b: (-b.entries, bool(b.origin)))
        remedy.combine(births)
        return births

    def _birth(self, event: Event, entries: int, walk: Walk) -> Birth:
        equation = self.recording.equation_of(event.place)
        if event.edge is None or equation is None:
            return Birth("", "add", kinds.OVERFLOW, event.index, entries, self.path)
        if equation.name in LOOPS:
            inner = self._inside(equation, event, entries)
            if inner is not None:
                return inner
        return self._described(event, equation, entries)

    def _inside(self, equation, event, entries) -> Birth | None:
        """The birth within the guilty step of a loop."""
        env = dict(zip(event.edge.outs, event.given, strict=True))
        bars = [env.get(slot) if slot is not None else None for slot in equation.slots]
        step = backward(equation, bars).guilty
        if step is None:
            return None
        recording = _opened(step)
        recorder = recording.recorder
        program = taped(recorder.edges, recorder.avals, (), ())
        pairs = zip(recording.out_slots, step.y_bars, strict=True)
        seeds: dict = {}
        for slot, bar in pairs:
            if slot is not None and bar is not None:
                seeds[slot] = bar if slot not in seeds else seeds[slot] + bar
        walk = Walk(program, seeds)
        path = (*self.path, (step.kind, step.number, step.length))
        inner = Finder(recording, program, self.args, path)
        births = inner.births(walk, walk.reach(recording.in_slots))
        if not births:
            return None
        first = births[0]
        first.entries = entries
        if first.kind == kinds.ALREADY_NAN and not first.origin:
            before = _forward(equation, self.path)  # at an earlier step
            if before.equation is not equation:
                first = _of_value(first, before)
        first.line = first.line or equation.line
        return first

    def _described(self, event: Event, equation: Equation, entries: int) -> Birth:
        edge = event.edge
        assert edge is not None
        residuals = self.program.residuals(edge)
        given = [
            v if v is None else jnp.where(bad_places(v), 0, v).astype(v.dtype)
            for v in event.given
        ]
        operations = watched(edge.map.pull, residuals, given)
        at, shape = event.index, event.where.shape
        kind = _kind(equation, at, shape, operations)
        line = _origin_of(edge, equation).source
        birth = Birth(line, equation.name, kind, event.index, entries, self.path)
        birth.column = _origin_of(edge, equation).column
        birth.shape, birth.count = shape, int(event.where.sum())
        birth.operands = tuple(_element(v, at, shape) for v in equation.values)
        birth.value = _element(equation.outs[0], at, shape)
        birth.cotangent = _element(given[0], at, shape)
        birth.batch = at[: equation.origin.vmaps]
        birth.slope = _slope(edge, residuals, at, shape)
        birth.inside = _rule_line(edge, operations)
        if kind == kinds.ALREADY_NAN:
            origin = self._origin(equation, has_nan)
            if origin is not None:
                return self._made_before(birth, origin)
        origin = self._origin(equation, is_bad)
        birth.origin = origin.said if origin is not None else ""
        return self._with_remedy(birth, event)

    def _made_before(self, birth: Birth, origin: "Origin") -> Birth:
        """A birth of a value that is NaN already, told of where that was made."""
        found, equation = _of_value(birth, origin), origin.equation
        place = equation.edges[0]
        if origin.steps != self.path or place == equation.edges[1]:
            return found
        where = np.isnan(np.asarray(equation.outs[0]))
        edge = self.program.structure.edges[place]
        return self._with_remedy(found, Event(edge, place, [], 0, where))

    def _with_remedy(self, birth: Birth, event: Event) -> Birth:
        mask = masks.mask_behind(self.recording, self.program, event)
        if mask is not None:
            birth.mask, birth.mask_case = mask.line, mask.case
        birth.remedy = remedy.remedy_of(birth)
        return birth

    def _origin(self, equation: Equation, bad) -> "Origin | None":
        """What first made what is bad, NaN or not, of this equation's operands."""
        made: dict[int, Origin] = {}
        for other in self.recording.recorder.equations:
            read = list(filter(bad, other.values))
            parent = next((made[id(v)] for v in read if id(v) in made), None)
            if other is equation:
                return parent
            if any(map(bad, other.outs)):
                first = parent or (None if read else _forward(other, self.path))
                if first is not None:
                    made |= {id(y): first for y in other.outs}
        return None


class Origin(NamedTuple):
    """Where a value that is not finite was made: equation, and steps of loops."""

    equation: Equation
    steps: tuple[tuple[str, int, int], ...]

    @property
    def said(self) -> str:
        """The operation and its line."""
        return f"`{self.equation.name}` at {self.equation.line or 'an unknown line'}"


def _forward(equation: Equation, path) -> Origin:
    """The equation in whose outcome the first value that is not finite appears: of a
    loop that within its step."""
    if equation.name in LOOPS:
        step = first_bad_step(equation)
        inside = _opened(step).recorder.equations if step is not None else ()
        for inner in inside:
            if step is not None and any(bad_places(y).any() for y in inner.outs):
                return _forward(inner, (*path, (step.kind, step.number, step.length)))
    return Origin(equation, path)


def _origin_of(edge, equation) -> ir.Origin:
    """Where an edge stands: within a rule of the user's, or where its equation does."""
    inner = edge.origin
    return inner if inner is not None and inner.source else equation.origin


def _kind(equation: Equation, index, shape, operations) -> str:
    """What happened at an element; in the rule of a function that brings its own."""
    own = equation.name not in ("", equation.origin.primitive)
    if own or equation.name in LOOPS:
        return kinds.kind_of(operations)
    forward = Operation(equation.name, equation.values, equation.outs, "")
    return kinds.kind_at(_at(forward, index, shape), operations)


def _of_value(birth: Birth, origin: "Origin") -> Birth:
    """A birth whose operand is NaN already, told of the operation that made it so."""
    equation, steps = origin
    bad = next((y for y in equation.outs if has_nan(y)), equation.outs[0])
    index = tuple(map(int, np.argwhere(np.isnan(np.asarray(bad)))[0]))
    shape = np.shape(bad)
    read_by = f"`{birth.primitive}` at {birth.line or 'an unknown line'}"
    for _, step, length in birth.steps[len(steps) :] or birth.steps:
        if birth.steps != steps:
            read_by += f", step {step} of {length}"
    why = _kind(equation, index, shape, [])
    kind = kinds.ALREADY_NAN if why == kinds.UNKNOWN else f"{kinds.ALREADY_NAN}: {why}"
    found = Birth(equation.line, equation.name, kind, index, birth.entries, steps)
    found.column, found.shape, found.read_by = equation.origin.column, shape, read_by
    found.operands = tuple(_element(v, index, shape) for v in equation.values)
    found.value, found.count = bad[index], int(np.isnan(np.asarray(bad)).sum())
    found.batch = index[: equation.origin.vmaps]
    return found


def _at(operation: Operation, index, shape) -> Operation:
    """The operation at one element, where operands and outcome have such elements."""
    whole = [*operation.values, *operation.outs]
    found = [_element(v, index, shape) for v in whole]
    if any(v is None for v in found):
        return operation
    count = len(operation.values)
    return operation._replace(values=found[:count], outs=found[count:])


def _element(value, index, shape):
    """The element of `value` at an index of something of `shape`; None if it has no
    such element."""
    if value is None:
        return None
    array = np.asarray(value)
    if array.shape == tuple(shape):
        return array[index]
    return array[()] if array.ndim == 0 else None


def _slope(edge, residuals, index, shape):
    """What the element is multiplied by, where that is one number."""
    try:
        coefficient = edge.map.coefficient(residuals)
    except (AttributeError, TypeError):
        return None
    return _element(coefficient, index, shape)


def _rule_line(edge, operations: list[Operation]) -> str:
    """The line within a backward rule of the user's that makes it, or ""."""
    if not hasattr(edge.map, "bwd"):
        return ""
    for operation in operations:
        if operation.gives_birth or operation.makes_nan:
            return operation.line
    return ""


def _opened(step: Step) -> Recording:
    """One step of a loop, recorded."""
    recorder = Watcher()
    pairs = zip(step.values, step.active, strict=True)
    slots = [recorder.slot(v) if on else None for v, on in pairs]
    outs, out_slots = recorder.run(step.program, step.values, slots)
    return Recording(outs, out_slots, slots, recorder)
