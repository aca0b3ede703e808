"""Where do the nodes of a directed acyclic graph go? In columns, left to right.

The four steps of Sugiyama, Tagawa and Toda 1981: a column per node, each after those it
comes from; a way point in every column that an edge passes; an order in each column
with few crossings, by barycentres and swaps of neighbours; heights near those of the
neighbours, by least squares.
"""

from bisect import bisect, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .spread import spread

SWEEPS = 12  # over all columns, of ordering and of straightening
COLUMN_GAP, ROW_GAP, WAY_GAP = 62.0, 16.0, 12.0  # points
CROWD, CROWD_GAP, MOST_CROWD = 3, 8.0, 160.0  # links beyond 3 widen a gap, each by 8
STRAIGHT = 4.0  # how much more a way point insists on its place than a node


@dataclass(frozen=True)
class Placement:
    """A layout, in points; y grows upwards.

    Attributes:
      centres: (x, y) per node.
      ways: per edge the way points between its ends.
      width, height: of the whole, whose lower left corner is (0, 0).
    """

    centres: list[tuple[float, float]]
    ways: list[list[tuple[float, float]]]
    width: float
    height: float


def layered(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    column_gap: float = COLUMN_GAP,
) -> Placement:
    """Places the nodes 0, 1, ... of an acyclic graph.

    Args:
      sizes: (width, height) per node, in points.
      edges: (source, target); several between the same two are allowed.
      column_gap: between columns: room for what is written on the edges.

    Cost: about SWEEPS times (way points + nodes) log of these.
    """
    column = _columns(len(sizes), edges)
    chains, place_of = _chains(column, edges)
    links = [pair for chain in chains for pair in pairwise(chain)]
    columns = _ordered(place_of, links)
    heights = [h for _, h in sizes] + [0.0] * (len(place_of) - len(sizes))
    ys = _heights(columns, links, heights, len(sizes))
    xs, width = _across(columns, sizes, _gaps(columns, place_of, links, column_gap))
    low = min((ys[v] - heights[v] / 2 for v in range(len(ys))), default=0.0)
    high = max((ys[v] + heights[v] / 2 for v in range(len(ys))), default=0.0)
    points = [(xs[place_of[v]], ys[v] - low) for v in range(len(ys))]
    ways = [[points[v] for v in chain[1:-1]] for chain in chains]
    return Placement(points[: len(sizes)], ways, width, high - low)


