"""In which order vertices are eliminated: ways, what they take, the cheapest.

From the types alone: the graph is eliminated without arrays, once per order, and what
its products take is counted. Beside the orders of elimination stand the two modes: all
columns pushed through all edges, all rows pulled back.
"""

import contextlib
import math
from collections.abc import Callable

from ..control.solve import Solve
from ..linear.loop.loop import Loop
from .block import HEAVY, ROW, Block, array_of, flops_inside, sweep_elements
from .edges import Operator
from .factor import is_number, is_product
from .graph import Graph, Vertex
from .loops import gives_at_every_step, whole_map
from .report import Plan, Way
from .searches import JOINING, ORDERS, SEARCHING
from .term import Term
from .work import Exhausted, Patience, Work

PRODUCTS = 4  # an edge, that all orders together may count, and
MOST_PRODUCTS = 200  # so many more
MOST_TRIED = 120  # vertices among which the cheapest is looked for at every step
CLEARLY = 0.9  # an order is taken where it needs at most so much of the better mode,
DOUBT = 0.85  # of that for many examples at once, whose passes are foreseen less well,
DOUBTED = 0.75  # if one of the modes has a large product for all of them
LARGEST = 1 << 22  # elements that an array in the middle may always have
INDEXED = 2  # elements' worth of one that is read or added at a place of its own,
PLACED = 100  # and of finding that place, for all columns together
SLOPE = 4  # elements' worth of computing a slope, and the value that it is of; of many
# examples at once that is one pass with what is multiplied with it
SEEN = 0.5  # of the time of a call, that an order must save at least
ROW_OF_MANY = 1.5  # as `block.ROW`, of many examples at once
MUCH = 32  # times the flops of a large product, for many examples at once
TIE = 1.02  # ways nearer than this in time are alike
WIDE = 1 << 16  # elements of an array, all columns together, that is large
MODES = ("forward", "reverse")


def planned(
    graph: Graph,
    fresh: Callable[[], Work],
    modes,
    unfit: str = "",
    hessian: bool = False,
    every: bool = True,
) -> Plan:
    """The cheapest way.

    Args:
      graph: without arrays; it is not changed.
      fresh: makes a new count.
      modes: those of `MODES` that the function has.
      unfit: why there are these alone, if so.
      hessian: this is the Jacobian of a gradient.
      every: all ways are told, also those that are known to lose before they are
        counted to their end.
    """
    base = _primal(graph, fresh())
    alone = [_mode(graph, fresh(), name) for name in modes]
    ways = [_called(way, base) for way in alone]
    mode, why = _better(alone, graph, base, hessian)
    best = ways[alone.index(mode)]
    if unfit:
        return _of_modes(ways, best, unfit)
    start, small = fresh(), graph.copy()
    least_s = base.time_s + start.rates.call_s  # of any way
    if not every and best.time_s - least_s < SEEN * start.rates.call_s:
        return _of_modes(ways, best, "no order can save as much")
    begun = collapsed(small, start)
    patience, own = patience_of(graph), patience_of(graph)
    allowed = max(LARGEST, 4 * start.copies * _entries(graph))
    bound_s = max(1, CLEARLY) * best.time_s
    pays = lambda way: way.order and way.time_s < CLEARLY * best.time_s  # noqa: E731
    for name, find in ORDERS.items():
        if name in SEARCHING and len(small.inner) > MOST_TRIED:
            continue
        work = fresh()
        work.joins = name == JOINING
        if work.joins and not any(map(pays, ways)):
            continue
        work.patience = own if work.joins else patience
        most_s = TIE * bound_s if work.joins else bound_s
        if not (every and name in SEARCHING):
            work.limit_s = most_s - start.time_s - least_s
        with contextlib.suppress(Exhausted):
            found = _eliminated(name, find, small.copy(), begun, start, work)
            way = _called(found, base)
            if work.joins and not way.joins:
                continue  # the others do the same
            if way.key not in [known.key for known in ways]:
                ways.append(way)
            if not every and way.largest <= allowed:
                bound_s = min(bound_s, way.time_s)
    return _chosen(ways, best, allowed, start, why)


def _of_modes(ways: list[Way], mode: Way, why: str) -> Plan:
    return Plan(tuple(ways), mode, f"{mode.name} mode: {why}", mode=mode.name)


