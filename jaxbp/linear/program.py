"""The linear program: the derivative of a whole function at one point.

Slots stand for tangents (walked forward) or cotangents (walked backward); edges carry
them through linear maps. What several edges bring to one slot is summed.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax

from ..errors import JaxbpError
from .association import sums_early
from .base import Edge, add
from .parts import parts
from .windows import Waiting


class Structure(NamedTuple):
    """Everything of a linear program but its arrays."""

    edges: tuple[Edge, ...]  # in order of evaluation; residuals are places on the tape
    ins: tuple[int, ...]  # slots of the inputs
    outs: tuple[int | None, ...]  # slots of the outputs; None: the derivative is zero
    avals: tuple  # per slot: the type of the value whose tangent it holds

    def readers(self) -> dict[int, list[Edge | None]]:
        """Per slot the edges that read it; None where it is an output."""
        found: dict[int, list[Edge | None]] = defaultdict(list)
        for edge in self.edges:
            for slot in edge.ins:
                found[slot].append(edge)
        for slot in self.outs:
            if slot is not None:
                found[slot].append(None)
        return found

    def makers(self) -> dict[int, list[Edge | None]]:
        """Per slot the edges that bring something to it; None where it is an input."""
        found: dict[int, list[Edge | None]] = defaultdict(list)
        for slot in self.ins:
            found[slot].append(None)
        for edge in self.edges:
            for slot in edge.outs:
                found[slot].append(edge)
        return found

    def ends(self) -> list[list[int]]:
        """Per edge the slots that no edge before it, nor an input, brings to."""
        known, found = set(self.ins), []
        for edge in self.edges:
            new = [slot for slot in edge.outs if slot not in known]
            known.update(new)
            found.append(new)
        return found

    def picked(self, places: Sequence[int]) -> "Structure":
        """With the outputs at `places` alone, in that order; all edges stay."""
        return self._replace(outs=tuple([self.outs[i] for i in places]))


@jax.tree_util.register_pytree_node_class
class LinearProgram:
    """The derivative of a function at a point, as a pytree.

    `print(program)` shows it, one line an edge.

    Attributes:
      structure: the graph: static, hashable.
      tape: the residuals, each array once however many maps need it.
    """

    __slots__ = ("structure", "tape")

    def __init__(self, structure: Structure, tape: Sequence[Any]):
        self.structure = structure
        self.tape = tape

    def tree_flatten(self):
        return tuple(self.tape), _Hashed(self.structure)

    @classmethod
    def tree_unflatten(cls, hashed, tape):
        return cls(hashed.structure, tape)

    def push(self, x_dots: Sequence) -> list:
        """Pushforward: one tangent per input (None: zero) to one per output."""
        env = seeded(self.structure.ins, x_dots)
        for _ in self.steps("push", env):
            pass
        return [env.get(slot) for slot in self.structure.outs]

    def pull(self, y_bars: Sequence) -> list:
        """Pullback: one cotangent per output (None: zero) to one per input."""
        return self.pull_onto(y_bars, [None] * len(self.structure.ins))

    def pull_onto(
        self, y_bars: Sequence, x_bars: Sequence, in_loop: bool = False
    ) -> list:
        """The pullback added to `x_bars`; parts of an array in their places."""
        env = seeded(self.structure.outs, y_bars)
        for slot, x_bar in zip(self.structure.ins, x_bars, strict=True):
            if x_bar is not None:
                env[slot] = add(env.get(slot), x_bar)
        waiting, tape = Waiting(self.structure.avals, in_loop), self.tape
        at, ends = env.get, self.structure.ends()
        for edge in reversed(self.structure.edges):
            last = ends.pop()
            if waiting:
                waiting.before(edge, env)
            given = [at(slot) for slot in edge.outs]
            if given[0] is None and all(value is None for value in given):
                continue
            it, ins = edge.map, edge.ins
            residuals = [tape[place] for place in edge.residuals]
            for slot in last:  # read for the last time: not held until the end
                env.pop(slot, None)
            windows = it.form.window is not None
            if windows and waiting.takes(edge, residuals, given[0]):
                continue
            alone = len(ins) == 1 or len(set(ins)) == len(ins)
            there = [at(slot) if alone else None for slot in ins]
            try:
                found = it.pull_onto(residuals, given, there)
            except JaxbpError as error:
                raise error.at(edge.origin) from error.__cause__
            for slot, value in zip(ins, found, strict=True):
                env[slot] = value if alone else add(at(slot), value)
            if in_loop:
                waiting.after(edge, found)
        for slot in self.structure.ins:
            waiting.settle(slot, env)
        return [env.get(slot) for slot in self.structure.ins]

    def steps(self, direction: str, env: dict) -> Iterator[tuple[Edge, list, list]]:
        """Walks the edges one by one.

        Args:
          direction: "push" walks forwards, "pull" backwards.
          env: slot -> what stands there, the seeds at first (`seeded`); filled on the
            way.

        Yields:
          The edge, what it was given and what it brings, as lists with None for zero;
          edges that are given zeros alone are passed over.
        """
        edges, tape = self.structure.edges, self.tape
        forward = direction == "push"
        for edge in edges if forward else reversed(edges):
            sources, targets = edge.ins, edge.outs
            if not forward:
                sources, targets = targets, sources
            given = [env.get(slot) for slot in sources]
            if all(value is None for value in given):
                continue
            residuals = [tape[place] for place in edge.residuals]
            apply = edge.map.push if forward else edge.map.pull
            try:
                brought = apply(residuals, given)
            except JaxbpError as error:
                raise error.at(edge.origin) from error.__cause__
            for slot, value in zip(targets, brought, strict=True):
                env[slot] = add(env.get(slot), value)
            yield edge, given, brought

    def residuals(self, edge: Edge) -> list:
        """The arrays that an edge holds."""
        return [self.tape[place] for place in edge.residuals]

    def opened(self) -> "LinearProgram":
        """With the edges of calls, checkpoints and known branches in their places."""
        from .opened import opened

        return opened(self)

    def parts(self) -> "LinearProgram":
        """With one edge per pair of input and output, in the place of larger ones."""
        structure, tape = self.structure, self.tape
        apart = [p for edge in structure.edges for p in parts(edge, structure.avals)]
        return LinearProgram(structure._replace(edges=tuple(apart)), tape)

    def picked(self, places: Sequence[int]) -> "LinearProgram":
        """With the outputs at `places` alone; all edges and the tape stay."""
        return LinearProgram(self.structure.picked(places), self.tape)

    def __repr__(self) -> str:
        from .printed import printed

        return printed(self)


def seeded(slots: Sequence[int | None], values: Sequence) -> dict:
    """slot -> value for `LinearProgram.steps`; what two inputs share is added."""
    env: dict = {}
    for slot, value in zip(slots, values, strict=True):
        if slot is not None:
            env[slot] = add(env.get(slot), value)
    return env


class _Hashed:
    """A structure with its hash kept: pullbacks cross jit boundaries often."""

    __slots__ = ("structure", "_hash")

    def __init__(self, structure):
        self.structure = structure
        self._hash = None

    def __hash__(self):
        if self._hash is None:
            self._hash = hash(self.structure)
        return self._hash

    def __eq__(self, other):
        return self.structure is other.structure or self.structure == other.structure


def assemble(edges: Sequence[Edge], avals, ins, outs) -> LinearProgram:
    """A program from recorded edges: dead ones dropped, each residual kept once."""
    edges, avals = sums_early(edges, avals)
    return taped(settled(alive(edges, outs)), avals, ins, outs)


def restricted(structure: Structure, wanted: Sequence[bool]) -> tuple:
    """The program of some of the outputs alone.

    Returns:
      Its structure; the places of its inputs and of its tape in those of `structure`.
    """
    _, ins, outs, avals = structure
    outs = [slot for slot, w in zip(outs, wanted, strict=True) if w]
    edges, used = reaching(structure, outs)
    places = [i for i, slot in enumerate(ins) if slot in used]
    program = taped(settled(edges), avals, [ins[i] for i in places], outs)
    return program.structure, places, program.tape


def settled(edges: Sequence[Edge]) -> Sequence[Edge]:
    """The edges, each with the one of its maps that holds less.

    The other map is taken where all that it holds beside the first one's arrays is held
    by edges before it: these are pulled later, so that nothing is held for more of the
    pull, and what the first map alone holds need not be.
    """
    if all(edge.instead is None for edge in edges):
        return edges
    held: set[int] = set()
    found = []
    for edge in edges:
        if edge.instead is not None:
            other, residuals = edge.instead
            more = {*map(id, residuals)}.difference(map(id, edge.residuals))
            if more <= held:
                edge = edge._replace(map=other, residuals=residuals)
            edge = edge._replace(instead=None)
        held.update(map(id, edge.residuals))
        found.append(edge)
    return found


def taped(edges: Sequence[Edge], avals, ins, outs) -> LinearProgram:
    """A program of all these edges; the arrays that they hold are its tape."""
    tape: list = []
    places: dict[int, int] = {}
    kept = []
    for edge in edges:
        for value in edge.residuals:
            if id(value) not in places:
                places[id(value)] = len(tape)
                tape.append(value)
        kept.append(
            edge._replace(residuals=tuple([places[id(v)] for v in edge.residuals]))
        )
    structure = Structure(tuple(kept), tuple(ins), tuple(outs), tuple(avals))
    return LinearProgram(structure, tape)


def reaching(structure: Structure, slots: Sequence) -> tuple[list[Edge], set[int]]:
    """The edges that reach some slots; these slots, and those that the edges read."""
    edges = alive(structure.edges, slots)
    read = {slot for edge in edges for slot in edge.ins}
    return edges, read.union(slot for slot in slots if slot is not None)


def alive(edges: Sequence[Edge], outs) -> list[Edge]:
    """The edges that reach the slots `outs`, each reduced to what they need of it."""
    needed = {slot for slot in outs if slot is not None}
    found = []
    for edge in reversed(edges):
        if not needed.isdisjoint(edge.outs):
            if len(edge.outs) > 1 and not needed.issuperset(edge.outs):
                edge = edge.map.narrowed(edge, needed)
            needed.update(edge.ins)
            found.append(edge)
    found.reverse()
    return found
