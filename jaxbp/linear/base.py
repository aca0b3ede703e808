"""Linear maps: the derivative of one equation at a point.

A map is *static*: it holds shapes, parameters and functions, never arrays. The arrays
it needs, its residuals, are handed to `push` and `pull`, so that bytes on the tape are
a sum, and a linear program is a pytree. `push` carries a tangent forward, `pull` a
cotangent back; the two are transposes of one another:
<y_bar, push(x_dot)> = <pull(y_bar), x_dot>, without complex conjugation, as in JAX.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jax import lax
from jax.extend.core.primitives import add_jaxvals_p

from .. import ir


class LinearMap:
    """One input, one output. Subclasses with `many = True` take and give lists.

    With `many`, `push` gets one tangent per input (None for zero) and gives one per
    output (None for zero); `pull` the other way round.
    """

    __slots__ = ()
    many = False
    kind = "linear"

    def push(self, residuals, x_dot):
        raise NotImplementedError

    def pull(self, residuals, y_bar):
        raise NotImplementedError

    def narrowed(self, edge: "Edge", needed) -> "Edge":
        """This map's edge without what only outputs outside `needed` ask for."""
        return edge


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
    the tape.
    """

    map: LinearMap
    residuals: tuple
    ins: tuple[int, ...]
    outs: tuple[int, ...]


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
        return lax.reduce_sum(y_bar, tuple(range(y_bar.ndim)))
    pairs = enumerate(zip(y_bar.shape, shape, strict=True))
    axes = tuple(i for i, (long, short) in pairs if long != short)
    return lax.reshape(lax.reduce_sum(y_bar, axes), shape)


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
