"""Sparse Jacobians: from terms where all is labelled, from colours where not."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import ir, settings, tree
from ..errors import InvalidArgument, ShapeMismatch
from ..settings import Options
from ..transforms import arguments
from ..transforms.products import jvp, vjp
from .absorbed import absorbed
from .block import Block
from .colours import Reading, reading
from .door import Point, gradient
from .entries import entries_of
from .expand import _listed
from .graph import graph_of
from .order import planned
from .pattern import Pattern, places_of
from .term import Term

if TYPE_CHECKING:
    from jax.experimental.sparse import BCOO

PROBE_TOLERANCE = 1e-3  # of a random product, in float32; by roundings of many terms


class _Sparse:
    """A function of one array at a point, its Jacobian as a block of terms."""

    def __init__(self, fun, argnums, args, caller="sparse.jacobian"):
        self.point = Point(fun, argnums, args, {}, False)
        self.point.check(False, False, caller)
        self.point.record()
        (self.x,) = self._single("argument", jax.tree.leaves(self.point.primals), fun)
        (self.y,) = self._single("output", self.point.outs, fun)
        arguments.check_outputs(self.point.y, False, caller)
        self.shape = tuple(math.prod(jnp.shape(v)) for v in (self.y, self.x))
        self.whole = self.point.whole()
        self.masked = False

    def _single(self, what, leaves, fun):
        if len(leaves) != 1:
            raise InvalidArgument(
                f"a sparse Jacobian is of one array by one array, but the {what} of "
                f"`{tree.name_of(fun)}` has {len(leaves)} leaves."
            )
        return leaves

    def block(self) -> Block | None:
        """The Jacobian as terms at known places; None where there is more to it."""
        if self.whole.unfit:
            return None
        plan = planned(
            graph_of(self.whole.program, self.whole.work(True)),
            self._fresh,
            ("forward",),
        )
        orders = [way for way in plan.ways if way.order and not way.joins]
        order = min(orders, key=lambda way: way.time_s).order if orders else ()
        work = self.whole.work(False)
        graph = graph_of(self.whole.program, work)
        self.masked = any(
            term.factor.mask
            for targets in graph.ahead.values()
            for block in targets.values()
            for term in block.terms
        )
        for vertex in order or graph.inner:
            if any(b.operators for b in graph.ahead[vertex].values()) or any(
                b.operators for b in graph.behind[vertex].values()
            ):
                return None
            graph.eliminate(vertex, work)
        if work.plain:
            return None
        (source,), (target,) = graph.inputs, graph.outputs
        if target is None:
            return Block()
        block = graph.ahead[source].get(target, Block())
        return None if block.operators else block

    def _fresh(self):
        return self.whole.work(True)


def _places(term: Term, shapes) -> tuple[np.ndarray, np.ndarray] | None:
    """Flat rows and columns of a term's entries; None where values decide."""
    axes = (*term.out, *term.of)
    for axis in axes:
        if axis.index is not None and not isinstance(axis.index.array, np.ndarray):
            return None
    labels = tuple(dict.fromkeys([label for axis in axes for label in axis.labels]))
    grid = tuple([label.size for label in labels])
    found = []
    for side, shape in zip((term.out, term.of), shapes, strict=True):
        flat = np.zeros((), np.int64)
        for axis, size in zip(side, shape, strict=True):
            flat = flat * size + axis.positions(labels)
        found.append(np.broadcast_to(flat, grid).reshape(-1))
    return found[0], found[1]


def pattern(fun: Callable[..., Any], *args, argnums: int = 0) -> Pattern:
    """Where the Jacobian of a function of arrays may be nonzero.

    Args:
      fun: from one array (among others that are held) to one array.
      *args: the point: arrays; types (`jax.ShapeDtypeStruct`) will do where no index
        depends on values.
      argnums: which argument.

    Returns:
      The pattern. It is exact for what moves and multiplies, at indices that are known,
      but for products that cancel; where a part is an operator or a mask, or an index
      depends on values, a superset.

    Cost: the function runs once, or is traced where types are given; time and memory
      grow with the number of places.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxbp
      >>> found = jaxbp.sparse.pattern(lambda x: x[1:] - x[:-1] ** 2, jnp.ones(4))
      >>> found.shape, found.nse, found.exact
      ((3, 4), 6, True)
    """
    arguments.check_callable(fun)
    found = []

    def at(*given):
        it = _Sparse(fun, argnums, given, "sparse.pattern")
        with jax.numpy_rank_promotion("allow"):
            block = it.block()
        found.append((block, (jnp.shape(it.y), jnp.shape(it.x)), it.shape, it.masked))
        return 0

    leaves = jax.tree.leaves(args)
    if any(isinstance(x, jax.ShapeDtypeStruct) or ir.is_tracer(x) for x in leaves):
        jax.eval_shape(at, *args)
    else:  # so that indices are known
        at(*args)
    block, shapes, shape, masked = found[0]
    places = None if block is None else [_places(t, shapes) for t in block.terms]
    if places is None or any(one is None for one in places):
        rows, columns = np.indices(shape)
        return places_of(rows.reshape(-1), columns.reshape(-1), shape, exact=False)
    if not places:
        return places_of([], [], shape)
    rows, columns = (np.concatenate(part) for part in zip(*places, strict=True))
    return places_of(rows, columns, shape, exact=not masked)