def _chosen(ways: list[Way], mode: Way, allowed: int, work: Work, why: str) -> Plan:
    least_s = SEEN * work.rates.call_s
    orders = [w for w in ways if w.name not in MODES and w.largest <= allowed]
    least = min([way.time_s for way in orders], default=math.inf)
    alike = [way for way in orders if way.time_s <= TIE * least]
    # of those alike the one of fewest passes, which are what is compiled
    best = max(alike, key=lambda way: (way.joins, -way.time_s), default=None)
    others = [way for way in ways if way.name in MODES and way is not mode]
    if all(mode.time_s < way.time_s for way in others):
        why = ""
    near = f", by {why}" if why else ""
    if best is None or best.time_s >= max(1, CLEARLY) * mode.time_s:
        reason = f"{mode.name} mode: no order that was looked at is faster{near}"
        return Plan(tuple(ways), mode, reason, mode=mode.name)
    gain = mode.time_s / max(best.time_s, 1e-12)
    saved_s = mode.time_s - best.time_s
    most = CLEARLY
    if work.copies > 1:
        large = max(way.heaviest for way in (mode, *others)) >= MUCH * HEAVY
        most *= DOUBTED if large else DOUBT
    if best.time_s <= most * mode.time_s and saved_s >= least_s:
        reason = f"predicted {gain:.3g} times faster than {mode.name} mode"
        return Plan(tuple(ways), best, reason, mode=mode.name)
    what = f"{most:g} or less"
    if best.time_s <= most * mode.time_s:
        what += f" if that saves {least_s * 1e6:g} us or more"
    reason = (
        f"{mode.name} mode: the best order is predicted at {1 / gain:.3f} of its "
        f"time, and is taken at {what}{near}"
    )
    return Plan(tuple(ways), mode, reason, mode=mode.name)


def _entries(graph: Graph) -> int:
    """Elements of the Jacobian."""
    outs = sum(math.prod(graph.shapes[v]) for v in graph.outputs if v is not None)
    return outs * sum(math.prod(graph.shapes[v]) for v in graph.inputs)


def _better(
    ways: list[Way], graph: Graph, work: Work, hessian: bool
) -> tuple[Way, str]:
    """The mode of less time, and why it is taken if its prediction does not say so.

    Of scalar code, without large products and arrays, a row took two to three columns'
    time, in loops too, which keep what reverse mode needs; of many examples at once
    less than two, with products as well. Of two alike elsewhere the reverse one:
    measured on a CPU it is as fast or up to a fifth faster (RK4, networks), but not
    through loops that give something at every step, nor through solves for a vector,
    whose columns are solved for together; nor where matrices stand on the right, as in
    x @ W, which columns read as they lie, up to 1.6 times as fast.

    Args:
      hessian: this is the Jacobian of a gradient. Its loops took up to three times as
        long by columns, which run forth through loops that are kept and back.
    """
    if len(ways) == 1:
        return ways[0], ""
    every = _operators(graph)
    inside = max([flops_inside(o.map, o.x, o.y) for o in every], default=0.0)
    counts = {way.name: _columns(graph, way.name) for way in ways}
    large = max(math.prod(shape) for shape in graph.shapes.values())
    large *= min(counts.values())
    heaviest = max(way.heaviest for way in ways)
    heaviest = heaviest if hessian else heaviest / work.copies
    heavy = max(inside * min(counts.values()), heaviest) >= HEAVY or large >= WIDE
    loops = any(map(_is_loop, every))
    many = work.copies > 1 and not hessian and heaviest < MUCH * HEAVY
    if many or not heavy and not (hessian and loops):
        row = ROW if work.copies == 1 else ROW_OF_MANY
        weighed = {"forward": 1.0, "reverse": row}
        best = min(ways, key=lambda way: weighed[way.name] * counts[way.name])
        what = "of many examples at once" if work.copies > 1 else "of such small code"
        return best, (
            f"{counts['reverse']:,} rows against {counts['forward']:,} columns, where "
            f"a row {what} took about {row:g} columns' time"
        )
    least_s = min(way.time_s for way in ways)
    alike = [way for way in ways if way.time_s <= TIE * least_s]
    if len(alike) == 1:
        return alike[0], ""
    took, best = "of networks and steps of ODEs rows took up to a fifth less", alike[-1]
    if hessian:
        took = "of gradients rows took less"
    elif any(map(_is_ahead, every)):
        best = alike[0]
        took = "of solves, and of loops that give each step's value, columns took less"
    elif _stand_right(graph):
        best, took = (
            alike[0],
            "of matrices on the right, as in x @ W, columns took less",
        )
    return best, f"the modes are predicted alike, and {took}"


def patience_of(graph: Graph) -> Patience:
    """How many products may be counted in looking for the orders of a graph."""
    return Patience(MOST_PRODUCTS + PRODUCTS * sum(map(len, graph.ahead.values())))


