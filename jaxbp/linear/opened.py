"""Linear programs with the programs of their calls in the place of the calls."""

from ..ir import Origin
from .base import Edge
from .diagonal import Scaled
from .program import LinearProgram, Structure


def opened(program: LinearProgram) -> LinearProgram:
    """`program` with every edge that holds a linear program replaced by its edges.

    Calls, checkpoints, and branches at an index that is known now; loops stay. Edges
    that came from nowhere in the user's code get the line of the edge they stood for.
    """
    opening = _Opening(program)
    for edge in program.structure.edges:
        opening.edge(edge, program.residuals(edge))
    structure = program.structure._replace(
        edges=tuple(opening.edges), avals=tuple(opening.avals)
    )
    return LinearProgram(structure, opening.tape)


class _Opening:
    """The edges, slots and tape of the program that grows."""

    def __init__(self, program: LinearProgram):
        self.edges: list[Edge] = []
        self.avals = list(program.structure.avals)
        self.tape: list = []
        self._places: dict[int, int] = {}  # id of a residual -> its place

    def edge(self, edge: Edge, residuals: list) -> None:
        inner = edge.map.opened(residuals)
        if inner is None:
            places = tuple([self._place(value) for value in residuals])
            self.edges.append(edge._replace(residuals=places))
        else:
            self._inline(inner, edge)

    def _place(self, value) -> int:
        if id(value) not in self._places:
            self._places[id(value)] = len(self.tape)
            self.tape.append(value)
        return self._places[id(value)]

    def _inline(self, inner: LinearProgram, outer: Edge) -> None:
        """The edges of `inner` between the slots of `outer`."""
        structure = inner.structure
        names = dict(zip(structure.ins, outer.ins, strict=True))
        passed = self._name_outputs(structure, outer, names)
        for edge in structure.edges:
            ins = tuple([self._slot(s, names, structure) for s in edge.ins])
            outs = tuple([self._slot(s, names, structure) for s in edge.outs])
            origin = Origin.nearest(edge.origin, outer.origin)
            found = edge._replace(ins=ins, outs=outs, origin=origin)
            self.edge(found, inner.residuals(edge))
        for slot, target in passed:
            source = self._slot(slot, names, structure)
            self.edges.append(Edge(Scaled(1), (), (source,), (target,), outer.origin))

    def _name_outputs(self, structure: Structure, outer: Edge, names: dict) -> list:
        """Names inner slots by the outer ones that they fill; gives those that must be
        copied, since others read them too."""
        readers, passed = structure.readers(), []
        for slot, target in zip(structure.outs, outer.outs, strict=True):
            if slot is None:
                continue
            if slot in names or readers[slot] != [None]:
                passed.append((slot, target))
            else:
                names[slot] = target
        return passed

    def _slot(self, slot: int, names: dict, structure: Structure) -> int:
        if slot not in names:
            names[slot] = len(self.avals)
            self.avals.append(structure.avals[slot])
        return names[slot]
