"""Windows: pooling and its transposes."""

import functools

import numpy as np
from jax import lax
from jax.extend.core import primitives

from tests.rules.case import Case, distinct, fixed, normal

POOL = {
    "window_dimensions": (1, 2, 2, 1),
    "window_strides": (1, 2, 2, 1),
    "padding": ((0, 0), (0, 0), (0, 0), (0, 0)),
}
UNEVEN = {
    "window_dimensions": (1, 3, 2, 1),
    "window_strides": (1, 2, 1, 1),
    "padding": ((0, 0), (2, 1), (0, 1), (0, 0)),
}
LARGE = UNEVEN | {
    "window_dimensions": (1, 5, 4, 1),
    "base_dilation": (1, 2, 1, 1),
}  # more places than are shifted one by one
PADDED = POOL | {"padding": ((0, 0), (1, 2), (0, 1), (0, 0))}
STRETCHED = UNEVEN | {"base_dilation": (1, 2, 1, 1)}
DILATED = STRETCHED | {"window_dilation": (1, 2, 3, 1)}


def summed(windows):
    return lambda x: lax.reduce_window(x, np.zeros((), x.dtype), lax.add, **windows)


def extreme(operation, windows):
    neutral = -np.inf if operation is lax.max else np.inf
    return lambda x: lax.reduce_window(
        x, np.array(neutral, x.dtype), operation, **windows
    )


IMAGE = (normal(2, 6, 5, 1),)
ORDERED = (distinct(2, 6, 5, 1),)
ONES = {"base_dilation": (1, 1, 1, 1), "window_dilation": (1, 1, 1, 1)}
gather = functools.partial(
    primitives.select_and_gather_add_p.bind, select_prim=primitives.ge_p
)
scatter = functools.partial(
    primitives.select_and_scatter_add_p.bind, select_prim=primitives.ge_p
)

CASES = [
    Case("reduce_window_sum", summed(POOL), IMAGE, "tiles"),
    Case("reduce_window_sum", summed(PADDED), IMAGE, "padded", ("float", "complex")),
    Case("reduce_window_sum", summed(UNEVEN), IMAGE, "overlap"),
    Case("reduce_window_sum", summed(DILATED), IMAGE, "dilated"),
    Case("reduce_window_sum", summed(LARGE), IMAGE, "large"),
    Case("reduce_window_max", extreme(lax.max, POOL), ORDERED, "tiles"),
    Case("reduce_window_max", extreme(lax.max, UNEVEN), ORDERED, "overlap"),
    Case("reduce_window_max", extreme(lax.max, STRETCHED), ORDERED, "stretched"),
    Case("reduce_window_max", extreme(lax.max, LARGE), ORDERED, "large"),
    Case(
        "reduce_window_max",
        extreme(lax.max, UNEVEN),
        (fixed(np.ones((1, 4, 3, 1))),),
        "ties",
        differences=False,
        reason="at the tie itself",
    ),
    Case("reduce_window_min", extreme(lax.min, PADDED), ORDERED, "padded"),
    Case(
        "select_and_gather_add",
        lambda x: gather(x, lax.sin(7 * x), **UNEVEN, **ONES),
        ORDERED,
        differences=False,
        reason="sin(7 x) only orders the places; it carries no derivative",
    ),
    Case(
        "select_and_scatter_add",
        lambda y, x: scatter(y, x, **POOL),
        (normal(2, 3, 2, 1), distinct(2, 6, 5, 1)),
    ),
]
