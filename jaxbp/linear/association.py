"""Sums early, broadcasts late: a pass over linear programs.

Let B repeat a tangent along axes, and C contract the result with a held operand. Then

    (C B x)[.., n, ..] = sum_j L[.., j, ..] x[.., j, ..] = (B' C' x)[.., n, ..],

for an axis n that B repeats along and C keeps: the terms do not depend on n, so C'
contracts what is not repeated yet, and B' repeats the result. Transposed, B^T C^T =
C'^T B'^T: the cotangent is summed over n first, and the contraction is smaller by the
factor n, both ways. A compiler that sees only sums and products after the transposition
does not find this.

In labels: n is a label that B's output has and its input lacks. C after B is the einsum
of C's coefficient with the labels of x instead of those of B x. It is done where no
repeated axis is summed by C: those sums have as many equal terms as the axis is long.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from .. import ir, settings
from .base import Edge
from .diagonal import Broadcast, Scaled
from .einsum import Einsum
from .labels import Labels
from .primitive import Contraction, ThroughPrimitive


class _Spread(NamedTuple):
    """Of a slot's tangent: factor times that of `slot`, repeated as `labels` say."""

    slot: int
    labels: Labels
    factor: float


def sums_early(edges: Sequence[Edge], avals: Sequence) -> tuple[Sequence, Sequence]:
    """The edges with broadcasts moved behind contractions; the slots' types.

    Slots may be added; edges that nothing needs any more are left in.
    """
    kinds = {(type(edge.map), edge.map.form.kind) for edge in edges}
    if not any(_repeats(*kind) for kind in kinds) or not settings.current().sums_early:
        return edges, avals
    made = Counter(slot for edge in edges for slot in edge.outs)
    spread: dict[int, _Spread] = {}
    found, avals = [], list(avals)
    for edge in edges:
        source = spread.get(edge.ins[0]) if _passes_on(edge) else None
        labels = None
        if source is not None or _may_repeat(edge):
            labels = _labels(edge, source, avals)
        if labels is None:
            found.append(edge)
        elif source is not None and isinstance(edge.map, Contraction):
            found += _contracted(edge, source, labels, avals)
        else:
            found.append(edge)
            factor = None if edge.residuals else edge.map.coefficient(())
            if factor is not None and made[edge.outs[0]] == 1:
                slot, _, before = source or _Spread(edge.ins[0], labels, 1)
                spread[edge.outs[0]] = _Spread(slot, labels, before * factor)
    return found, avals


def _repeats(kind: type, form: str) -> bool:
    """Whether maps of this kind may repeat a tangent along axes."""
    through = issubclass(kind, ThroughPrimitive) and form == "repeats"
    return through or issubclass(kind, Broadcast)


def _may_repeat(edge: Edge) -> bool:
    """Whether the edge may repeat its tangent along axes, and do nothing else."""
    it = edge.map
    if isinstance(it, Broadcast):
        return isinstance(it.inner, Scaled)
    return _repeats(type(it), it.form.kind)


def _passes_on(edge: Edge) -> bool:
    """Whether what the edge reads may be looked at instead of what made that: it is
    contracted, or goes on with a number as its coefficient."""
    if len(edge.ins) != 1 or len(edge.outs) != 1:
        return False
    return not edge.residuals or isinstance(edge.map, Contraction)


def _labels(edge: Edge, source: _Spread | None, avals) -> Labels | None:
    """Labels from where `source` repeats, or from the edge's own input if it repeats
    along an axis longer than 1; None where there are none."""
    x, y = avals[edge.ins[0]], avals[edge.outs[0]]
    if ir.placed(x) or ir.placed(y):
        return None
    labels = edge.map.labels(x, y, edge.residuals)
    if labels is None:
        return None
    if source is not None:
        return labels.after(source.labels)
    sizes = dict(zip(labels.out, y.shape, strict=True))
    return labels if any(sizes[label] > 1 for label in labels.repeated) else None


def _contracted(edge: Edge, source: _Spread, labels: Labels, avals) -> list[Edge]:
    """The contraction of what is not repeated yet, in the place of `edge`."""
    params = edge.map.params  # pyright: ignore[reportAttributeAccessIssue]
    precision = params["precision"]
    if isinstance(precision, tuple) and len(set(precision)) > 1:
        return [edge]  # of either side; an einsum has no sides
    found, slot = [], source.slot
    if source.factor != 1:
        slot = len(avals)
        avals.append(avals[source.slot])
        scaled = Scaled(source.factor)
        found.append(Edge(scaled, (), (source.slot,), (slot,), edge.origin))
    y, wide = avals[edge.outs[0]], params["preferred_element_type"]
    product = Einsum(labels, avals[slot], y, precision, wide)
    return [*found, edge._replace(map=product, ins=(slot,))]
