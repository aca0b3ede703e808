"""The graph of a linear program, and its vertices eliminated one by one.

To eliminate a vertex z is to put, for every edge x -> z and every z -> y, their product
on the edge x -> y. When only inputs and outputs are left, the edges are the Jacobian.
Source: Griewank and Walther, Evaluating Derivatives, 2nd ed., 2008, chapter 9.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from .block import Block, joined, narrowed, plus, read, times
from .copies import copies
from .edges import Operator, term_of
from .term import identity
from .work import Work

Vertex = int  # a slot; outputs follow behind the slots


class Graph:
    """Blocks on edges between slots; every output has a vertex of its own.

    Attributes:
      ahead: vertex -> {vertex: block}: what its tangent brings where.
      behind: vertex -> {vertex: block}, the same blocks from the other side.
      shapes: of the vertices.
      inputs, outputs: vertices; None of an output that depends on nothing.
      order: vertex -> its place in the order of evaluation.
      operators: edges known by their two directions alone.
      varying: (vertex, vertex) of edges that hold another value for each example.
    """

    def __init__(self, shapes: dict, inputs: Sequence, outputs: Sequence, order: dict):
        self.ahead: dict[Vertex, dict[Vertex, Block]] = defaultdict(dict)
        self.behind: dict[Vertex, dict[Vertex, Block]] = defaultdict(dict)
        self.shapes, self.inputs, self.outputs = shapes, inputs, outputs
        self.order = order
        self.operators: list = []
        self.varying: set[tuple[Vertex, Vertex]] = set()

    def copy(self) -> "Graph":
        found = Graph(self.shapes, self.inputs, self.outputs, self.order)
        for own, its in ((found.ahead, self.ahead), (found.behind, self.behind)):
            own.update({vertex: dict(edges) for vertex, edges in its.items()})
        return found

    @property
    def inner(self) -> list[Vertex]:
        """The vertices to eliminate, in order of evaluation."""
        kept = {*self.inputs, *self.outputs}
        found = {v for v in (*self.ahead, *self.behind) if v not in kept}
        return sorted(found, key=self.order.__getitem__)

    def add(self, source: Vertex, target: Vertex, block: Block, work: Work) -> None:
        """Adds to what stands on an edge."""
        if not block:
            return
        there = self.ahead[source].get(target)
        last = source in self.inputs and target in self.outputs
        joins = work.joins and not last
        shapes = self.shapes[target], self.shapes[source]

        def find(own: Work) -> Block:
            whole = block if there is None else plus(there, block, own)
            if joins and len(whole.terms) > 1:
                whole = joined(whole, own)
            return narrowed(whole, *shapes, last, own)

        if work.memory is None:
            block = find(work)
        else:
            block = work.memory.once((there, block), (joins, last), find, work)
        self.ahead[source][target] = self.behind[target][source] = block

    def constant(self, backwards: bool) -> set[Vertex]:
        """The vertices whose columns, or rows, are the same for all examples: nothing
        that differs between them was passed yet."""
        found = set(self.outputs if backwards else self.inputs)
        near = self.ahead if backwards else self.behind
        for vertex in reversed(self.inner) if backwards else self.inner:
            edges = [(vertex, v) if backwards else (v, vertex) for v in near[vertex]]
            if found.issuperset(near[vertex]) and self.varying.isdisjoint(edges):
                found.add(vertex)
        return found

    def prune(self) -> None:
        """Removes the vertices that no output depends on, or that depend on none of
        the inputs: the other outputs of a loop, say."""
        left = self.inner
        while left:
            none = [v for v in left if not self.ahead.get(v) or not self.behind.get(v)]
            for vertex in none:
                for target in self.ahead.pop(vertex, {}):
                    del self.behind[target][vertex]
                for source in self.behind.pop(vertex, {}):
                    del self.ahead[source][vertex]
            left = self.inner if none else []

    def products(
        self, vertex: Vertex, work: Work
    ) -> list[tuple[Vertex, Vertex, Block]]:
        """What eliminating a vertex puts where."""
        found = []
        ahead, behind = self.ahead[vertex], self.behind[vertex]
        if not work.plan:
            ahead = {v: read(block, len(behind)) for v, block in ahead.items()}
            behind = {v: read(block, len(ahead)) for v, block in behind.items()}
        for target, after in ahead.items():
            for source, before in behind.items():
                found.append(
                    (
                        source,
                        target,
                        self.through(after, before, source, vertex, target, work),
                    )
                )
        return found

    def through(self, after, before, source, vertex, target, work) -> Block:
        shapes = self.shapes[target], self.shapes[vertex], self.shapes[source]
        return times(after, before, shapes, work)

    def eliminate(
        self, vertex: Vertex, work: Work, found: Iterable | None = None
    ) -> None:
        """Removes a vertex; `found` are its products, if they are there."""
        if found is None:
            found = self.products(vertex, work)
        for target in self.ahead.pop(vertex, {}):
            del self.behind[target][vertex]
        for source in self.behind.pop(vertex, {}):
            del self.ahead[source][vertex]
        for source, target, block in found:
            self.add(source, target, block, work)


def graph_of(program, work: Work) -> Graph:
    """The graph of a linear program whose edges have one input and one output."""
    structure = program.structure
    avals = structure.avals
    shapes = dict(enumerate(tuple(a.shape) for a in avals))
    outputs: list[Vertex | None] = []
    for slot in structure.outs:
        vertex = None if slot is None else len(avals) + len(outputs)
        outputs.append(vertex)
        if slot is not None and vertex is not None:
            shapes[vertex] = shapes[slot]
    order = {slot: place for place, slot in enumerate(structure.ins)}
    for edge in structure.edges:
        for slot in (*edge.ins, *edge.outs):
            order.setdefault(slot, len(order))
    graph = Graph(shapes, list(structure.ins), outputs, order)
    for edge in structure.edges:
        (source,), (target,) = edge.ins, edge.outs
        x, y = avals[source], avals[target]
        held = program.residuals(edge)
        if work.copies > 1 and copies(held) > 1:
            graph.varying.add((source, target))
        found = term_of(edge, held, x, y, work.plan)
        single = isinstance(found, Operator)
        block = Block((), (found,)) if single else Block((found,))
        if single:
            graph.operators.append(edge)
        graph.add(source, target, block, work)
    for slot, vertex in zip(structure.outs, outputs, strict=True):
        if vertex is not None and slot in order:  # a branch taken may make none
            graph.add(slot, vertex, Block((identity(shapes[vertex]),)), work)
    graph.prune()
    return graph
