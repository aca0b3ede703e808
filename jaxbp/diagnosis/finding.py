"""What a person is told of a birth: line, values, reasons, at which step of a loop."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from .. import ir
from ..linear.program import LinearProgram, taped
from . import elements, kinds, masks, remedy
from .apart import steps_of
from .births import Event, Walk
from .loops import LOOPS, Step, first_bad_step
from .recording import Equation, Recording, Watcher
from .report import Birth
from .watch import Operation, bad_places, has_nan, is_bad, watched

MOST_LOOKED_AT = 32  # elements of one birth, each for what happened there


class Finder:
    """Makes of events what a person is told.

    Args:
      recording, program: the run and its linear program.
      direction: of the walk, "pull" or "push".
      value_finite: whether the function's value is.
      path: (kind of loop, step, length) of the loops around.

    Attributes:
      covered, counted: of the last births, how many elements they are behind, and how
        many if each birth is counted by itself.
    """

    def __init__(
        self, recording: Recording, program: LinearProgram, direction="pull",
        value_finite=False, path=(),
    ):  # fmt: skip
        self.recording, self.program, self.path = recording, program, path
        self.direction, self.value_finite = direction, value_finite
        self.covered = self.counted = 0

    def walk(self, seeds: dict) -> Walk:
        """A walk from seeds, loops step by step."""
        steps = steps_of(self.recording, self.program, self.direction)
        return Walk(self.program, seeds, self.direction, steps)

    def births(self, reached: dict[Event, np.ndarray]) -> list[Birth]:
        """The births, those behind most elements first, one per line and kind."""
        found: dict = {}
        behind: dict = {}
        places: dict = {}
        for event in sorted(reached, key=lambda e: -reached[e].sum()):
            keys = set()
            for birth in self._told(event):
                loops = tuple((kind, length) for kind, _, length in birth.steps)
                key = birth.line, birth.primitive, _why(birth), birth.within, loops
                first = found.setdefault(key, birth)
                if _tells_more(birth, first):
                    birth.also, first = first.also, birth
                    found[key] = birth
                behind[key] = behind.get(key, False) | reached[event]
                equation = self.recording.equation_of(event.place)
                if equation is not None and not birth.read_by:
                    places.setdefault(key, set()).add((birth.steps, equation.edges))
                if birth.steps not in (first.steps, *first.also):
                    first.also.append(birth.steps)
                first.more = 0 if first.read_by else max(first.more, birth.more)
                keys.add(key)
            for key in keys:
                found[key].shared = found[key].shared or len(keys) > 1
        for key, birth in found.items():
            birth.entries = int(behind[key].sum())
            known = places.get(key, ())
            at_once = [place for steps, place in known if steps == birth.steps]
            birth.times = max(birth.times, len(set(at_once)))
        self.covered = int(np.sum(np.any([*behind.values()], axis=0))) if behind else 0
        self.counted = sum(birth.entries for birth in found.values())
        births = sorted(found.values(), key=lambda b: (-b.entries, bool(b.origin)))
        remedy.combine(births)
        return births

    def _told(self, event: Event) -> list[Birth]:
        equation = self.recording.equation_of(event.place)
        if event.edge is None or equation is None:
            return [Birth("", "add", kinds.OVERFLOW, event.index, 0, self.path)]
        inner = self._inside(equation, event.step) if event.step is not None else []
        return inner or [self._described(event, equation)]

    def _inside(self, equation: Equation, step: Step) -> list[Birth]:
        """The births within a step of a loop."""
        recording = _opened(step)
        recorder = recording.recorder
        program = taped(recorder.edges, recorder.avals, (), ())
        path = (*self.path, (step.kind, step.number, step.length))
        inner = Finder(recording, program, self.direction, self.value_finite, path)
        starts, ends = recording.out_slots, recording.in_slots
        if self.direction == "push":
            starts, ends = ends, starts
        seeds: dict = {}
        for slot, bar in zip(starts, step.given, strict=True):
            if slot is not None and bar is not None:
                seeds[slot] = bar if slot not in seeds else seeds[slot] + bar
        births = inner.births(inner.walk(seeds).reach(ends))
        for place, birth in enumerate(births):
            if birth.kind in (kinds.ALREADY_NAN, kinds.ALREADY_INF):
                births[place] = birth = self._of_earlier(birth, equation)
            birth.line = birth.line or equation.origin.call_line
            birth.more = 0 if birth.read_by else step.more
        return births

    def _of_earlier(self, birth: Birth, equation: Equation) -> Birth:
        """A birth of a value that a step was given so: by an earlier one, or by what
        stands before the loop."""
        if birth.origin:
            return birth
        before = _forward(equation, self.path)
        if before is None or before.equation is equation:
            bad = has_nan if birth.kind == kinds.ALREADY_NAN else is_bad
            before = self._origin(equation, bad)
        if before is None:
            return birth
        found = _of_value(birth, before)
        found.remedy = remedy.remedy_of(found, self.value_finite)
        return found

    def _described(self, event: Event, equation: Equation) -> Birth:
        edge = event.edge
        assert edge is not None
        residuals = self.program.residuals(edge)
        at, shape = event.index, event.where.shape
        apply = edge.map.pull if self.direction == "pull" else edge.map.push
        operations = _operations(apply, residuals, event.given)
        kind = _kind(equation, at, shape, operations)
        elsewhere = {
            _kind(equation, other, shape, operations)
            for other in _indices(event.where)
            if equation.by_element
        }
        origin = _origin_of(edge, equation)
        birth = Birth(origin.call_line, equation.name, kind, at, 0, self.path)
        birth.within = origin.source if origin.source != birth.line else ""
        birth.column, birth.elsewhere = origin.column, sorted(elsewhere - {kind})
        birth.shape, birth.count = shape, int(event.where.sum())
        birth.operands = elements.operands(equation, at, shape)
        birth.value = elements.value(equation, at, shape)
        birth.batch = at[: equation.origin.vmaps]
        if equation.by_element and self._ends(edge, equation):
            birth.cotangent = elements.element(event.given[0], at, shape)
            birth.slope = elements.slope(edge, residuals, at, shape)
        rule = _rule_operation(edge, operations)
        birth.inside = rule.line if rule is not None else ""
        if kind in (kinds.ALREADY_NAN, kinds.ALREADY_INF):
            bad = has_nan if kind == kinds.ALREADY_NAN else is_bad
            made = self._origin(equation, bad)
            if made is not None:
                return self._made_before(birth, made)
            if not any(v is not None and bad(v) for v in birth.operands):
                birth.spoilt = elements.spoilt_operand(equation, bad)
        made = self._origin(equation, is_bad)
        birth.origin = made.said if made is not None else ""
        if rule is not None:
            birth.remedy = remedy.remedy_of(_of_operation(rule))
            return birth
        return self._with_remedy(birth, event)

    def _ends(self, edge, equation: Equation) -> bool:
        """Whether what an edge is given is what the whole equation is given."""
        if self.direction == "pull":
            return set(edge.outs) <= set(equation.slots)
        return set(edge.ins) <= set(equation.dots)

    def _made_before(self, birth: Birth, origin: "Origin") -> Birth:
        """A birth of a value that is NaN already, told of where that was made."""
        found, equation = _of_value(birth, origin), origin.equation
        place = equation.edges[0]
        before = self._origin(equation, is_bad)
        found.origin = before.said if before is not None else ""
        if origin.steps != self.path or place == equation.edges[1]:
            found.remedy = remedy.remedy_of(found, self.value_finite)
            return found
        where = bad_places(elements.spoilt(equation))
        edge = self.program.structure.edges[place]
        return self._with_remedy(found, Event(edge, place, [], 0, where))

    def _with_remedy(self, birth: Birth, event: Event) -> Birth:
        mask = masks.mask_behind(self.recording, self.program, event)
        if mask is not None:
            birth.mask, birth.mask_case = mask.line, mask.case
        birth.remedy = remedy.remedy_of(birth, self.value_finite)
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


def _tells_more(birth: Birth, other: Birth) -> bool:
    """Of two at one place, whether the first is the one to be shown: it is met where it
    was made, or more is known of it."""
    if bool(birth.read_by) != bool(other.read_by):
        return not birth.read_by
    known = [
        sum(v is not None for v in (*b.operands, b.value, b.cotangent, b.slope))
        for b in (birth, other)
    ]
    return birth.steps == other.steps and known[0] > known[1]


def _why(birth: Birth) -> str:
    """What happened in the function itself, whoever meets it in reverse mode."""
    return birth.kind.rpartition(": ")[2].partition(", then ")[0]


class Origin(NamedTuple):
    """Where a value that is not finite was made: equation, and steps of loops."""

    equation: Equation
    steps: tuple[tuple[str, int, int], ...]

    @property
    def said(self) -> str:
        """The operation and its line."""
        line = ir.brief(self.equation.origin.call_line) or "an unknown line"
        steps = "".join(f", step {n} of {m}" for _, n, m in self.steps)
        return f"`{self.equation.name}` at {line}{steps}"


def _forward(equation: Equation, path) -> Origin:
    """The equation in whose outcome the first value that is not finite appears: of a
    loop that within its step."""
    step = first_bad_step(equation) if equation.name in LOOPS else None
    if step is None:
        return Origin(equation, path)
    inside = _opened(step).recorder.equations
    here = (*path, (step.kind, step.number, step.length))
    for made in (_makes_nan, _makes_any):
        for inner in inside:
            if made(inner):
                return _forward(inner, here)
    return Origin(equation, path)


def _makes_nan(equation: Equation) -> bool:
    """Whether it makes a NaN of what is none."""
    return any(map(has_nan, equation.outs)) and not any(map(has_nan, equation.values))


def _makes_any(equation: Equation) -> bool:
    """Whether it makes what is not finite of finite numbers."""
    return any(map(is_bad, equation.outs)) and not any(map(is_bad, equation.values))


def _origin_of(edge, equation) -> ir.Origin:
    """Where an edge stands: within a rule of the user's, or where its equation does."""
    inner = edge.origin
    return inner if inner is not None and inner.source else equation.origin


