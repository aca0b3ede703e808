"""The diagonal of a Hessian in two halves: columns up to a cut of its graph, and rows.

Every path from the argument x to the gradient crosses a cut once. So the Hessian is a
sum over the vertices behind the cut: of what they bring to the gradient, times what x
brings to them over the edges that cross. In the graph of a gradient, the rows behind
the cut between values and adjoints are the columns before it, transposed, for the
Hessian is symmetric: both are spelled alike here, and XLA computes them once. For a
network this takes the products of the forward Laplacian, half of those of any order of
elimination.
Sources: Gower and Mello 2012, doi:10.1080/10556788.2011.580098, for the sum; Li et al.
2024, doi:10.1038/s42256-024-00794-x, for the forward Laplacian.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from .block import Block, array_of, plus, times
from .expand import of_array
from .graph import Graph, Vertex
from .term import identity
from .work import Work


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
      middle: the vertex's shape.
    """

    rows: Block
    columns: Block
    middle: tuple[int, ...]


def cut(graph: Graph, work: Work) -> Cut | None:
    """The cut of the least time; None without products of matrices, which alone are
    shared. `graph` is used up, and nothing computed."""
    light = _eliminate_light(graph, work)
    order = graph.inner
    rows = _costs_of_rows(graph, order, work)
    if not any(key for key, _ in rows):
        return None
    columns = _costs_of_columns(graph, order, work)
    before: Counter = Counter()
    behind = Counter(key for key, _ in rows if key)
    time_of = {key: time_s for key, time_s in rows if key}
    time_s, best = sum(time_s for _, time_s in rows), (math.inf, 0, 0.0)
    for place in range(len(order) + 1):
        shared = sum(n * time_of[key] for key, n in (before & behind).items())
        best = min(best, (time_s - shared, place, shared))
        if place < len(order):
            (mine, its), (other, spent) = columns[place], rows[place]
            time_s += its - spent
            before[mine] += bool(mine)
            behind[other] -= bool(other)
    return Cut(light, best[1], best[2])


def halves(graph: Graph, at: Cut, work: Work) -> tuple[Block, list[Half]]:
    """What x brings to the gradient over edges of its own, and the other products.
    `graph` is used up."""
    for vertex in at.light:
        graph.eliminate(vertex, work)
    order, (source,), (target,) = graph.inner, graph.inputs, graph.outputs
    for vertex in order[: at.place]:
        graph.eliminate(vertex, work)
    columns = dict(graph.ahead[source])
    direct = columns.pop(target, Block())
    rows = _rows(graph, order[at.place :], work)
    shapes = graph.shapes
    found = [
        Half(turned(rows[vertex]), plain(block, shapes[vertex], shapes[source], work),
             shapes[vertex])
        for vertex, block in columns.items()
        if vertex in rows
    ]  # fmt: skip
    return direct, found


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


def _costs_of_columns(graph: Graph, order, work: Work) -> list[tuple]:
    """(what a product of matrices is told by, seconds) of each vertex eliminated in
    turn."""
    found = []
    for vertex in order:
        own = work.again()
        graph.eliminate(vertex, own)
        found.append((_key(own), own.time_s))
    return found


def _costs_of_rows(graph: Graph, order, work: Work) -> list[tuple]:
    """The same of the row of each vertex, in the order of evaluation."""
    found = []
    rows = _start(graph)
    for vertex in reversed(order):
        own = work.again()
        _add_row(graph, vertex, rows, own)
        found.append((_key(own), own.time_s))
    return found[::-1]


def _key(work: Work):
    return (work.kernels, work.heaviest) if work.kernels else None


def _rows(graph: Graph, order, work: Work) -> dict[Vertex, Block]:
    """vertex -> what it brings to the output, transposed."""
    rows = _start(graph)
    for vertex in reversed(order):
        _add_row(graph, vertex, rows, work)
    return rows


def _start(graph: Graph) -> dict[Vertex, Block]:
    (target,) = graph.outputs
    return {target: Block((identity(graph.shapes[target]),))}


def _add_row(graph: Graph, vertex: Vertex, rows: dict, work: Work) -> None:
    """Adds the row of a vertex whose followers have theirs; spelled as columns are."""
    (target,), shapes = graph.outputs, graph.shapes
    found = Block()
    for after, edge in graph.ahead[vertex].items():
        if after in rows:
            edge = plain(edge, shapes[after], shapes[vertex], work)
            through = shapes[vertex], shapes[after], shapes[target]
            found = plus(found, times(turned(edge), rows[after], through, work), work)
    if found:
        rows[vertex] = found


def turned(block: Block) -> Block:
    """The transpose of a block without operators."""
    return Block(tuple([term.transposed for term in block.terms]))


def plain(block: Block, y: tuple, x: tuple, work: Work) -> Block:
    """Without operators."""
    if not block.operators:
        return block
    return Block((of_array(array_of(block, y, x, work), y, x),))
