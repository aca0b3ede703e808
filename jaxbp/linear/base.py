"""Linear maps: the derivative of one equation at a point.

A map is *static*: it holds shapes, parameters and functions, never arrays. The arrays
it needs, its residuals, are handed to `push` and `pull`, so that bytes on the tape are
a sum, and a linear program is a pytree. `push` carries tangents forward, `pull`
cotangents back; the two are transposes of one another:
<y_bar, push(x_dot)> = <pull(y_bar), x_dot>, without complex conjugation, as in JAX.

Beside these two a map answers what it is: `labels` and `coefficient` say which axes of
input and output are one, and what is multiplied on the way; `selection` from which
element each element comes; `opened` which linear program is inside. What answers none
of these is an operator, known by its two directions alone.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jax import lax
from jax.extend.core.primitives import add_jaxvals_p

from .. import ir
from .labels import OPERATOR, Form, Labels, Selection, numbered


class LinearMap:
    """A linear map from a list of tangents to a list of tangents.

    In a list, None stands for zero; of what is given at least one is not None. A map is
    equal to, and hashed as, one that does the same: `jax.jit` finds a pullback again.
    """

    __slots__ = ()
    form: Form = OPERATOR
    waits: Any = False  # `pull_steps` does a loop's pulls at once

    def push(self, residuals: Sequence, x_dots: list) -> list:
        """One tangent per output, from one per input."""
        raise NotImplementedError

    def pull(self, residuals: Sequence, y_bars: list) -> list:
        """One cotangent per input, from one per output."""
        raise NotImplementedError

    def pull_onto(self, residuals: Sequence, y_bars: list, x_bars: list) -> list:
        """What the pull adds up to with what stands at the inputs already."""
        found = self.pull(residuals, y_bars)
        return [add(x, new) for x, new in zip(x_bars, found, strict=True)]

    def pull_steps(self, residuals: Sequence, y_bar):
        """The sum of the pulls of many steps, one after the other along axis 0 of
        `y_bar` and of the residuals; where `waits`."""
        raise NotImplementedError

    def labels(self, x, y, residuals: Sequence) -> Labels | None:
        """Which axes are one, for the types `x` and `y`; None: it has no labels."""
        return None

    def coefficient(self, residuals: Sequence) -> Any:
        """The number or array that is multiplied, with the axes that `labels` says."""
        return None

    def selection(self, residuals: Sequence, x, y) -> Selection | None:
        """From where each element comes, where elements move unchanged; None also where
        there are more than can be numbered."""
        return None

    def opened(self, residuals: Sequence):
        """The linear program inside, with its tape; None where there is none."""
        return None

    def narrowed(self, edge: "Edge", needed) -> "Edge":
        """This map's edge without what only outputs outside `needed` ask for."""
        return edge


class SimpleMap(LinearMap):
    """A map of one input and one output: `push_one`, `pull_one` are of arrays."""

    __slots__ = ()

    def push(self, residuals, x_dots):
        return [self.push_one(residuals, x_dots[0])]

    def pull(self, residuals, y_bars):
        return [self.pull_one(residuals, y_bars[0])]

    def pull_onto(self, residuals, y_bars, x_bars):
        found = self.pull_one(residuals, y_bars[0])
        return [found if x_bars[0] is None else add(x_bars[0], found)]

    def selection(self, residuals, x, y):
        if self.form.kind != "moves":
            return None
        scatters = self.form.scatters
        apply = self.pull_one if scatters else self.push_one
        table = numbered(lambda given: apply(residuals, given), y if scatters else x)
        return None if table is None else Selection(table, scatters)

    def push_one(self, residuals: Sequence, x_dot):
        raise NotImplementedError

    def pull_one(self, residuals: Sequence, y_bar):
        raise NotImplementedError


class Params(Mapping):
    """A primitive's parameters as a hashable mapping."""

    __slots__ = ("_items", "_hash")

    def __init__(self, items: dict):
        self._items = items
        self._hash = None

    def __getitem__(self, key):
        return self._items[key]

    def __iter__(self):
        return iter(self._items)

    def __len__(self):
        return len(self._items)

    def __hash__(self):
        if self._hash is None:
            self._hash = hash(tuple((k, _hash(v)) for k, v in self._items.items()))
        return self._hash

    def __eq__(self, other):
        return self is other or (
            isinstance(other, Params) and self._items == other._items
        )

    def __repr__(self):
        return repr(self._items)


def _hash(value: Any) -> int:
    try:
        return hash(value)
    except TypeError:  # a list or a dict of options: equality decides
        return hash(type(value))


class Edge(NamedTuple):
    """A linear map in its place: between slots of a program.

    While recorded, `residuals` holds the arrays; in a finished program, their places on
    the tape. `instead` is a map, and the arrays that it holds, that does the same: it
    is taken where these arrays are held anyway (`program.settled`), else dropped.
    """

    map: LinearMap
    residuals: tuple
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    origin: ir.Origin | None = None
    instead: "tuple[LinearMap, tuple] | None" = None


def add(x, y):
    """The sum of two tangents or cotangents; None is zero."""
    if x is None:
        return y
    return x if y is None else add_jaxvals_p.bind(x, y)


def unbroadcast(y_bar, shape: tuple[int, ...]):
    """Sums `y_bar` over the axes along which `shape` was broadcast to it."""
    if y_bar.shape == shape:
        return y_bar
    if not shape:
        return total(y_bar, tuple(range(y_bar.ndim)))
    pairs = enumerate(zip(y_bar.shape, shape, strict=True))
    axes = tuple(i for i, (long, short) in pairs if long != short)
    return lax.reshape(total(y_bar, axes), shape)


FEW_TERMS = 4  # that are added one by one


def total(x, axes: tuple[int, ...]):
    """The sum along axes.

    A few terms are added one by one: XLA for CPUs has a library for reductions, whose
    operands are arrays first, and which takes ten times as long where several sums of
    few terms meet in one kernel. Not the rows of a matrix: all that is done to a column
    would go into that kernel, and the program take a third longer to compile.
    """
    few = len(axes) == 1 and 1 < x.shape[axes[0]] <= FEW_TERMS
    rows = x.ndim <= 2 and axes[-1] == x.ndim - 1
    if not few or rows or ir.placed(ir.typeof(x)):
        return lax.reduce_sum(x, axes)
    terms = range(x.shape[axes[0]])
    parts = [lax.index_in_dim(x, i, axes[0], keepdims=False) for i in terms]
    return functools.reduce(lax.add, parts)


def broadcast(x_dot, shape: tuple[int, ...]):
    """Broadcasts a scalar, or axes of length 1, to `shape`."""
    if x_dot.shape == shape:
        return x_dot
    axes = tuple(range(len(shape))) if x_dot.ndim else ()
    return lax.broadcast_in_dim(x_dot, shape, axes)


def filled(values, avals) -> list:
    """Zeros become arrays: `values` with None replaced by zeros of its type."""
    return [
        ir.zeros(ir.tangent_aval(a)) if v is None else v
        for v, a in zip(values, avals, strict=True)
    ]
