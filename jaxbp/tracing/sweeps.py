"""The two sweeps over a trace's linear program, every value on the way kept.

Forward mode takes the edges in order and leaves a tangent in every slot, reverse mode
takes them backwards and leaves a cotangent in every slot.
"""

from collections.abc import Sequence

from .. import ir
from ..costs.traffic import nbytes
from ..linear.base import Edge, add
from .row import Row


def _carried(apply, edge: Edge, env: dict, sources, targets):
    """(slot, value) of what one edge brings from the slots `sources` to `targets`."""
    given = [env.get(slot) for slot in sources]
    if all(value is None for value in given):
        return []
    if not edge.map.many:
        return [(targets[0], apply(edge.residuals, given[0]))]
    return list(zip(targets, apply(edge.residuals, given), strict=True))


def tangents(edges: Sequence[Edge], seeds: dict) -> dict:
    """slot -> tangent, from the seeds of the inputs' slots."""
    env = dict(seeds)
    for edge in edges:
        for slot, x_dot in _carried(edge.map.push, edge, env, edge.ins, edge.outs):
            env[slot] = add(env.get(slot), x_dot)
    return env


def cotangents(edges: Sequence[Edge], seeds: dict) -> tuple[dict, list[dict]]:
    """slot -> cotangent, from the seeds of the outputs' slots; and per edge what it
    brings, slot -> cotangent."""
    env, brought = dict(seeds), []
    for edge in reversed(edges):
        found: dict = {}
        for slot, x_bar in _carried(edge.map.pull, edge, env, edge.outs, edge.ins):
            found[slot] = add(found.get(slot), x_bar)
            env[slot] = add(env.get(slot), x_bar)
        brought.append(found)
    return env, brought[::-1]


def kept_bytes(rows: Sequence[Row], edges: Sequence[Edge], outputs) -> None:
    """Sets per row what its edges add to the tape, those that reach an output."""
    needed, alive = set(outputs), set()
    for place in reversed(range(len(edges))):
        if not needed.isdisjoint(edges[place].outs):
            needed.update(edges[place].ins)
            alive.add(place)
    seen: set[int] = set()
    for row in rows:
        if row.kind != "equation":
            continue
        for place in range(*row.edges):
            for residual in edges[place].residuals if place in alive else ():
                if id(residual) not in seen:
                    seen.add(id(residual))
                    row.kept_bytes += nbytes(ir.typeof(residual))
