"""Moves of elements: shape, order, indexing, gathering and scattering, sorting."""

import math

from tests.fuzz.domains import ANY, APART
from tests.fuzz.scope import BOTH, FLOATS, INTEGERS, REAL, WIDE


def ranked(least, dtypes=FLOATS, nonempty=False):
    """Draws a value with at least so many axes."""

    def fits(v):
        return v.ndim >= least and (v.size > 0 or not nonempty)

    return lambda scope: scope.value(ANY, dtypes, fits)


matrix, vector = ranked(2), ranked(1)
filled = ranked(1, nonempty=True)


def axis(scope, x):
    return scope.int(0, x.ndim - 1)


def transpose(scope):
    x = matrix(scope)
    *before, row, column = range(x.ndim)
    turned = (column, *before, row), (*before, column, row)
    orders = [(1, 0), (0, 1)] if x.ndim == 2 else turned
    return f"lax.transpose({x}, {scope.of(orders)})"


def reshape(scope):
    x = scope.value()
    shapes = [(x.size,), (1, x.size), (x.size, 1), (2, -1), (-1, 3), (1, -1, 2)]
    fitting = [s for s in shapes if divides(s, x.size)]
    if x.size == 1:
        fitting.append(())
    return f"lax.reshape({x}, {tuple(whole(scope.of(fitting), x.size))})"


def divides(shape, size):
    known = math.prod(n for n in shape if n >= 0)
    return size % known == 0 if -1 in shape and known else known == size