def _stand_right(graph: Graph) -> bool:
    """Whether most elements of matrices have their columns' axis before their rows'."""
    balance = 0
    for targets in graph.ahead.values():
        for term in [term for block in targets.values() for term in block.terms]:
            rows, columns = (
                {label for axis in axes for label in axis.labels}
                for axes in (term.out, term.of)
            )
            alone = [i for i in term.factor.labels if (i in rows) != (i in columns)]
            if {i in columns for i in alone} == {True, False}:
                size = term.factor.size
                balance += size if alone[0] in columns else -size
    return balance > 0


def _is_loop(operator: Operator) -> bool:
    return isinstance(whole_map(operator), Loop)


def _is_ahead(operator: Operator) -> bool:
    """Whether as many columns through it take less time than rows."""
    solves = isinstance(whole_map(operator), Solve) and len(operator.y.shape) == 1
    return solves or gives_at_every_step(operator)


def _operators(graph: Graph) -> list[Operator]:
    return [
        operator
        for targets in graph.ahead.values()
        for block in targets.values()
        for operator in block.operators
    ]


def _columns(graph: Graph, name: str) -> int:
    """How many columns, or rows, a mode carries."""
    vertices = graph.inputs if name == "forward" else graph.outputs
    return sum(math.prod(graph.shapes[v]) for v in vertices if v is not None)


def _mode(graph: Graph, work: Work, name: str) -> Way:
    """A mode; a map of several inputs or outputs is swept once for all."""
    count = _columns(graph, name)
    wholes = {id(whole_map(o)): o for o in _operators(graph)}
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
    work.elements(_entries(graph))
    return Way(
        name,
        (),
        work.flops,
        work.time_s,
        work.kernels,
        work.largest,
        heaviest=work.heaviest,
    )


def _called(way: Way, base: Work) -> Way:
    """With the function itself, and the call: it makes small programs alike, whose
    orders save what no clock sees."""
    return way._replace(time_s=way.time_s + base.time_s + base.rates.call_s)


def _primal(graph: Graph, work: Work) -> Work:
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
    if (own & inside) - kept and own - inside:
        size = math.prod([i.size for i in inside]) + math.prod([i.size for i in kept])
        work.product(2.0 * count * every, term.factor.size + count * size)
    elif not is_number(term.factor):
        work.elements(count * every)
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


# The orders -------------------------------------------------------------------


def collapsed(graph: Graph, work: Work) -> list[Vertex]:
    """Eliminates what costs nothing and grows nothing: copies, moves, numbers, and
    diagonals between diagonals."""
    done, again = [], True
    while again:
        again = False
        for vertex in graph.inner:
            ahead, behind = graph.ahead[vertex], graph.behind[vertex]
            if not ahead or not behind or _is_free(ahead, behind):
                graph.eliminate(vertex, work)
                done.append(vertex)
                again = True
    return done


def _is_free(ahead: dict, behind: dict) -> bool:
    if len(ahead) > 1 and len(behind) > 1:
        return False
    blocks = [*ahead.values(), *behind.values()]
    if any(len(b.terms) != 1 or b.operators for b in blocks):
        return False
    if len(behind) == 1:
        (before,) = (b.terms[0] for b in behind.values())
        if _is_copy(before):
            return True
    if len(ahead) == 1:
        (after,) = (b.terms[0] for b in ahead.values())
        if _is_copy(after):
            return True
        if len(behind) == 1:
            return _is_small(after, before)
    return False


def _is_small(after: Term, before: Term) -> bool:
    """Whether the product is a diagonal's with one as large, or of numbers."""
    a, b = after.factor, before.factor
    if max(a.size, b.size) == 1:
        return True
    if is_product(a, b, tuple(after.placed | before.placed)):
        return False
    return max(after.entries, before.entries) <= 2 * min(a.size, b.size)


def _is_copy(term: Term) -> bool:
    return is_number(term.factor) and term.factor.array == 1


def _eliminated(name, find, graph: Graph, begun, start: Work, work: Work) -> Way:
    order = [*begun, *find(graph, work)]
    for source in graph.inputs:
        for target, block in graph.ahead[source].items():
            shapes = graph.shapes[target], graph.shapes[source]
            array_of(block, *shapes, work)
    largest = max(start.largest, work.largest)
    flops, time_s = start.flops + work.flops, start.time_s + work.time_s
    kernels = start.kernels + work.kernels
    way = Way(name, tuple(order), flops, time_s, kernels, largest)
    return way._replace(joins=work.joined)
