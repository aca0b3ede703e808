"""The linear program: the derivative of a whole function at one point.

Slots stand for tangents (walked forward) or cotangents (walked backward); edges carry
them through linear maps. What several edges bring to one slot is summed.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from .association import sums_early
from .base import Edge, add


class Structure(NamedTuple):
    """Everything of a linear program but its arrays."""

    edges: tuple[Edge, ...]  # in order of evaluation; residuals are places on the tape
    ins: tuple[int, ...]  # slots of the inputs
    outs: tuple[int | None, ...]  # slots of the outputs; None: the derivative is zero
    avals: tuple  # per slot: the type of the value whose tangent it holds


@jax.tree_util.register_pytree_node_class
class LinearProgram:
    """The derivative of a function at a point, as a pytree.

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
        edges, ins, outs, _ = self.structure
        env: dict = {}
        for slot, x_dot in zip(ins, x_dots, strict=True):
            env[slot] = add(env.get(slot), x_dot)
        for edge in edges:
            _step(edge.map.push, edge, env, edge.ins, edge.outs, self.tape)
        return [env.get(slot) for slot in outs]

    def pull(self, y_bars: Sequence) -> list:
        """Pullback: one cotangent per output (None: zero) to one per input."""
        edges, ins, outs, _ = self.structure
        env: dict = {}
        for slot, y_bar in zip(outs, y_bars, strict=True):
            if slot is not None:
                env[slot] = add(env.get(slot), y_bar)
        for edge in reversed(edges):
            _step(edge.map.pull, edge, env, edge.outs, edge.ins, self.tape)
        return [env.get(slot) for slot in ins]


def _step(apply, edge, env, sources, targets, tape):
    """Carries what stands in the slots `sources` through one map into `targets`."""
    residuals = [tape[place] for place in edge.residuals]
    if not edge.map.many:
        source = env.get(sources[0])
        if source is not None:
            target = targets[0]
            env[target] = add(env.get(target), apply(residuals, source))
        return
    given = [env.get(slot) for slot in sources]
    if any(g is not None for g in given):
        for slot, value in zip(targets, apply(residuals, given), strict=True):
            env[slot] = add(env.get(slot), value)


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
    return _assembled(edges, avals, ins, outs)


def restricted(structure: Structure, wanted: Sequence[bool]) -> tuple:
    """The program of some of the outputs alone.

    Returns:
      Its structure; the places of its inputs and of its tape in those of `structure`.
    """
    edges, ins, outs, avals = structure
    outs = [slot for slot, w in zip(outs, wanted, strict=True) if w]
    program = _assembled(edges, avals, ins, outs)
    used = {slot for edge in program.structure.edges for slot in edge.ins}
    places = [i for i, slot in enumerate(ins) if slot in used or slot in outs]
    found = program.structure._replace(ins=tuple([ins[i] for i in places]))
    return found, places, program.tape


def _assembled(edges, avals, ins, outs) -> LinearProgram:
    needed = {slot for slot in outs if slot is not None}
    alive = []
    for edge in reversed(edges):
        if not needed.isdisjoint(edge.outs):
            if edge.map.many and not needed.issuperset(edge.outs):
                edge = edge.map.narrowed(edge, needed)
            needed.update(edge.ins)
            alive.append(edge)
    alive.reverse()
    tape: list = []
    places: dict[int, int] = {}
    kept = []
    for edge in alive:
        for value in edge.residuals:
            if id(value) not in places:
                places[id(value)] = len(tape)
                tape.append(value)
        kept.append(
            edge._replace(residuals=tuple(places[id(v)] for v in edge.residuals))
        )
    structure = Structure(tuple(kept), tuple(ins), tuple(outs), tuple(avals))
    return LinearProgram(structure, tape)
