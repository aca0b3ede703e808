"""`jaxbp.explain_nan`: where in the code the NaN of a gradient is born, and why."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from .. import ir, tree
from ..errors import InvalidArgument
from ..linear.program import LinearProgram, taped
from ..transforms import arguments
from ..walkers.live import run_live
from . import kinds, masks, remedy
from .births import Event, Walk
from .loops import LOOPS, Step, first_bad_step, guilty_step
from .recording import Equation, Recording, Watcher
from .report import Birth, NanReport
from .watch import Operation, bad_places, watched


def explain_nan(
    f: Callable,
    *args,
    argnums: int | Sequence[int] = 0,
    cotangent=None,
    tangents=None,
    has_aux: bool = False,
) -> NanReport:
    """Where the NaN or Inf in a derivative of `f` at `args` is born.

    The gradient is walked back on its values. A birth is an operation that is given
    finite cotangents and gives one that is not; those that reach the gradient are told,
    the one behind most of its elements first: line, operation, operands, element, step
    of each loop around it, what was multiplied, whether a select drops the value on its
    way to the output, and what to write instead.

    Args:
      f: scalar-valued, unless `cotangent` or `tangents` is given; pytrees in.
      *args: pytrees of arrays. Under `jax.jit` the report is printed when the compiled
        function runs, and what is returned here is empty.
      argnums: which positional arguments to differentiate by.
      cotangent: what reverse mode starts from, like the output of `f`; 1 if left out.
      tangents: a tuple like the arguments `argnums`: forward mode along these is looked
        at instead.
      has_aux: `f` returns (output, aux).

    Returns:
      NanReport: false if the derivative is finite, else true, with `.births`; it
      prints, and a notebook shows it.

    Raises:
      InvalidArgument: `f` is not scalar and neither `cotangent` nor `tangents` is
        given; `argnums` names no argument.
      DtypeMismatch, StructureMismatch, ShapeMismatch: as of `jaxbp.grad`, `jaxbp.jvp`.

    Cost: `f` and each of its edges once, uncompiled; two compiled runs of a loop in
    which a birth is, and its carries stacked. A gradient that is finite costs no more.
    """
    arguments.check_callable(f)
    argnums = arguments.indices(argnums)
    name = arguments.name_of(f)
    partial, primals = arguments.chosen(f, argnums, args, {})
    arguments.check_inputs(f, primals, False, True, "explain_nan")
    leaves, structure = arguments.flatten(primals, f)
    if any(map(ir.is_tracer, jax.tree.leaves(args))):
        options = {"argnums": argnums, "has_aux": has_aux}
        seeds = {"cotangent": cotangent, "tangents": tangents}

        def later(args, seeds):
            print(explain_nan(f, *args, **options, **seeds))

        jax.debug.callback(later, args, seeds)
        return NanReport(name, [], "it is told when the compiled function runs")
    flat = arguments.LeafFunction(partial, structure, has_aux, name)
    recording = _recorded(flat, leaves)
    program = taped(recording.recorder.edges, recording.recorder.avals, (), ())
    places = arguments.places_of(argnums, args, f)
    labels = _names(f, args, places)
    if tangents is not None:
        seeds = _tangents(tangents, primals, recording)
        walk, ends = Walk(program, seeds, "push"), recording.out_slots
        said = "tangent"
    else:
        seeds = _cotangents(flat, cotangent, recording, name)
        walk, ends = Walk(program, seeds), recording.in_slots
        said = "gradient"
    finder = _Finder(recording, program, args)
    reached = walk.reach(ends)
    births = finder.births(walk, reached)
    spoilt = _spoilt(walk, ends, labels if said == "gradient" else None)
    value_bad = any(bad_places(y).any() for y in recording.outs)
    report = NanReport(name, births, "", said, spoilt, value_bad)
    if births and said == "gradient":
        report.forward_finite = _forward_is_finite(program, walk, recording)
    return report


def _recorded(flat, leaves) -> Recording:
    """`flat` on its leaves, recorded."""
    recorder = Watcher()
    slots = [
        recorder.slot(x) if ir.differentiable(ir.typeof(x)) else None for x in leaves
    ]
    outs, out_slots, _ = run_live(recorder, flat, leaves, slots)
    return Recording(outs, out_slots, slots, recorder)


def _opened(step: Step) -> Recording:
    """One step of a loop, recorded."""
    recorder = Watcher()
    pairs = zip(step.values, step.active, strict=True)
    slots = [recorder.slot(v) if on else None for v, on in pairs]
    outs, out_slots = recorder.run(step.program, step.values, slots)
    return Recording(outs, out_slots, slots, recorder)


def _cotangents(flat, cotangent, recording, name) -> dict:
    outs = recording.outs
    if cotangent is None:
        if len(outs) != 1 or ir.typeof(outs[0]).shape != ():
            shapes = ", ".join(str(ir.typeof(y).shape) for y in outs)
            raise InvalidArgument(
                f"`{name}` must return one scalar, or `cotangent` must be given, but "
                f"its output has the shapes {shapes}. Pass a `cotangent` like the output."
            )
        bars = [ir.one(ir.typeof(outs[0]))]
    else:
        bars, structure = jax.tree.flatten(cotangent)
        if structure != flat.structure:
            tree.same_structure(
                "cotangent", cotangent, "output", flat.structure.unflatten(outs)
            )
        bars = [jnp.asarray(b) for b in bars]
        tree.same_types("cotangent", bars, [ir.typeof(y) for y in outs], "output")
    pairs = zip(recording.out_slots, bars, strict=True)
    return {slot: bar for slot, bar in pairs if slot is not None}


def _tangents(tangents, primals, recording) -> dict:
    tree.same_structure("tangents", tangents, "args", primals)
    dots = [jnp.asarray(t) for t in jax.tree.leaves(tangents)]
    pairs = zip(recording.in_slots, dots, strict=True)
    return {slot: dot for slot, dot in pairs if slot is not None}


def _names(f, args, places) -> list[str]:
    """What the leaves by which is differentiated are called, as `f` calls them."""
    names = iter(arguments.leaf_names(f, args))
    by_argument = [[next(names) for _ in jax.tree.leaves(arg)] for arg in args]
    return [name for place in places for name in by_argument[place]]


def _spoilt(walk, slots, names) -> list[tuple[str, int, int]]:
    """(name, how many elements are not finite, of how many) by leaf."""
    found = []
    for place, slot in enumerate(slots):
        value = walk.env.get(slot) if slot is not None else None
        if value is not None:
            bad = int(bad_places(value).sum())
            name = names[place] if names else f"output {place}"
            found.append((name, bad, int(np.size(value))))
    return [entry for entry in found if entry[1]]


def _forward_is_finite(program, walk, recording) -> bool | None:
    """Whether forward mode along the first bad element of the gradient is finite."""
    for slot in recording.in_slots:
        bad = bad_places(walk.env.get(slot)) if slot is not None else np.zeros(())
        if bad.any():
            dot = np.zeros(bad.shape, np.asarray(walk.env[slot]).dtype)
            dot[tuple(np.argwhere(bad)[0])] = 1
            pushed = Walk(program, {slot: jnp.asarray(dot)}, "push")
            ends = [pushed.env.get(s) for s in recording.out_slots if s is not None]
            return not any(bad_places(v).any() for v in ends)
    return None


class _Finder:
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
        bars: list = [None] * len(equation.outs)
        for place, slot in enumerate(equation.slots):
            if slot is not None and slot in event.edge.outs:
                bars[place] = event.given[event.edge.outs.index(slot)]
        step = guilty_step(equation, bars)
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
        inner = _Finder(recording, program, self.args, path)
        births = inner.births(walk, walk.reach(recording.in_slots))
        if not births:
            return None
        births[0].entries = entries
        if not births[0].line:
            births[0].line = equation.line
        return births[0]

    def _described(self, event: Event, equation: Equation, entries: int) -> Birth:
        edge, residuals = event.edge, self.program.residuals(event.edge)
        given = [
            v if v is None else jnp.where(bad_places(v), 0, v).astype(v.dtype)
            for v in event.given
        ]
        operations = watched(edge.map.pull, residuals, given)
        at, shape = event.index, event.where.shape
        forward = Operation(equation.name, equation.values, equation.outs, "")
        kind = kinds.kind_at(_at(forward, at, shape), operations)
        line = self._line(edge, equation)
        birth = Birth(line, equation.name, kind, event.index, entries, self.path)
        birth.shape, birth.count = shape, int(event.where.sum())
        birth.operands = tuple(_element(v, at, shape) for v in equation.values)
        birth.value = _element(equation.outs[0], at, shape)
        birth.cotangent = _element(given[0], at, shape)
        birth.batch = at[: equation.origin.vmaps]
        birth.slope = _slope(edge, residuals, given, at)
        birth.inside = _rule_line(edge, operations)
        origin = self._origin(equation)
        if origin is not None:
            birth.origin = f"`{origin.name}` at {origin.line or 'an unknown line'}"
            nan_already = kind == kinds.ALREADY_NAN or any(
                np.isnan(v) for v in birth.operands if v is not None
            )
            if nan_already:
                birth.kind, birth.line = kinds.ALREADY_NAN, origin.line or line
        mask = masks.mask_behind(self.recording, self.program, event)
        if mask is not None:
            birth.mask, birth.mask_case = mask.line, mask.case
        birth.remedy = remedy.remedy_of(birth)
        return birth

    def _line(self, edge, equation) -> str:
        inner = edge.origin.source if edge.origin is not None else ""
        return inner or equation.line

    def _origin(self, equation: Equation) -> Equation | None:
        """The equation that first made what is not finite of this one's operands."""
        made: dict[int, Equation] = {}
        for other in self.recording.recorder.equations:
            bad = [v for v in other.values if bad_places(v).any()]
            parent = next((made[id(v)] for v in bad if id(v) in made), None)
            if other is equation:
                return parent
            if any(bad_places(y).any() for y in other.outs):
                first = parent or (None if bad else _forward(other))
                if first is not None:
                    made |= {id(y): first for y in other.outs}
        return None


def _forward(equation: Equation) -> Equation:
    """The equation in whose outcome the first value that is not finite appears: of a
    loop that within its step."""
    if equation.name in LOOPS:
        step = first_bad_step(equation)
        for inner in _opened(step).recorder.equations if step else ():
            if any(bad_places(y).any() for y in inner.outs):
                return _forward(inner)
    return equation


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


def _slope(edge, residuals, given, index):
    """What the element is multiplied by, where that is one number."""
    try:
        coefficient = edge.map.coefficient(residuals)
    except (AttributeError, TypeError):
        return None
    if coefficient is None or given[0] is None:
        return None
    return _element(coefficient, index, given[0].shape)


def _rule_line(edge, operations: list[Operation]) -> str:
    """The line within a backward rule of the user's that makes it, or ""."""
    if not hasattr(edge.map, "bwd"):
        return ""
    for operation in operations:
        if operation.gives_birth or operation.makes_nan:
            return operation.line
    return ""