def jacobian(
    fun: Callable[..., Any],
    argnums: int = 0,
    *,
    pattern: Any = None,
    options: Options | None = None,
) -> Callable[..., "BCOO"]:
    """A function that gives the Jacobian as a BCOO matrix with static indices.

    Args:
      fun: from one array to one array, of any shapes; they are flattened.
      argnums: which argument.
      pattern: a `Pattern`, a boolean or a sparse matrix; None: `pattern(fun, ...)`,
        found where the Jacobian is traced. One that is given is trusted under `jit`,
        and checked by a random product where values are known.
      options: as for `jaxbp.jacobian`.

    Returns:
      A function that gives a `jax.experimental.sparse.BCOO` of shape (m, n): every
      place of the pattern once, ordered by row, then column.

    Raises:
      ShapeMismatch: the pattern is of another shape.
      InvalidArgument: the pattern lacks an entry.

    Cost: where all edges have labels, one evaluation and the entries; else one
      pushforward or pullback a colour of the pattern given, `colouring`; without one
      the whole Jacobian.

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxbp
      >>> found = jaxbp.sparse.jacobian(lambda x: x[1:] - x[:-1] ** 2)(jnp.ones(3))
      >>> found.data.tolist(), found.indices.tolist()
      ([-2.0, 1.0, -2.0, 1.0], [[0, 0], [0, 1], [1, 1], [1, 2]])
    """
    return _by_pattern(fun, argnums, pattern, options, symmetric=False)


def _by_pattern(fun, argnums, pattern, options, symmetric: bool) -> Callable:
    arguments.check_callable(fun)
    given = None if pattern is None else Pattern.of(pattern)

    @arguments.named_after(
        fun, "Sparse Jacobian of {fun} by argument {argnums}.", argnums
    )
    def jacobian_of(*args):
        with settings.using(options), jax.numpy_rank_promotion("allow"):
            return _jacobian(fun, argnums, args, given, symmetric)

    return jacobian_of


