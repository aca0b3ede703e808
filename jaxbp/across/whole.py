"""A whole Jacobian from a linear function, by the way that was planned."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from .. import ir, tree
from ..linear.einsum import Einsum
from ..linear.precision import InPrecision
from ..linear.primitive import Contraction
from ..transforms.chunks import split_columns, split_rows
from ..transforms.products import Pullback
from .block import array_of
from .graph import Graph, graph_of
from .loops import SEEDS, loops_of, run_again
from .memory import Memory
from .modes import MODES
from .order import planned
from .report import Plan, Way
from .work import Work

PARTED = ("jaxbp.linear.loop", "jaxbp.linear.ref", "jaxbp.linear.shard")


class Whole:
    """The Jacobian of a linear function of several leaves, to several.

    Attributes:
      linear: the function, as a Pullback.
      unfit: why no order of elimination is tried; empty if it is.
      modes: those that it has.
      loops: whether it keeps what forward mode does not need, which runs the function
        again then.
      known: elements of a basis of seeds that is a constant: through a loop what is
        sliced from one is a kernel of its own, unless XLA does it while it compiles.
      copies: how many examples are computed at once.
      hessian: whether the function is a gradient.
    """

    def __init__(
        self, linear: Pullback, modes=MODES, copies: int = 1, hessian: bool = False
    ):
        self.linear, self.modes, self.copies = linear, modes, copies
        self.hessian = hessian
        self.unfit = _unfit(linear)
        self.program = linear.program.opened().parts()
        self.loops = run_again(self.program, copies)
        self.known = SEEDS if loops_of(self.program) else 0
        avals = self.program.structure.avals
        dtype = avals[0].dtype if avals else np.dtype(np.float32)
        precision = _precision(self.program.structure.edges)
        self.work: Callable[..., Work] = partial(Work, dtype, precision, copies=copies)

    def plan(self, every: bool = True) -> Plan:
        """The ways, and the cheapest; without `every` it may be all that is told."""
        with jax.numpy_rank_promotion("allow"):
            fresh = partial(self.work, True, memory=Memory())
            graph = graph_of(self.program, fresh())
            why = self.unfit
            plan = planned(graph, fresh, self.modes, why, self.hessian, every)
            return self._told(plan, graph)

    def _told(self, plan: Plan, graph: Graph) -> Plan:
        return dataclasses.replace(
            plan,
            name=self.linear.signature.name,
            edges=len(self.program.structure.edges),
            operators=tuple([str(edge.origin) for edge in graph.operators]),
        )

    def blocks(self, way: Way) -> list[list]:
        """Per output and input of the program the array (*y, *x), or None for zero."""
        with jax.numpy_rank_promotion("allow"):
            work = self.work(False)
            graph = graph_of(self.program, work)
            work.joins = way.joins
            for vertex in way.order:
                graph.eliminate(vertex, work)
            return [
                [_block(graph, source, target, work) for source in graph.inputs]
                for target in graph.outputs
            ]


def _block(graph: Graph, source, target, work: Work):
    block = None if target is None else graph.ahead[source].get(target)
    if block is None or not block:
        return None
    return array_of(block, graph.shapes[target], graph.shapes[source], work)


def _unfit(linear: Pullback) -> str:
    """Why the edges of a program cannot be taken apart; empty if they can."""
    structure = linear.program.structure
    types = {a.dtype for a in structure.avals}
    if any(ir.placed(a) for a in structure.avals):
        return "its arrays are placed on a mesh"
    if any(np.issubdtype(dtype, np.complexfloating) for dtype in types):
        return "it computes with complex numbers"
    if len(types) > 1:
        return f"it computes in several types, {', '.join(sorted(map(str, types)))}"
    for edge in structure.edges:
        if isinstance(edge.map, InPrecision):
            return "it computes in both precisions"
        if (
            type(edge.map).__module__.startswith(PARTED)
            and "loop" not in type(edge.map).__module__
        ):
            return "it writes to mutable arrays, or is mapped over devices"
    return ""


def _precision(edges) -> Any:
    """The precision of all contractions; the highest where they differ."""
    found = set()
    for edge in edges:
        if isinstance(edge.map, Contraction):
            found.add(edge.map.params["precision"])
        elif isinstance(edge.map, Einsum):
            found.add(edge.map.precision)
    if len(found) > 1:
        return jax.lax.Precision.HIGHEST
    return next(iter(found), None)


# The modes --------------------------------------------------------------------


def by_rows(pullback: Pullback, primals, y, known: int = 0) -> list[list]:
    """Per output leaf and input leaf the array (*y, *x), by one pullback a row.

    Args:
      known: as of `tree.basis`.
    """
    rows = jax.tree.leaves(jax.vmap(pullback)(tree.basis(y, known)))
    return split_rows(rows, primals, jax.tree.leaves(y))


def by_columns(linear: Pullback, primals, outs, known: int = 0) -> list[list]:
    """The same by one pushforward a column."""
    seeds = jax.tree.leaves(tree.basis(primals, known))
    found = jax.vmap(linear.program.push, out_axes=-1)(seeds)
    return split_columns(found, primals, outs)