def _kind(equation: Equation, index, shape, operations) -> str:
    """What happened at an element; in the rule of a function that brings its own."""
    own = equation.name not in ("", equation.origin.primitive)
    if own or equation.name in LOOPS:
        return kinds.kind_of(operations)
    forward = Operation(
        equation.name, equation.values, equation.outs, "", equation.by_element
    )
    forward, *operations = [
        elements.at(operation, index, shape) for operation in (forward, *operations)
    ]
    return kinds.kind_at(forward, operations)


def _indices(where) -> list[tuple[int, ...]]:
    """The first places of a bool array, but for the first of all."""
    return [tuple(map(int, at)) for at in np.argwhere(where)[1:MOST_LOOKED_AT]]


def _of_value(birth: Birth, origin: "Origin") -> Birth:
    """A birth whose operand is not finite already, told of the operation that made it
    so."""
    equation, steps = origin
    bad = elements.spoilt(equation)
    where = np.isnan(np.asarray(bad)) if has_nan(bad) else bad_places(bad)
    index = tuple(map(int, np.argwhere(where)[0])) if where.any() else ()
    shape = np.shape(bad)
    why = _kind(equation, index, shape, [])
    kind = birth.kind if why == kinds.UNKNOWN else f"{birth.kind}: {why}"
    line = equation.origin.call_line
    found = Birth(line, equation.name, kind, index, birth.entries, steps)
    found.within = equation.origin.source if equation.origin.source != line else ""
    found.column, found.shape = equation.origin.column, shape
    found.read_by = _met(birth, steps)
    found.operands = elements.operands(equation, index, shape)
    found.value, found.count = bad[index] if where.any() else None, int(where.sum())
    found.batch = index[: equation.origin.vmaps]
    return found


