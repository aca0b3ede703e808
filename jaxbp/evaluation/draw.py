"""The graph of a trace: what each equation gives on its box, cotangents on arrows."""

import numpy as np

from .. import ir
from ..drawing import picture as boxes
from .row import INFIX, TraceRow, type_name
from .words import number

DIGITS = 5
LONGEST_EQUATION = 24  # characters; of a longer one, the operation is told
LEGEND = (("value", "value"), ("tangent", "tangent"), ("cotangent", "gradient"))


def picture(trace, title: str = ""):
    """A matplotlib Figure of a `EvaluationTrace`.

    On a box: the name and operation, primal, tangent and cotangent; of an array its
    type and the 2-norms. On an arrow: the cotangent that it carries back.
    """
    drawn = [row for row in trace.rows if row.kind != "step"]
    place = {row.place: i for i, row in enumerate(drawn)}
    edges = [
        boxes.Edge(place[ref.row], place[row.place], _short(x_bar), "gradient")
        if x_bar is not None
        else boxes.Edge(place[ref.row], place[row.place])
        for row in drawn
        for ref, x_bar in _arrows(row)
    ]
    nodes = [_box(row) for row in drawn]
    return boxes.draw([boxes.Graph(nodes, edges, title or trace.name, LEGEND)])


def _arrows(row: TraceRow):
    """(what it reads, what it brings there), each read once."""
    pairs = zip(row.reads, row.carried, strict=True)
    return {(r.name, r.row): (r, x_bar) for r, x_bar in pairs if r and r.name}.values()


def _box(row: TraceRow) -> boxes.Node:
    head = ", ".join(row.names)
    if row.equation:
        fits = len(row.equation) <= LONGEST_EQUATION
        sign = INFIX.get(row.operation, row.operation)
        head += f" = {row.equation if fits else sign}"
    shown: list[tuple[str, str]] = [(head, "ink")]
    if len(row.names) == 1:
        (primal,), (x_dot,), (x_bar,) = row.primals, row.tangents, row.cotangents
        if ir.typeof(primal).shape:
            shown.append((type_name(ir.typeof(primal)), "note"))
        shown.append((_short(primal), "value"))
        if row.differentiable[0]:
            shown.append((_short(x_dot), "tangent"))
            shown.append((_short(x_bar), "gradient"))
    kind = row.kind if row.kind in ("input", "output") else "operation"
    return boxes.Node(tuple(shown), kind)


def _short(value) -> str:
    """A number, or the 2-norm of an array."""
    if value is None:
        return "0"
    if ir.is_ref(value):
        return "ref"
    aval = ir.typeof(value)
    if not hasattr(aval.dtype, "kind"):
        return "key"
    if not aval.shape:
        return number(np.asarray(value).item(), DIGITS)
    norm = np.linalg.norm(np.asarray(value).astype(np.complex128).ravel())
    return f"‖{number(float(norm), DIGITS)}‖"