def hessian(
    fun: Callable[..., Any],
    argnums: int = 0,
    *,
    pattern: Any = None,
    options: Options | None = None,
) -> Callable[..., "BCOO"]:
    """A function that gives the Hessian as a BCOO matrix: the sparse Jacobian of the
    gradient.

    Args, raises, cost: as `jacobian`; a pattern that is symmetric is coloured as a
      star, so that an entry may be read from its mirror image's place.

    Returns:
      A function that gives a BCOO of shape (n, n).

    Example:
      >>> import jax.numpy as jnp
      >>> import jaxbp
      >>> found = jaxbp.sparse.hessian(lambda x: jnp.sum(x[1:] * x[:-1]))(jnp.ones(3))
      >>> found.todense().tolist()
      [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    arguments.check_callable(fun)
    slope = gradient(fun, argnums, False, False)

    def slope_of_scalar(*args):
        found = slope(*args)
        size = jnp.size(args[argnums])
        if jax.tree.structure(found).num_leaves == 1 and jnp.size(found) != size:
            raise InvalidArgument(
                f"`{tree.name_of(fun)}` must return one scalar for a sparse "
                f"Hessian, but its gradient has {jnp.size(found)} entries for {size} "
                "inputs. Ask for one output at a time."
            )
        return found

    slope_of_scalar.__name__ = tree.name_of(fun)
    return _by_pattern(slope_of_scalar, argnums, pattern, options, symmetric=True)


def _jacobian(fun, argnums, args, given: Pattern | None, symmetric: bool):
    at = _Sparse(fun, argnums, args)
    shapes = jnp.shape(at.y), jnp.shape(at.x)
    if given is not None and given.shape != at.shape:
        raise ShapeMismatch(
            f"`pattern` must have shape {at.shape}, outputs by inputs, but has shape "
            f"{given.shape}."
        )
    block = at.block()
    places = None if block is None else [_places(t, shapes) for t in block.terms]
    if block is None or places is None or any(one is None for one in places):
        if given is None:
            return _full(at)
        return _coloured(fun, argnums, args, at, given, symmetric)
    dtype = ir.typeof(at.x).dtype
    if len(block.terms) > 1:
        block = Block(tuple(absorbed(block.terms, dtype)))
        places = [_places(t, shapes) for t in block.terms]
    if not places:
        rows = columns = np.zeros(0, np.int64)
    else:
        rows, columns = (np.concatenate(part) for part in zip(*places, strict=True))
    found = places_of(rows, columns, at.shape)
    values = [_listed(term, dtype)[1] for term in block.terms]
    flat = rows * max(at.shape[1], 1) + columns
    every = found.rows.astype(np.int64) * max(at.shape[1], 1) + found.columns
    ends = np.cumsum([value.size for value in values])[:-1]
    where = np.split(np.searchsorted(every, flat), ends) if values else []
    data = entries_of([v.reshape(-1) for v in values], where, len(every), dtype)
    if given is None:
        return _bcoo(data, found)
    return _on(given, found, every, data)


def _on(given: Pattern, found: Pattern, every, data):
    """The entries at the places of another pattern."""
    wanted = given.rows.astype(np.int64) * max(given.shape[1], 1) + given.columns
    at = np.searchsorted(wanted, every)
    inside = np.isin(every, wanted)
    if not inside.all():
        row, column = found.rows[~inside][0], found.columns[~inside][0]
        raise InvalidArgument(
            f"`pattern` lacks {(~inside).sum()} places at which the Jacobian may be "
            f"nonzero, the first at ({row}, {column}). Use jaxbp.sparse.pattern."
        )
    return _bcoo(jnp.zeros(len(wanted), data.dtype).at[at].set(data), given)


def _bcoo(data, found: Pattern):
    from jax.experimental.sparse import BCOO

    return BCOO(
        (data, jnp.asarray(found.indices)),
        shape=found.shape,
        indices_sorted=True,
        unique_indices=True,
    )


def _coloured(fun, argnums, args, at: _Sparse, given: Pattern, symmetric: bool):
    """By seeds that share their sweep, one a colour."""
    partial, (x,) = arguments.chosen(fun, argnums, args, {})
    flat = lambda v: partial((v.reshape(jnp.shape(x)),)).reshape(-1)  # noqa: E731
    start = jnp.reshape(x, -1)
    data = _read(reading(given, symmetric), flat, start, ir.typeof(at.y).dtype)
    found = _bcoo(data, given)
    _probe(flat, start, found)
    return found


def _read(plan: Reading, flat, start, dtype):
    """The entries, from as many sweeps as the plan has."""
    (m, n), (pushes, pulls) = (len(plan.rows), len(plan.columns)), plan.sweeps
    swept = []
    if pushes:
        seeds = jnp.asarray(np.arange(pushes)[:, None] == plan.columns, start.dtype)
        push = lambda s: jvp(flat, (start,), (s,))[1]  # noqa: E731
        swept.append(jax.vmap(push)(seeds).reshape(-1))
    if pulls:
        seeds = jnp.asarray(np.arange(pulls)[:, None] == plan.rows, dtype)
        pullback = vjp(flat, start)[1]
        swept.append(jax.vmap(lambda s: pullback(s)[0])(seeds).reshape(-1))
    if not swept:
        return jnp.zeros(0, start.dtype)
    width = np.where(plan.by_row, n, m).astype(np.int64)
    places = plan.colour * width + plan.line + np.where(plan.by_row, pushes * m, 0)
    return jnp.concatenate(swept)[places]


def _full(at: _Sparse):
    """Every entry, by the cheapest way to them all."""
    ((dense,),) = at.point.blocks()
    rows, columns = np.indices(at.shape)
    every = places_of(rows.reshape(-1), columns.reshape(-1), at.shape)
    return _bcoo(dense.reshape(-1), every)


def _probe(flat, start, found) -> None:
    """Raises where a random product says that the pattern lacks an entry."""
    if any(ir.is_tracer(v) for v in (start, found.data)):
        return
    rng = np.random.default_rng(0)
    seed = jnp.asarray(rng.uniform(0.5, 1.5, start.shape), start.dtype)
    wanted = np.asarray(jvp(flat, (start,), (seed,))[1])
    gap = np.abs(np.asarray(found @ seed) - wanted)
    if (gap > PROBE_TOLERANCE * (1 + np.abs(wanted).max(initial=0.0))).any():
        row = int(np.argmax(gap))
        raise InvalidArgument(
            f"`pattern` lacks an entry: a product with the Jacobian differs by "
            f"{gap[row]:.3g} in row {row}. Use jaxbp.sparse.pattern, or none."
        )