def _columns(count: int, edges) -> list[int]:
    """The column of each node: behind all it comes from; inputs just before use."""
    targets: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for source, target in edges:
        targets[source].append(target)
        waiting[target] += 1
    inputs = [v for v in range(count) if not waiting[v]]
    column, ready = [0] * count, list(inputs)
    while ready:
        node = ready.pop()
        for target in targets[node]:
            column[target] = max(column[target], column[node] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    for node in inputs:
        column[node] = min((column[t] for t in targets[node]), default=1) - 1
    return column


def _chains(column: Sequence[int], edges):
    """Each edge as a chain of nodes and new way points; the column of all of these."""
    place_of, chains = list(column), []
    for source, target in edges:
        between = range(column[source] + 1, column[target])
        way = range(len(place_of), len(place_of) + len(between))
        place_of.extend(between)
        chains.append([source, *way, target])
    return chains, place_of


def _neighbours(count: int, links):
    before: list[list[int]] = [[] for _ in range(count)]
    behind: list[list[int]] = [[] for _ in range(count)]
    for source, target in links:
        behind[source].append(target)
        before[target].append(source)
    return before, behind


# Order ----------------------------------------------------------------------


def _ordered(place_of: Sequence[int], links) -> list[list[int]]:
    """The columns, each ordered so that few links cross: the best of all sweeps."""
    columns: list[list[int]] = [[] for _ in range(max(place_of, default=-1) + 1)]
    before, behind = _neighbours(len(place_of), links)
    for node in _depth_first(before, behind):
        columns[place_of[node]].append(node)
    best, fewest = [list(c) for c in columns], _crossings(columns, behind)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        rightwards = sweep % 2 == 0
        near = before if rightwards else behind
        for k in range(len(columns)) if rightwards else reversed(range(len(columns))):
            _by_barycentre(columns, k, near, -1 if rightwards else 1)
        _swap_neighbours(columns, before, behind)
        crossings = _crossings(columns, behind)
        if crossings < fewest:
            best, fewest = [list(c) for c in columns], crossings
    return best


def _depth_first(before, behind) -> list[int]:
    """All nodes from the outputs back: what belongs together starts together."""
    found: dict[int, None] = {}
    stack = [v for v in reversed(range(len(behind))) if not behind[v]]
    while stack:
        node = stack.pop()
        if node not in found:
            found[node] = None
            stack.extend(reversed(before[node]))
    return list(found)


def _by_barycentre(columns, k: int, near, side: int) -> None:
    """Sorts a column by the mean place of its neighbours in the column at `side`."""
    if not 0 <= k + side < len(columns):
        return
    place = {v: i for i, v in enumerate(columns[k + side])}
    own = {v: i for i, v in enumerate(columns[k])}
    scale = len(place) / max(1, len(own))

    def centre(node):
        beside = [place[v] for v in near[node]]
        return sum(beside) / len(beside) if beside else own[node] * scale

    columns[k].sort(key=centre)


def _swap_neighbours(columns, before, behind) -> None:
    """Swaps two that stand together wherever that leaves fewer crossings."""
    place = {v: i for column in columns for i, v in enumerate(column)}
    for column in columns:
        for i in range(len(column) - 1):
            upper, lower = column[i], column[i + 1]
            now = _inversions(upper, lower, before, behind, place)
            if _inversions(lower, upper, before, behind, place) < now:
                column[i], column[i + 1] = lower, upper
                place[upper], place[lower] = i + 1, i


def _inversions(upper, lower, before, behind, place) -> int:
    """Crossings between the links of two neighbours in a column."""
    return sum(
        place[a] > place[b]
        for near in (before, behind)
        for a in near[upper]
        for b in near[lower]
    )


def _crossings(columns, behind) -> int:
    """All crossings between neighbouring columns, counted as inversions."""
    total = 0
    for left, right in pairwise(columns):
        place, seen = {v: i for i, v in enumerate(right)}, []
        for node in left:
            ends = sorted(place[v] for v in behind[node])
            total += sum(len(seen) - bisect(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


# Places ---------------------------------------------------------------------


def _heights(columns, links, heights: Sequence[float], nodes: int) -> list[float]:
    """y per node: the mean of the neighbours', as far as those around leave room."""
    before, behind = _neighbours(len(heights), links)
    ys, gaps = [0.0] * len(heights), []
    for column in columns:
        gaps.append([_gap(a, b, heights, nodes) for a, b in pairwise(column)])
        _assign(ys, column, [0.0] * len(column), gaps[-1], [1.0] * len(column))
    for sweep in range(SWEEPS):
        rightwards, last = sweep % 2 == 0, sweep >= SWEEPS - 2
        for k in range(len(columns)) if rightwards else reversed(range(len(columns))):
            wanted, weights = [], []
            for v in columns[k]:
                near = (
                    before[v] + behind[v]
                    if last
                    else ((before if rightwards else behind)[v])
                )
                wanted.append(sum(ys[u] for u in near) / len(near) if near else ys[v])
                weights.append(STRAIGHT if v >= nodes else max(0.1, len(near)))
            _assign(ys, columns[k], wanted, gaps[k], weights)
    return ys


def _gap(upper: int, lower: int, heights, nodes: int) -> float:
    """Between the centres of two neighbours in a column."""
    room = ROW_GAP if max(upper, lower) < nodes else WAY_GAP
    return (heights[upper] + heights[lower]) / 2 + room


def _assign(ys, column, wanted, gaps, weights) -> None:
    """Downwards from the first of the column, whose y is the highest."""
    for v, y in zip(column, spread([-y for y in wanted], gaps, weights), strict=True):
        ys[v] = -y


def _gaps(columns, place_of, links, column_gap: float) -> list[float]:
    """The width behind each column: more where many links pass."""
    leaving = [0] * len(columns)
    for source, _ in links:
        leaving[place_of[source]] += 1
    return [
        column_gap + min(MOST_CROWD, CROWD_GAP * max(0, count - CROWD))
        for count in leaving
    ]


def _across(columns, sizes, gaps: Sequence[float]) -> tuple[list[float], float]:
    """The x of each column's centre, and the width of all."""
    xs, right = [], 0.0
    for column, gap in zip(columns, gaps, strict=True):
        width = max((sizes[v][0] for v in column if v < len(sizes)), default=0.0)
        xs.append(right + width / 2)
        right += width + gap
    return xs, max(0.0, right - gaps[-1] if gaps else 0.0)
