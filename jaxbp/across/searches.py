"""Orders of elimination: from either end, or always the vertex of the least score.

Every one of them is counted, and the one of the least time taken (`order`).
"""

import math
from collections.abc import Callable

from .graph import Graph, Vertex
from .work import Work


def _in_turn(graph: Graph, work: Work, backwards: bool) -> list[Vertex]:
    order = graph.inner
    if backwards:
        order.reverse()
    for vertex in order:
        graph.eliminate(vertex, work)
    return order


def _by(score: Callable) -> Callable[[Graph, Work], list[Vertex]]:
    """Always the vertex of the least score.

    Args:
      score: score(seconds of its products, its elements, terms more than before,
        elements of coefficients more than before) -> what is compared.
    """

    def find(graph: Graph, work: Work) -> list[Vertex]:
        found: dict[Vertex, tuple] = {}
        order, left = [], set(graph.inner)
        while left:
            for vertex in left:
                if vertex not in found:
                    found[vertex] = _tried(graph, vertex, work, score)
            best = min(left, key=lambda v: (*found[v][0], graph.order[v]))
            _, products = found.pop(best)
            near = {*graph.ahead[best], *graph.behind[best]}
            _count_again(graph, best, products, work)
            order.append(best)
            left.discard(best)
            for vertex in near:
                found.pop(vertex, None)
        return order

    return find


def _tried(graph: Graph, vertex: Vertex, work: Work, score) -> tuple:
    trial = work.again()
    products = graph.products(vertex, trial)
    near = (*graph.ahead[vertex].values(), *graph.behind[vertex].values())
    after = [term.factor.size for *_, block in products for term in block.terms]
    before = [term.factor.size for block in near for term in block.terms]
    grown, more = sum(after) - sum(before), len(after) - len(before)
    size = math.prod(graph.shapes[vertex])
    key = score(trial.time_s, size, more, grown), trial.time_s, grown
    return key, (products, trial)


def _count_again(graph: Graph, vertex: Vertex, tried, work: Work) -> None:
    products, trial = tried
    work.include(trial)
    work.within()
    graph.eliminate(vertex, work, products)


# Markowitz's rule, with times in the place of numbers of edges (Griewank and Reese
# 1991), keeps no bottleneck for last; the widest vertices first do, and so does the
# least time an element: chains are then multiplied from their long sides. Of fewest
# terms a sum of two, as of pairs' gaps, comes last, and what lies between is multiplied
# once, diagonals within the blocks that hold them. By fewest elements a large matrix
# meets a narrow one before its rows are scaled: no array as large is written.
ORDERS: dict[str, Callable[[Graph, Work], list[Vertex]]] = {
    "from the inputs": lambda graph, work: _in_turn(graph, work, False),
    "from the outputs": lambda graph, work: _in_turn(graph, work, True),
    "least time an element first": _by(
        lambda time_s, size, more, grown: time_s / max(size, 1)
    ),
    "least time first": _by(lambda time_s, size, more, grown: time_s),
    "widest first": _by(lambda time_s, size, more, grown: -size),
    "fewest elements first": _by(lambda time_s, size, more, grown: grown),
    "fewest terms first": _by(lambda time_s, size, more, grown: (more, time_s)),
}
JOINING = "fewest terms first"
SEARCHING = tuple(name for name in ORDERS if name.endswith("first"))
