"""A loop's body, walked for one step or for many at once."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax

from ... import ir, settings
from ...linear.loop.narrowed import Fewer
from ...linear.program import LinearProgram
from ...walkers.linearize import linearize_program
from ...walkers.walker import Walker
from ..activity import mattering, spread
from .buffers import InPlace, StepRecorder


@dataclass(slots=True, unsafe_hash=True)
class Body:
    """A loop's body as a function of invariants, carries and elements: static."""

    jaxpr: Any
    held: tuple  # variables of the invariants
    carries: int
    active: tuple[bool, ...]  # per invariant, carry and element: carries a tangent
    done: frozenset[int]  # equations done before the loop

    def run(self, walker, values, dots):
        """Walks one step; gives the outputs' values and dots, and the environment."""
        variables = (*self.held, *self._changing())
        triples = zip(variables, values, dots, strict=True)
        env = {var: (value, dot) for var, value, dot in triples}
        first = len(self.held)
        if isinstance(walker, InPlace):
            carried = slice(first, first + self.carries)
            walker.begin(self.jaxpr, variables, values, carried)
        walker.walk(self.jaxpr, env, self.done)
        pairs = [ir.read(env, atom) for atom in self.jaxpr.outvars]
        return [v for v, _ in pairs], [d for _, d in pairs], env

    def _changing(self):
        known = set(self.held)
        return [var for var in self.jaxpr.invars if var not in known]

    def told(self) -> tuple[set, set]:
        """Variables that carry tangents; those that are there for every step."""
        variables = (*self.held, *self._changing())
        moving = {v for v, on in zip(variables, self.active, strict=True) if on}
        spread(self.jaxpr, moving, self.done)
        first = len(self.held)
        outs = self.jaxpr.outvars[self.carries :]
        outs = [v for v in outs if not isinstance(v, ir.Literal)]
        carried = variables[first : first + self.carries]
        return moving, {*variables, *outs}.difference(carried)

    def mattering(self, wanted: set[int]) -> "Body":
        """With tangents of that alone on which outputs at `wanted` depend."""
        variables = (*self.held, *self._changing())
        pairs = zip(variables, self.active, strict=True)
        active = {var for var, on in pairs if on}
        first = len(self.held)
        carried = variables[first : first + self.carries]
        needed, wanted = mattering(self.jaxpr, active, carried, wanted, self.done)
        needed.update(carried[i] for i in wanted if i < self.carries)
        pairs = zip(variables, self.active, strict=True)
        return dataclasses.replace(
            self, active=tuple([on and var in needed for var, on in pairs])
        )

    def linearize(self, values):
        """One step's outputs, their slots, its linear program, and the environment."""
        recorder = StepRecorder()
        dots = [
            recorder.slot(value) if active else None
            for value, active in zip(values, self.active, strict=True)
        ]
        outs, slots, env = self.run(recorder, values, dots)
        count = len(self.held)
        moving = self.active[count : count + self.carries]
        pairs = zip(slots[: self.carries], moving, strict=True)
        targets = [slot for slot, moves in pairs if moves] + slots[self.carries :]
        program = recorder.finish([d for d in dots if d is not None], targets)
        return outs, slots, program, env, recorder.written


@dataclass(slots=True, unsafe_hash=True)
class StepAgain:
    """A step that runs again: residuals are invariants, stacked carries, elements."""

    body: Body
    targets: tuple[int, ...]  # which outputs carry tangents
    options: settings.Options

    def narrowed(self, held: int, carries: int, wanted: Sequence[bool]):
        """The step without what some of its outputs do not ask for, or None."""
        body = self.body
        asked = {i for i, w in zip(self.targets, wanted, strict=True) if w}
        found = body.mattering(asked)
        ins = [now for now, on in zip(found.active, body.active, strict=True) if on]
        moved = iter(ins[held : held + carries])
        outs = [i in asked or (i < body.carries and next(moved)) for i in self.targets]
        if all(outs) and all(ins):
            return None
        targets = tuple([i for i, w in zip(self.targets, outs, strict=True) if w])
        fewer = StepAgain(found, targets, self.options)
        return Fewer(fewer, ins, outs, range(len(body.active)))

    def slices(self, residuals):
        return list(residuals[len(self.body.held) :])

    def last(self, residuals):
        return []

    def before(self, slices):
        return []

    def ahead(self, residuals, reverse):
        return []

    def made(self, tape):
        return tape

    def arrays(self, residuals):
        return []

    def versions(self, residuals, slices, following, arrays):
        return [], lambda results: []

    def all_versions(self, residuals, scan, reverse):
        return []

    def program(self, residuals, slices, following, versions):
        held = residuals[: len(self.body.held)]
        with settings.using(self.options):
            _, slots, program, *_ = self.body.linearize([*held, *slices])
        outs = tuple([slots[i] for i in self.targets])
        return LinearProgram(program.structure._replace(outs=outs), program.tape)

    def all_at_once(self, residuals, slices):
        """The linear program of many steps: `slices` have an axis of steps, and so have
        its inputs and outputs, but for the invariants."""
        body, count = self.body, len(self.body.held)
        values = [*residuals[:count], *slices]
        axes = (*[None] * count, *[0] * len(slices))

        def step(*values):
            return body.run(Walker(), values, [None] * len(values))[0]

        types = [ir.struct(ir.typeof(value)) for value in values]
        with settings.using(self.options):
            many = jax.make_jaxpr(jax.vmap(step, axes))(*types)
            _, program = linearize_program(many, values, body.active)
        return program.picked(self.targets)
