"""What the two modes take: all columns pushed through all edges, all rows pulled back.

From the types alone, as of the orders of elimination (`order`).
"""

import math

from .block import Block, sweep_elements
from .edges import Operator
from .factor import is_number
from .graph import Graph
from .loops import whole_map
from .report import Way
from .term import Term
from .work import Work

MODES = ("forward", "reverse")
INDEXED = 2  # elements' worth of one that is read or added at a place of its own,
PLACED = 100  # and of finding that place, for all columns together
SLOPE = 4  # elements' worth of computing a slope, and the value that it is of; of many
# examples at once that is one pass with what is multiplied with it
WINDOW = 100  # elements' worth of a column's position of a convolution, before products
SUMS = 1.6  # sums' worth more of one in a mode, which reads all columns again


def of_mode(graph: Graph, work: Work, name: str) -> Way:
    """A mode; a map of several inputs or outputs is swept once for all."""
    count = columns(graph, name)
    wholes = {id(whole_map(o)): o for o in operators(graph)}
    _swept(Block((), tuple(wholes.values())), count, name, work)
    once, same = work.again(), set()
    if work.copies > 1:
        once.copies, same = 1, graph.constant(name == "reverse")
    for source, targets in graph.ahead.items():
        for target, block in targets.items():
            begun = (source if name == "forward" else target) in same
            alone = begun and (source, target) not in graph.varying
            _swept(Block(block.terms), count, name, once if alone else work)
    work.include(once)
    work.elements(entries(graph))
    return Way(
        name,
        (),
        work.flops,
        work.time_s,
        work.kernels,
        work.largest,
        heaviest=work.heaviest,
    )


def primal(graph: Graph, work: Work) -> Work:
    """A guess at the function itself, and at its local derivatives: the same in all
    ways. It is one pass after another, fused."""
    work.rates = work.rates._replace(pass_s=0.0)
    for targets in graph.ahead.values():
        for block in targets.values():
            _swept(block, 1, "forward", work)
            for term in block.terms:
                if not is_number(term.factor):
                    kept = [i for axis in term.out for i in axis.labels]
                    each = SLOPE if work.copies == 1 else 1
                    work.elements(each * math.prod([i.size for i in set(kept)]))
    return work


def _swept(block: Block, count: int, mode: str, work: Work) -> None:
    for operator in block.operators:
        work.elements(count * sweep_elements(operator))
        work.time_s += work.rates.kernel_s
    for term in block.terms:
        _term_swept(term if mode == "forward" else term.transposed, count, work)


def _term_swept(term: Term, count: int, work: Work) -> None:
    """`count` columns through a term."""
    kept = {label for axis in term.out for label in axis.labels}
    inside = {label for axis in term.of for label in axis.labels}
    every = math.prod([i.size for i in kept | inside | set(term.factor.labels)])
    own = set(term.factor.labels)
    if own:
        work.elements(WINDOW * count * _positions(term, inside & kept))
    if (own & inside) - kept and own - inside:
        size = math.prod([i.size for i in inside]) + math.prod([i.size for i in kept])
        work.product(2.0 * count * every, term.factor.size + count * size)
    elif not is_number(term.factor):
        work.elements(count * every)
        if inside - kept and count > 1 and work.copies == 1:
            work.time_s += SUMS * work.rates.sum_s
    elif any(axis.index is not None for axis in (*term.out, *term.of)):
        indices = [axis.index for axis in (*term.out, *term.of) if axis.index]
        found = {label for index in indices for label in index.labels}
        work.elements(INDEXED * count * every)
        work.elements(PLACED * math.prod([label.size for label in found]))
    elif inside == kept:
        work.elements(0.1 * count * every)
    else:
        sums = inside - kept
        each = 2.0 if sums and work.copies > 1 else 0.5
        work.elements(each * count * every)
        if sums:
            work.summed()
            if count > 1 and work.copies == 1:
                work.time_s += SUMS * work.rates.sum_s


def _positions(term: Term, both: set) -> int:
    """At how many places a convolution looks through its window; 0 of other terms.

    Args:
      both: labels of its output and its input.
    """
    if all(len(axis.labels) < 2 for axis in (*term.out, *term.of)):
        return 0
    return math.prod([label.size for label in both])


def operators(graph: Graph) -> list[Operator]:
    return [
        operator
        for targets in graph.ahead.values()
        for block in targets.values()
        for operator in block.operators
    ]


def columns(graph: Graph, name: str) -> int:
    """How many columns, or rows, a mode carries."""
    vertices = graph.inputs if name == "forward" else graph.outputs
    return sum(math.prod(graph.shapes[v]) for v in vertices if v is not None)


def entries(graph: Graph) -> int:
    """Elements of the Jacobian."""
    outs = sum(math.prod(graph.shapes[v]) for v in graph.outputs if v is not None)
    return outs * sum(math.prod(graph.shapes[v]) for v in graph.inputs)
