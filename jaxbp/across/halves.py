"""The diagonal of a Hessian in two halves: columns up to a cut of its graph, and rows.

Every path from the argument x to the gradient crosses a cut once. So the Hessian is a
sum over the edges that cross: what x brings to their beginning, times the edge, times
what their end brings to the gradient. In the graph of a gradient, the rows behind the
cut between values and adjoints are the columns before it, transposed, for the Hessian
is symmetric: both are spelled alike here, and XLA computes them once. For a network
this takes the products of the forward Laplacian, half of those of any order of
elimination.
Sources: Gower and Mello 2012, doi:10.1080/10556788.2011.580098, for the sum; Li et al.
2024, doi:10.1038/s42256-024-00794-x, for the forward Laplacian.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from .block import Block, array_of, narrowed, plus, times
from .expand import of_array
from .graph import Graph, Vertex
from .term import identity, is_diagonal
from .work import Work

Edge = tuple[Vertex, Vertex]  # where it begins, where it ends


class Cut(NamedTuple):
    """Where a graph is cut.

    Fields:
      light: vertices that are eliminated before.
      place: how many of those left, in order of evaluation, lie before the cut.
      shared_s: predicted seconds of rows that are columns, transposed.
    """

    light: Sequence[Vertex]
    place: int
    shared_s: float


class Half(NamedTuple):
    """A product whose sum is the Hessian.

    Fields:
      rows: from a vertex to the gradient. columns: from x to the vertex.
      between: a diagonal that is multiplied last; of most none.
      middle: the vertex's shape.
    """

    rows: Block
    columns: Block
    between: Block
    middle: tuple[int, ...]


class Sweep(NamedTuple):
    """Blocks between one vertex and others, and what each edge on the way took."""

    blocks: dict[Vertex, Block]
    spent: dict[Edge, Work]


def cut(graph: Graph, keep: bool, work: Work) -> Cut:
    """The cut of the least time, where products of matrices that are made on both sides
    count once. `graph` is used up, and nothing computed; `keep` as in `halves`."""
    light = _eliminate_light(graph, work)
    (source,), order = graph.inputs, graph.inner
    columns = _columns(graph, [*order, *graph.outputs], work).spent
    rows = _rows(graph, order, work).spent
    time_of = {_told(own): own.time_s for own in rows.values() if own.kernels}
    before, behind = Counter(), Counter(map(_told, rows.values()))
    time_s, best = sum(own.time_s for own in rows.values()), (math.inf, 0, 0.0)
    nothing = work.again()
    for place, vertex in enumerate([source, *order]):
        for edge, block in _edges(graph, vertex):
            column, row = columns.get(edge, nothing), rows.get(edge, nothing)
            if not keep and is_scaling(block):  # it crosses, or does no more
                time_s += column.time_s if edge[1] == vertex else -row.time_s
            elif edge[0] == vertex:
                time_s += column.time_s - row.time_s
            if edge[0] == vertex:
                before[_told(column)] += 1
                behind[_told(row)] -= 1
        both = before & behind
        shared = sum(both[key] * time_s for key, time_s in time_of.items())
        best = min(best, (time_s - shared, place, shared))
    return Cut(light, best[1], best[2])


def halves(graph: Graph, at: Cut, keep: bool, work: Work) -> list[Half]:
    """The products of edges that cross. `graph` is used up.

    Args:
      keep: the diagonal of their sum is wanted. Else its trace: a diagonal that
        crosses is multiplied with what is left after the sum over x.
    """
    for vertex in at.light:
        graph.eliminate(vertex, work)
    (source,), order, shapes = graph.inputs, graph.inner, graph.shapes
    columns = _columns(graph, order[: at.place], work).blocks
    rows = _rows(graph, order[at.place :], work).blocks
    found = []
    for end, row in rows.items():
        whole = Block()
        for start, edge in graph.behind[end].items():
            if start not in columns:
                continue
            if not keep and is_scaling(edge):
                found.append(Half(row, columns[start], edge, shapes[end]))
                continue
            through = shapes[end], shapes[start], shapes[source]
            whole = plus(whole, times(edge, columns[start], through, work), work)
        if whole:
            found.append(Half(row, whole, Block(), shapes[end]))
    return [
        half._replace(
            rows=turned(half.rows),
            columns=plain(half.columns, half.middle, shapes[source], work),
        )
        for half in found
    ]


def is_scaling(block: Block) -> bool:
    """Whether it is a diagonal other than a number times the identity."""
    scales = any(term.factor.labels for term in block.terms)
    return scales and not block.operators and all(map(is_diagonal, block.terms))


def _edges(graph: Graph, vertex: Vertex) -> Iterable[tuple[Edge, Block]]:
    """The edges to and from a vertex."""
    for start, block in graph.behind[vertex].items():
        yield (start, vertex), block
    for end, block in graph.ahead[vertex].items():
        yield (vertex, end), block


def _told(work: Work):
    """What a product of matrices is told by."""
    return (work.kernels, work.heaviest) if work.kernels else None


def _eliminate_light(graph: Graph, work: Work) -> list[Vertex]:
    """Eliminates the vertices between diagonals: no array grows. Returns them."""
    found: list[Vertex] = []
    while True:
        before = len(found)
        for vertex in graph.inner:
            trial = work.again()
            products = graph.products(vertex, trial)
            size = math.prod(graph.shapes[vertex])
            terms = [term for *_, block in products for term in block.terms]
            operators = any(block.operators for *_, block in products)
            if operators or trial.kernels or any(t.factor.size > size for t in terms):
                continue
            work.include(trial)
            graph.eliminate(vertex, work, products)
            found.append(vertex)
        if len(found) == before:
            return found


def _columns(graph: Graph, order: Sequence[Vertex], work: Work) -> Sweep:
    """What the input brings to each vertex."""
    (source,) = graph.inputs
    return _swept(graph, source, order, lambda edge, *_: edge, work)


def _rows(graph: Graph, order: Sequence[Vertex], work: Work) -> Sweep:
    """What each vertex brings to the output, transposed: spelled as columns are."""
    (target,) = graph.outputs
    spelled = lambda edge, x, y, own: turned(plain(edge, y, x, own))  # noqa: E731
    return _swept(graph, target, order[::-1], spelled, work)


def _swept(graph: Graph, start: Vertex, order, spelled: Callable, work: Work) -> Sweep:
    """Blocks of vertices in an order in which each comes after those it needs."""
    shapes = graph.shapes
    blocks, spent = {start: Block((identity(shapes[start]),))}, {}
    for vertex in order:
        found = Block()
        near = [edge for edge in _edges(graph, vertex) if blocks.keys() & edge[0]]
        for ends, edge in near:
            other = ends[0] if ends[1] == vertex else ends[1]
            own = work.again()
            edge = spelled(edge, shapes[vertex], shapes[other], own)
            through = shapes[vertex], shapes[other], shapes[start]
            found = plus(found, times(edge, blocks[other], through, own), own)
            spent[ends] = own
            work.include(own)
        if found:
            blocks[vertex] = narrowed(found, shapes[vertex], shapes[start], False, work)
    return Sweep(blocks, spent)


def turned(block: Block) -> Block:
    """The transpose of a block without operators."""
    return Block(tuple([term.transposed for term in block.terms]))


def plain(block: Block, y: tuple, x: tuple, work: Work) -> Block:
    """Without operators."""
    if not block.operators:
        return block
    return Block((of_array(array_of(block, y, x, work), y, x),))