def whole(shape, size):
    known = math.prod(n for n in shape if n >= 0)
    return [size // known if n == -1 else n for n in shape]


def broadcast(scope):
    x = scope.value(fits=lambda v: v.ndim <= 2)
    new = scope.of([1, 2, 0])
    if scope.of([True, False]):
        return f"lax.broadcast({x}, ({new},))"
    shape, kept = (*x.shape, new), tuple(range(x.ndim))
    return f"lax.broadcast_in_dim({x}, {shape}, {kept})"


def expand(scope):
    x = scope.value(fits=lambda v: v.ndim <= 2)
    return f"lax.expand_dims({x}, ({scope.int(0, x.ndim)},))"


def squeeze(scope):
    x = scope.value(fits=lambda v: 1 in v.shape)
    return f"lax.squeeze({x}, ({x.shape.index(1)},))"


def rev(scope):
    x = vector(scope)
    return f"lax.rev({x}, ({axis(scope, x)},))"


def concatenate(scope):
    x = vector(scope)
    y = scope.value(fits=lambda v: v.like(x))
    return f"lax.concatenate([{x}, {y}], {axis(scope, x)})"


def stack(scope):
    x = scope.value(fits=lambda v: v.ndim <= 2)
    y = scope.value(fits=lambda v: v.like(x))
    return f"jnp.stack([{x}, {y}], {scope.int(0, x.ndim)})"


def split(scope):
    x = scope.value(fits=lambda v: v.ndim >= 1 and v.shape[-1] >= 2)
    first = scope.int(1, x.shape[-1] - 1)
    return f"lax.split({x}, ({first}, {x.shape[-1] - first}), {x.ndim - 1})"


def pad(scope):
    x = vector(scope)
    sides = [(0, 0, 0)] * x.ndim
    sides[axis(scope, x)] = scope.of([(1, 0, 0), (0, 1, 1), (-1, 2, 0), (1, -1, 1)])
    return f"lax.pad({x}, jnp.zeros((), {x}.dtype), {sides})"


def tile(scope):
    x = vector(scope)
    return scope.of([f"jnp.tile({x}, 2)", f"jnp.repeat({x}, 2, axis=0)"])


def slice_(scope):
    x = filled(scope)
    a, size = axis(scope, x), 0
    size = x.shape[a]
    start = scope.int(0, size - 1)
    return (
        f"lax.slice_in_dim({x}, {start}, {scope.int(start, size)}, "
        f"{scope.of([1, 2])}, {a})"
    )


def element(scope):
    x = filled(scope)
    return f"{x}[{scope.int(-x.shape[0], x.shape[0] - 1)}]"


def diagonal(scope):
    x = matrix(scope)
    return scope.of([f"jnp.diagonal({x})", f"jnp.triu({x})", f"jnp.tril({x}, -1)"])


def roll(scope):
    x = filled(scope)
    return f"jnp.roll({x}, {scope.of([1, -1])}, {axis(scope, x)})"


MOVES = [
    transpose,
    reshape,
    broadcast,
    expand,
    squeeze,
    rev,
    concatenate,
    stack,
    split,
    pad,
    tile,
    slice_,
    element,
    diagonal,
    roll,
]


# Places that are computed ---------------------------------------------------------


def places(scope, count=None):
    """Integers in scope, of any rank: JAX clips them or fills what is outside."""
    return scope.value(ANY, INTEGERS, lambda i: i.ndim <= 1)


def take(scope):
    x, i = filled(scope), places(scope)
    mode = scope.of(["clip", "wrap"])
    return f"jnp.take({x}, {i}, axis={axis(scope, x)}, mode={mode!r})"


def index(scope):
    """At places inside: outside JAX's modes give different derivatives of `x[i]`."""
    x = filled(scope)
    inside = lambda i: i.ndim <= 1 and (i.array < x.shape[0]).all()  # noqa: E731
    return f"{x}[{scope.value(ANY, INTEGERS, inside)}]"


def along(scope):
    x = scope.value(dtypes=BOTH, fits=lambda v: v.ndim == 1 and v.size > 0)
    i = scope.value(ANY, INTEGERS, lambda i: i.ndim == 1)
    return f"jnp.take_along_axis({x}, {i}, 0, mode='clip')"


def put(scope):
    x, i = filled(scope), scope.value(ANY, INTEGERS, lambda i: i.ndim == 0)
    y = scope.value(fits=lambda v: v.dtype == x.dtype and v.shape == x.shape[1:])
    call = scope.of(["add", "set", "multiply"])
    return f"{x}.at[{i}].{call}({y}, unique_indices=True)"


def scatter_rows(scope):
    """Onto repeated places, where each must add its part."""
    x = filled(scope)
    i = scope.value(ANY, INTEGERS, lambda i: i.ndim == 1 and i.size > 0)
    rows = i.size
    y = scope.value(
        fits=lambda v: v.dtype == x.dtype and v.shape == (rows, *x.shape[1:])
    )
    mode = scope.of(["'clip'", "'drop'"])
    return f"{x}.at[{i}].add({y}, mode={mode})"


def scatter_choice(scope):
    """The larger one of two that are never near each other."""
    x = scope.value(dtypes=REAL, fits=lambda v: v.ndim >= 1 and v.size > 0)
    i = scope.value(ANY, INTEGERS, lambda i: i.ndim == 0)
    call = scope.of(["max", "min"])
    sign = scope.of(["+", "-"])
    return f"{x}.at[{i}].{call}({x}[0] * 0.1 {sign} 99.0)"


def segments(scope):
    x = filled(scope)
    i = scope.value(ANY, INTEGERS, lambda i: i.shape == x.shape[:1])
    return f"jax.ops.segment_sum({x}, {i}, num_segments=2)"


def dynamic_slice(scope):
    x = filled(scope)
    i = scope.value(ANY, INTEGERS, lambda i: i.ndim == 0)
    a = axis(scope, x)
    return f"lax.dynamic_slice_in_dim({x}, {i}, {scope.int(1, x.shape[a])}, {a})"


def dynamic_index(scope):
    x = filled(scope)
    i = scope.value(ANY, INTEGERS, lambda i: i.ndim == 0)
    kept = scope.of([True, False])
    return f"lax.dynamic_index_in_dim({x}, {i}, {axis(scope, x)}, keepdims={kept})"


def dynamic_update(scope):
    x = filled(scope)
    i = scope.value(ANY, INTEGERS, lambda i: i.ndim == 0)
    y = scope.value(
        fits=lambda v: (
            v.dtype == x.dtype
            and v.ndim == x.ndim
            and v.size > 0
            and all(a <= b for a, b in zip(v.shape, x.shape, strict=True))
        )
    )
    starts = ", ".join([str(i)] * x.ndim)
    return f"lax.dynamic_update_slice({x}, {y}, ({starts},))"


PLACES = [
    take,
    index,
    along,
    put,
    scatter_rows,
    scatter_choice,
    segments,
    dynamic_slice,
    dynamic_index,
    dynamic_update,
]


# Order ----------------------------------------------------------------------------


def spread(scope, least=1):
    """Real numbers no two of which are near each other."""
    return scope.value(APART, WIDE, lambda v: v.ndim >= least and v.size > 0)


def sort(scope):
    x = spread(scope)
    return f"lax.sort({x}, dimension={axis(scope, x)})"


def sort_with(scope):
    x = spread(scope)
    y = scope.value(fits=lambda v: v.shape == x.shape)
    return f"lax.sort(({x}, {y}), dimension={axis(scope, x)}, num_keys=1)"


def top_k(scope):
    x = spread(scope)
    return f"lax.top_k({x}, {scope.int(1, x.shape[-1])})"


def order(scope):
    x = spread(scope)
    a = axis(scope, x)
    return scope.of(
        [
            f"jnp.argsort({x}, axis={a}).astype(np.int32)",
            f"lax.argmax({x}, {a}, np.int32)",
            f"lax.argmin({x}, {a}, np.int32)",
        ]
    )


def median(scope):
    x = spread(scope)
    return scope.of([f"jnp.median({x})", f"jnp.percentile({x}, 30.0)"])


ORDER = [sort, sort_with, top_k, order, median]
