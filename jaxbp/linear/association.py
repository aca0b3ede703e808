"""Sums early, broadcasts late: a pass over linear programs.

Let B repeat a tangent along axes that a contraction C with a held operand keeps. Then

    (C B x)[.., n, ..] = sum_j L[.., j, ..] x[.., j, ..] = (B' C' x)[.., n, ..],

since the terms do not depend on n: C' contracts what is not repeated yet, and B'
repeats the result. So C B = B' C' and, transposed, B^T C^T = C'^T B'^T: the cotangent
is summed over n first, and the contraction is smaller by the factor n, both ways. A
compiler that sees only sums and products after the transposition does not find this.
"""

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .. import ir
from .applied import Applied
from .base import Edge, LinearMap
from .diagonal import Broadcast, Scaled

_switch = [True]


def associates() -> bool:
    """Whether sums come early here."""
    return _switch[-1]


@contextlib.contextmanager
def association(early: bool = True):
    """Sets whether derivatives traced within sum cotangents before they contract them.

    Args:
      early: True (the default): where a value is broadcast and then contracted with
        another along other axes, its cotangent is summed first. False: the local
        derivatives are multiplied in the order of the program, as in JAX.
    """
    _switch.append(early)
    try:
        yield
    finally:
        _switch.pop()


def sums_early(edges: Sequence[Edge], avals: Sequence) -> tuple[Sequence, Sequence]:
    """The edges with broadcasts moved behind contractions; the slots' types.

    Slots may be added; edges that nothing needs any more are left in.
    """
    spread: dict[int, Any] = {e.outs[0]: e for e in edges if _spreads(e.map)}
    if not spread or not _switch[-1]:
        return edges, avals
    made = Counter(slot for edge in edges for slot in edge.outs)
    found, avals = [], list(avals)

    def slot(shape, like) -> int:
        avals.append(ir.ShapedArray(shape, like.dtype, weak_type=like.weak_type))
        return len(avals) - 1

    for edge in edges:
        source, it = spread.get(edge.ins[0]), edge.map
        shape = None
        if source is not None and made[edge.ins[0]] == 1:
            shape = _contracted(edge, source.map)
        if source is None or shape is None or not isinstance(it, Applied):
            found.append(edge)
            continue
        whole = avals[edge.outs[0]]
        narrow = slot(source.map.shape, avals[edge.ins[0]])
        small = slot(shape, whole)
        product = replace(it, aval=avals[narrow])
        found += [
            Edge(source.map.inner, (), source.ins, (narrow,)),
            Edge(product, edge.residuals, (narrow,), (small,)),
            Edge(Broadcast(Scaled(1), shape, whole.shape), (), (small,), edge.outs),
        ]
    return found, avals


def _spreads(it: LinearMap) -> bool:
    """Whether the map repeats its tangent along axes of length 1, perhaps scaled."""
    return (
        isinstance(it, Broadcast)
        and isinstance(it.inner, Scaled)
        and len(it.shape) == len(it.out_shape)
    )


def _contracted(edge: Edge, spread: Broadcast) -> tuple[int, ...] | None:
    """The shape of the contraction of what `spread` repeats later, if it may."""
    it = edge.map
    if not isinstance(it, Applied) or it.primitive.name != "dot_general":
        return None
    if ir.placed(it.aval):
        return None
    contracted, batch = it.params["dimension_numbers"]
    used = (*contracted[it.place], *batch[it.place])
    pairs = enumerate(zip(spread.shape, spread.out_shape, strict=True))
    repeated = [axis for axis, (short, long) in pairs if short != long]
    if not set(repeated).isdisjoint(used):
        return None
    other = ir.typeof(edge.residuals[0]).shape
    kept = [n for axis, n in enumerate(spread.shape) if axis not in used]
    partner = 1 - it.place
    used = (*contracted[partner], *batch[partner])
    kept_there = [n for axis, n in enumerate(other) if axis not in used]
    sides = (kept, kept_there) if it.place == 0 else (kept_there, kept)
    return (*[other[axis] for axis in batch[partner]], *sides[0], *sides[1])
