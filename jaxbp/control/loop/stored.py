"""Slopes that a loop's step keeps in the place of what they are computed from.

    k = sin(y + h * k_before)        the tape asks for the argument, to compute its cos
    stored:  cos of it, computed beside sin going forward: one number for one

Going back, what a step computes is often computed more than once, where a compiler
fuses it into each of its readers; what is read from a stack is not. It is done where
nothing else asks for the operands, so that no more is stacked. A slope of a few values
takes a byte.
"""

from collections import defaultdict
from typing import Any

import numpy as np

from ... import ir
from ...linear.base import Edge, Params
from ...linear.diagonal import Broadcast, Diagonal
from ...linear.loop.slopes import computed
from ...linear.program import LinearProgram, taped
from .again import is_dear


def with_stored_slopes(program: LinearProgram, free: set[int]) -> LinearProgram:
    """The step's program with dear slopes on its tape, and no more than it had.

    Args:
      free: ids of residuals that need not be stacked.
    """
    structure, tape = program.structure, program.tape
    readers: dict[int, set[int]] = defaultdict(set)
    for i, edge in enumerate(structure.edges):
        for place in edge.residuals:
            readers[place].add(i)
    edges = [e._replace(residuals=tuple(program.residuals(e))) for e in structure.edges]
    changed = False
    for i, edge in enumerate(structure.edges):
        places = set(edge.residuals)
        group = set().union(*[readers[place] for place in places])
        if i != min(group, default=-1) or len(group) > len(places):
            continue
        same = all(set(structure.edges[j].residuals) == places for j in group)
        if not same or any(id(tape[place]) in free for place in places):
            continue
        if not all(_is_dear(edges[j]) for j in group):
            continue
        stored = {j: _stored(edges[j]) for j in group}
        more = sum(ir.nbytes(ir.typeof(e.residuals[0])) for e in stored.values())
        if more <= sum(ir.nbytes(ir.typeof(tape[place])) for place in places):
            changed = True
            for j, edge_with_slope in stored.items():
                edges[j] = edge_with_slope
    if not changed:
        return program
    return taped(edges, structure.avals, structure.ins, structure.outs)


def _is_dear(edge: Edge) -> bool:
    """Whether its slope takes many operations an element, or comparisons."""
    slope = computed(edge)
    if slope is None or getattr(slope, "stepped", False):
        return slope is not None
    it: Any = edge.map
    diagonal: Any = it.inner if isinstance(it, Broadcast) else it
    return is_dear(diagonal.operations(edge.residuals))


def _kept(slope):
    return slope


# The values of a stepped slope are 0, 1/2, 1, -1 (`diagonal.stepped`).
def _kept_twice(twice, *, params):
    return ir.cast(twice, params["dtype"]) / 2


def _stored(edge: Edge) -> Edge:
    value = edge.map.coefficient(edge.residuals)
    it, kept = edge.map, Diagonal(_kept)
    steps = getattr(computed(edge), "stepped", False)
    if steps and np.issubdtype(value.dtype, np.floating):
        kept = Diagonal(_kept_twice, Params({"dtype": value.dtype}))
        value = ir.cast(2 * value, np.int8)
    if isinstance(it, Broadcast):
        kept = Broadcast(kept, it.shape, it.out_shape)
    return edge._replace(map=kept, residuals=(value,))