def _met(birth: Birth, steps) -> str:
    """Where reverse mode meets a value, as seen from where it was made."""
    said = f"`{birth.primitive}` at {ir.brief(birth.line) or 'an unknown line'}"
    if birth.steps == steps:
        return said
    return said + "".join(f", step {n} of {m}" for _, n, m in birth.steps)


def _operations(apply, residuals, given) -> list[Operation]:
    """What a map does to what it is given, with ones where that is not finite, which is
    another birth's; with zeros where ones do not show what is its own."""
    for number in (1, 0):
        clean = [
            v if v is None else jnp.where(bad_places(v), number, v).astype(v.dtype)
            for v in given
        ]
        operations = watched(apply, residuals, clean)
        if any(is_bad(y) for o in operations for y in o.outs):
            break
    return operations


def _rule_operation(edge, operations: list[Operation]) -> Operation | None:
    """What makes it within a backward rule of the user's."""
    if not hasattr(edge.map, "bwd"):
        return None
    for operation in operations:
        if operation.gives_birth or operation.makes_nan:
            return operation
    return None


def _of_operation(operation: Operation) -> Birth:
    """A birth at an operation of a rule."""
    out = next(filter(is_bad, operation.outs))
    index, shape = tuple(map(int, np.argwhere(bad_places(out))[0])), np.shape(out)
    kind = kinds.kind_of([operation])
    operands = tuple(elements.element(v, index, shape) for v in operation.values)
    return Birth(
        operation.line, operation.name, kind, index, 0,
        operands=operands, value=out[index],
    )  # fmt: skip


def _opened(step: Step) -> Recording:
    """One step of a loop, recorded."""
    recorder = Watcher()
    pairs = zip(step.values, step.active, strict=True)
    slots = [recorder.slot(v) if on else None for v, on in pairs]
    outs, out_slots = recorder.run(step.program, step.values, slots)
    return Recording(outs, out_slots, slots, recorder)
