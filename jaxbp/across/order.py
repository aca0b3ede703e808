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
from .block import HEAVY, ROW, array_of, flops_inside
from .edges import Operator
from .factor import is_number, is_product
from .graph import Graph, Vertex
from .loops import gives_at_every_step, whole_map
from .modes import MODES, columns, entries, of_mode, operators, primal
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
JOINED = 0.5  # of a pass' beginning, of numbers of many examples: one pass computes all
NEAR = 1.1  # ways nearer than this are alike for many examples at once
IN_TURN = "from the outputs", "from the inputs"  # of those alike the first of these
SEEN = 0.5  # of the time of a call, that an order must save at least; half of that
SURELY = 0.85  # where it needs at most so much of the better mode
ROW_OF_MANY = 1.5  # as `block.ROW`, of many examples at once
MUCH = 50  # times the flops of a large product, for many examples at once
TIE = 1.02  # ways nearer than this in time are alike
WIDE = 1 << 16  # elements of an array, all columns together, that is large


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
    base = primal(graph, fresh())
    alone = [of_mode(graph, fresh(), name) for name in modes]
    ways = [_called(way, base) for way in alone]
    mode, why = _better(alone, graph, base, hessian)
    best = ways[alone.index(mode)]
    if unfit:
        return _of_modes(ways, best, unfit)
    start, small = fresh(), graph.copy()
    least_s = base.time_s + start.rates.call_s  # of any way
    if not every and best.time_s - least_s < SEEN / 2 * start.rates.call_s:
        return _of_modes(ways, best, "no order can save as much")
    begun = collapsed(small, start)
    scalars = base.copies > 1 and _is_scalar(graph)
    patience, own = patience_of(graph), patience_of(graph)
    allowed = max(LARGEST, 4 * start.copies * entries(graph))
    bound_s = max(1, CLEARLY) * best.time_s
    pays = lambda way: way.order and way.time_s < CLEARLY * best.time_s  # noqa: E731
    for name, find in ORDERS.items():
        if name in SEARCHING and len(small.inner) > MOST_TRIED:
            continue
        work = fresh()
        if scalars:
            work.rates = work.rates._replace(pass_s=JOINED * work.rates.pass_s)
        work.joins = name == JOINING
        if work.joins and not any(map(pays, ways)):
            continue
        work.patience = own if work.joins else patience
        near = NEAR if base.copies > 1 and name in IN_TURN else 1.0
        most_s = bound_s * (TIE if work.joins else near)
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
    seen = SEEN / 2 if not operators(graph) else SEEN
    return _chosen(ways, best, allowed, start, why, scalars, seen)


def _of_modes(ways: list[Way], mode: Way, why: str) -> Plan:
    return Plan(tuple(ways), mode, f"{mode.name} mode: {why}", mode=mode.name)


def _chosen(
    ways: list[Way], mode: Way, allowed: int, work: Work, why: str, scalars: bool,
    seen: float,
) -> Plan:  # fmt: skip
    """The plan: the mode, or the order that is predicted clearly faster.

    Args:
      scalars: all that is multiplied is a number an example, so that the passes are
        foreseen as well as those of one example.
      seen: as `SEEN`, of an order that is surely cheaper: less, unless there are
        operators, whose time is a guess.
    """
    orders = [w for w in ways if w.name not in MODES and w.largest <= allowed]
    least = min([way.time_s for way in orders], default=math.inf)
    tie = TIE if work.copies == 1 else NEAR
    alike = [way for way in orders if way.time_s <= tie * least]
    # of those alike the one of fewest passes, which are what is compiled
    rank = lambda way: (way.joins, _rank(way, work), -way.time_s)  # noqa: E731
    best = max(alike, key=rank, default=None)
    others = [way for way in ways if way.name in MODES and way is not mode]
    if all(mode.time_s < way.time_s for way in others):
        why = ""
    near = f", by {why}" if why else ""
    if best is None or least >= max(1, CLEARLY) * mode.time_s:
        reason = f"{mode.name} mode: no order that was looked at is faster{near}"
        return Plan(tuple(ways), mode, reason, mode=mode.name)
    gain = mode.time_s / max(least, 1e-12)  # those alike need as little
    saved_s = mode.time_s - least
    surely = least <= SURELY * mode.time_s
    seen_s = (seen if surely else SEEN) * work.rates.call_s
    most = CLEARLY
    if work.copies > 1 and not scalars:
        large = max(way.heaviest for way in (mode, *others)) >= MUCH * HEAVY
        most *= DOUBTED if large else DOUBT
    if least <= most * mode.time_s and saved_s >= seen_s:
        reason = f"predicted {gain:.3g} times faster than {mode.name} mode"
        return Plan(tuple(ways), best, reason, mode=mode.name)
    what = f"{most:g} or less"
    if least <= most * mode.time_s:
        what += f" if that saves {seen_s * 1e6:g} us or more"
    reason = (
        f"{mode.name} mode: the best order is predicted at {1 / gain:.3f} of its "
        f"time, and is taken at {what}{near}"
    )
    return Plan(tuple(ways), mode, reason, mode=mode.name)


def _rank(way: Way, work: Work) -> int:
    """Of ways alike for many examples, those from an end come first: what another order
    multiplies with several is computed again by the pass of each."""
    if work.copies == 1 or way.name not in IN_TURN:
        return 0
    return len(IN_TURN) - IN_TURN.index(way.name)


def _is_scalar(graph: Graph) -> bool:
    """Whether all that is multiplied is a number, of each example."""
    blocks = [block for targets in graph.ahead.values() for block in targets.values()]
    terms = [term for block in blocks for term in block.terms]
    return not operators(graph) and all(term.factor.size == 1 for term in terms)


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
    every = operators(graph)
    inside = max([flops_inside(o.map, o.x, o.y) for o in every], default=0.0)
    counts = {way.name: columns(graph, way.name) for way in ways}
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


def _called(way: Way, base: Work) -> Way:
    """With the function itself, and the call: it makes small programs alike, whose
    orders save what no clock sees."""
    return way._replace(time_s=way.time_s + base.time_s + base.rates.call_s)


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
