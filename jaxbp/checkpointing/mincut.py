"""The fewest bytes that a segment's tape may take.

What is elementwise is computed again from what it comes from, as compilers do in their
fusions: kept is the cheapest set of values that cuts all residuals off from what must
not be computed twice (Ford & Fulkerson 1956).

    x -> dot -> a -> add 1 -> b -> tanh -> c         residuals: b and c
    keep a, b or c alone: each of the others follows; the smallest is kept
"""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable

_MANY = 1 << 62


def least_bytes(
    residuals: Iterable[Hashable],
    size: Callable[[Hashable], int],
    sources: Callable[[Hashable], Iterable[Hashable] | None],
) -> int:
    """The bytes of the cheapest set to keep.

    Args:
      residuals: the values that the pullback reads.
      size: bytes of a value.
      sources: the values that one is computed from again, or None: it must be kept.
    """
    room: dict = defaultdict(lambda: defaultdict(int))
    queue, seen = deque(residuals), set(residuals)
    for value in seen:
        room[value, "out"]["end"] = _MANY
    while queue:
        value = queue.popleft()
        room[value, "in"][value, "out"] = size(value)
        before = sources(value)
        if before is None:
            room["start"][value, "in"] = _MANY
            continue
        for source in before:
            room[source, "out"][value, "in"] = _MANY
            if source not in seen:
                seen.add(source)
                queue.append(source)
    total = 0
    while (path := _path(room)) is not None:
        pairs = list(zip(path, path[1:], strict=False))
        flow = min(room[a][b] for a, b in pairs)
        for a, b in pairs:
            room[a][b] -= flow
            room[b][a] += flow
        total += flow
    return total


def _path(room) -> list | None:
    before: dict = {"start": None}
    queue = deque(["start"])
    while queue:
        node = queue.popleft()
        if node == "end":
            path = [node]
            while before[path[-1]] is not None:
                path.append(before[path[-1]])
            return path[::-1]
        for other, left in list(room[node].items()):
            if left > 0 and other not in before:
                before[other] = node
                queue.append(other)
    return None
