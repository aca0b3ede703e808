"""The Laplacian and the diagonal of the Hessian, without the Hessian.

The Hessian is a sum of products of two matrices through vertices of its graph, A B: of
one through the last vertex of an order of elimination, or of many through a cut
(`halves`). Its trace is the sum of A[x, z] B[z, x] and its diagonal the same without
the sum over x: neither multiplies the two.
"""

import math
from collections.abc import Callable
from contextlib import suppress

import jax
import jax.numpy as jnp

from .. import settings, tree
from ..errors import InvalidArgument, JaxbpError
from ..settings import Options
from ..transforms import arguments
from .block import Block, array_of, times
from .door import Point, gradient
from .graph import Graph, graph_of
from .halves import Cut, Half, cut, halves
from .order import patience_of
from .term import Term
from .whole import Whole
from .work import Exhausted, Work


def laplacian(
    fun: Callable, argnums: int = 0, *, options: Options | None = None
) -> Callable:
    """A function that gives the Laplacian: the trace of the Hessian, without it.

    Args:
      fun: a function of arrays that gives one real number.
      argnums: the argument, a real array.
      options: as for `hessian`.

    Returns:
      A function that gives a number.

    Raises:
      InvalidArgument: the argument is no single array, or the output no single number.

    Cost: of a network of widths h, n inputs and L layers about 2 L n h^2 flops;
      n products with the Hessian where that is predicted to take less, and where
      nothing can be eliminated (complex numbers, several types, too many terms).
    """
    return _derived(fun, argnums, options, "Laplacian", False)


def hessian_diagonal(
    fun: Callable, argnums: int = 0, *, options: Options | None = None
) -> Callable:
    """A function that gives the diagonal of the Hessian, without the rest.

    Args, raises and cost: as `laplacian`.

    Returns:
      A function that gives an array like the argument.
    """
    return _derived(fun, argnums, options, "diagonal of the Hessian", True)


def _derived(fun, argnums, options, what: str, keep: bool) -> Callable:
    arguments.check_callable(fun)
    argnums = arguments.indices(argnums)
    if not isinstance(argnums, int):
        raise InvalidArgument(
            f"`argnums` must be one integer, but is {argnums!r}: the {what} is taken "
            "by one argument."
        )
    rows = gradient(fun, argnums, False, False)
    doc = f"{what} of {{fun}} by its argument {{argnums}}."

    @arguments.named_after(fun, doc, argnums)
    def derived_of(*args, **kwargs):
        found = Point(rows, argnums, args, kwargs, False, ("forward",))
        found.check(False, False, what)
        x = found.primals[0]
        with settings.using(options):
            found.record()
            if len(found.outs) != 1 or jnp.shape(found.outs[0]) != jnp.shape(x):
                raise InvalidArgument(
                    f"the {what} is of a function from one array to one number, but "
                    f"`{tree.name_of(fun)}` was called with the shapes "
                    f"{[jnp.shape(leaf) for leaf in jax.tree.leaves(x)]}, and its "
                    f"gradient has {[jnp.shape(y) for y in found.outs]}."
                )
            return _diagonal(found, keep)

    return derived_of


def _diagonal(point: Point, keep: bool):
    shape = jnp.shape(point.primals[0])
    whole = point.whole()
    if not whole.unfit and point.outs:
        try:
            with jax.numpy_rank_promotion("allow"):
                found = _across(whole, shape, keep)
            if found is not None:
                return found
        except JaxbpError:  # a map has one direction alone
            pass
    matrix = point.blocks()[0][0].reshape(2 * (math.prod(shape),))
    diagonal = jnp.diagonal(matrix)
    return diagonal.reshape(shape) if keep else jnp.sum(diagonal)


def _across(whole: Whole, shape: tuple, keep: bool):
    """By the cheapest of the orders of elimination, which leave one vertex, and of the
    halves; None where the whole Hessian by a mode is predicted to take less."""
    ways = whole.plan().ways
    least_s = min(way.time_s for way in ways if not way.order)
    orders = [way.order for way in ways if way.order and not way.joins]
    counted = []
    for at in [*(Cut(order[:-1], 0, 0.0) for order in orders), *_halved(whole, keep)]:
        work = whole.work(True)
        work.limit_s = least_s + at.shared_s
        with suppress(Exhausted):
            _closed(graph_of(whole.program, work), at, keep, work)
            counted.append((work.time_s - at.shared_s, at))
    if not counted:
        return None
    _, at = min(counted, key=lambda way: way[0])
    work = whole.work(False)
    found = _closed(graph_of(whole.program, work), at, keep, work)
    return array_of(found, shape if keep else (), (), work)


def _halved(whole: Whole, keep: bool) -> list[Cut]:
    """The cut, if there is one that is found in time."""
    work = whole.work(True)
    graph = graph_of(whole.program, work)
    work.patience = patience_of(graph)
    with suppress(Exhausted):
        return [] if graph.outputs == [None] else [cut(graph, keep, work)]
    return []


def _closed(graph: Graph, at: Cut, keep: bool, work: Work) -> Block:
    """The diagonal, or the trace, as a block with no input."""
    if graph.outputs == [None]:
        return Block()
    shape = graph.shapes[graph.inputs[0]]
    found = [_met(half, shape, keep, work) for half in halves(graph, at, keep, work)]
    return Block(tuple([term for block in found for term in block.terms]))


def _met(half: Half, shape: tuple, keep: bool, work: Work) -> Block:
    """The diagonal, or the trace, of the product of a half's two."""
    middle = half.middle
    back = Block(tuple(map(_turned, half.columns.terms)))
    rows = [(row.of if half.between else row.out if keep else (), row)
            for row in half.rows.terms]  # fmt: skip
    left = [Term(out, (*row.out, *row.of), row.factor) for out, row in rows]
    out = middle if half.between else shape if keep else ()
    found = times(Block(tuple(left)), back, (out, (*shape, *middle), ()), work)
    if not half.between:
        return found
    summed = Block(tuple(term._replace(out=()) for term in half.between.terms))
    return times(summed, found, ((), middle, ()), work)


def _turned(term: Term) -> Term:
    return term._replace(out=(*term.of, *term.out), of=())
