"""ragged_dot_general: a dot product in which groups of rows meet matrices of their own.

Of x0 one axis is ragged: its first sizes[0] places belong to group 0, the next sizes[1]
to group 1, and so on. Beside batched (b), contracted (c) and kept (k) axes:

- rows: the ragged axis is kept; x1 has an axis of groups (g); y has b, k0, k1.
- sums: the ragged axis is contracted, group by group; y has g, b, k0, k1.

Pulled back, rows give rows by x0 and sums by x1; sums give rows by both. So both kinds
can be differentiated to any order.
"""

import functools

from jax import lax

from ..errors import MissingRule
from .contraction import as_operand, in_order_of, kept_axes
from .registry import bilinear


def _ragged(x0, x1, sizes, dot, ragged, groups, params):
    numbers = lax.RaggedDotDimensionNumbers(
        dot_dimension_numbers=dot,
        lhs_ragged_dimensions=[ragged],
        rhs_group_dimensions=groups,
    )
    return lax.ragged_dot_general(
        x0,
        x1,
        sizes,
        numbers,
        precision=params["precision"],
        preferred_element_type=params["preferred_element_type"],
    )


def _by_kind(transposes, y_bar, x0, x1, sizes, *, ragged_dot_dimension_numbers, **rest):
    numbers = ragged_dot_dimension_numbers
    (c0, c1), (b0, b1) = numbers.dot_dimension_numbers
    (ragged,) = numbers.lhs_ragged_dimensions
    if ragged in b0:
        raise MissingRule(
            "`ragged_dot_general` has no derivative when its ragged axis is a batch "
            "axis, here as in JAX. Repeat the matrices by group and use dot_general."
        )
    k0 = kept_axes(len(x0.shape), c0, b0)
    k1 = kept_axes(len(x1.shape), c1, b1, numbers.rhs_group_dimensions)
    groups = list(numbers.rhs_group_dimensions)
    axes = (c0, c1), (b0, b1), (k0, k1), ragged, groups
    transpose = transposes["sums" if ragged in c0 else "rows"]
    return transpose(y_bar, x0, x1, sizes, axes, rest)


def _output_axes(b0, k0, k1, first=0):
    """Places in y of the batched and of either operand's kept axes."""
    ends = first + len(b0), first + len(b0) + len(k0)
    batch, rows = list(range(first, ends[0])), list(range(*ends))
    return batch, rows, list(range(ends[1], ends[1] + len(k1)))


def _rows_left(y_bar, x0, x1, sizes, axes, params):
    (c0, c1), (b0, b1), (k0, k1), ragged, groups = axes
    batch, rows, columns = _output_axes(b0, k0, k1)
    dot = (columns, k1), (batch, b1)
    x_bar = _ragged(y_bar, x1, sizes, dot, rows[k0.index(ragged)], groups, params)
    return as_operand(x_bar, [*b0, *k0, *in_order_of(c0, c1)], x0)


def _rows_right(y_bar, x0, x1, sizes, axes, params):
    (c0, c1), (b0, b1), (k0, k1), ragged, groups = axes
    batch, rows, _ = _output_axes(b0, k0, k1)
    dot = (k0, rows), (b0, batch)
    x_bar = _ragged(x0, y_bar, sizes, dot, ragged, [], params)
    return as_operand(x_bar, [*groups, *b1, *in_order_of(c1, c0), *k1], x1)


def _sums_left(y_bar, x0, x1, sizes, axes, params):
    (c0, c1), (b0, b1), (k0, k1), ragged, _ = axes
    batch, _, columns = _output_axes(b0, k0, k1, first=1)
    partner = c1[list(c0).index(ragged)]
    dot = (k1, columns), (b1, batch)
    x_bar = _ragged(x1, y_bar, sizes, dot, partner, [0], params)
    return as_operand(x_bar, [*b0, *in_order_of(c0, c1), *k0], x0)


def _sums_right(y_bar, x0, x1, sizes, axes, params):
    (c0, c1), (b0, b1), (k0, k1), ragged, _ = axes
    batch, rows, _ = _output_axes(b0, k0, k1, first=1)
    dot = (k0, rows), (b0, batch)
    x_bar = _ragged(x0, y_bar, sizes, dot, ragged, [0], params)
    return as_operand(x_bar, [*b1, *in_order_of(c1, c0), *k1], x1)


bilinear(
    "ragged_dot_general",
    left=functools.partial(_by_kind, {"rows": _rows_left, "sums": _sums_left}),
    right=functools.partial(_by_kind, {"rows": _rows_right, "sums": _sums_right}),
)
