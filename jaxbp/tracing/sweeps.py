"""The two sweeps over a trace's linear program, every value on the way kept.

Forward mode takes the edges in order and leaves a tangent in every slot, reverse mode
takes them backwards and leaves a cotangent in every slot.
"""

from collections.abc import Sequence

from .. import ir
from ..linear.base import Edge, add
from ..linear.program import LinearProgram
from .row import Row


def tangents(program: LinearProgram, seeds: dict) -> dict:
    """slot -> tangent, from the seeds of the inputs' slots."""
    env = dict(seeds)
    for _ in program.steps("push", env):
        pass
    return env


def cotangents(program: LinearProgram, seeds: dict) -> tuple[dict, dict]:
    """slot -> cotangent, from the seeds of the outputs' slots; and per place of an edge
    what it brings, slot -> cotangent."""
    env, brought = dict(seeds), {}
    places = {id(edge): i for i, edge in enumerate(program.structure.edges)}
    for edge, _, x_bars in program.steps("pull", env):
        found: dict = {}
        for slot, x_bar in zip(edge.ins, x_bars, strict=True):
            found[slot] = add(found.get(slot), x_bar)
        brought[places[id(edge)]] = found
    return env, brought


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
                    row.kept_bytes += ir.nbytes(ir.typeof(residual))
