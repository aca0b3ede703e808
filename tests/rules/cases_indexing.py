"""Slices, gathers and scatters at computed places; sorting."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.rules.case import BOTH, Case, distinct, fixed, normal

MODES = ("clip", "fill", "promise_in_bounds")
ROWS = (normal(5, 3),)
ONE, TWO = np.array([1], np.int32), np.array([1, 3], np.int32)
REPEATED = np.array([[0], [3], [0], [4]], np.int32)
OUTSIDE = np.array([[0], [7], [-2], [4]], np.int32)
WHOLE_ROWS = lax.GatherDimensionNumbers((1,), (0,), (0,))
INTO_ROWS = lax.ScatterDimensionNumbers((1,), (0,), (0,))
BATCHED = lax.GatherDimensionNumbers((), (1,), (1,), (0,), (0,))
INTO_BATCH = lax.ScatterDimensionNumbers((), (1,), (1,), (0,), (0,))
BATCH_PLACES = np.array([[[2], [0]], [[2], [1]]], np.int32)  # (batch, place, 1)
WINDOWS = lax.GatherDimensionNumbers((1, 2), (), (0, 1))
CORNERS = np.array([[0, 1], [2, 0]], np.int32)
INTO_WINDOWS = lax.ScatterDimensionNumbers((1, 2), (), (0, 1))
FILL = ("fill",)  # with "clip", JAX's rule for extremes divides by 0 outside


def starts(*places):
    return [np.array(place, np.int32) for place in places]


def rows(x, places, mode):
    return lax.gather(x, places, WHOLE_ROWS, (1, 3), mode=mode)


def scattered(operation, places, numbers=INTO_ROWS, **more):
    return lambda x, updates: operation(x, places, updates, numbers, **more)


def scatters(name, operation, modes=("clip", "fill"), **more):
    """A scatter in all modes of bounds, onto repeated places, windows and batches."""
    pair = (distinct(5, 3), normal(4, 3))
    return [
        *[
            Case(name, scattered(operation, OUTSIDE, mode=mode), pair, mode, **more)
            for mode in modes
        ],
        Case(name, scattered(operation, REPEATED), pair, "repeated", **more),
        Case(
            name,
            scattered(operation, CORNERS, INTO_WINDOWS),
            (distinct(5, 3), normal(2, 2, 2)),
            "windows",
            **more,
        ),
        Case(
            name,
            scattered(operation, BATCH_PLACES, INTO_BATCH),
            (distinct(2, 3), normal(2, 2)),
            "batch",
            **more,
        ),
    ]


def once(name, operation, dtypes=("float",)):
    """A scatter whose places are promised to be written once."""
    places = np.array([[3], [0]], np.int32)
    call = scattered(operation, places, unique_indices=True, indices_are_sorted=False)
    return Case(name, call, (normal(5, 3), normal(2, 3)), "once", dtypes)


def overwritten(x, row):
    return lax.scatter(
        x, np.array([2], np.int32), row, lax.ScatterDimensionNumbers((0,), (0,), (0,))
    )


def sorted_pair(x, y):
    return lax.sort(
        (x, y, jnp.arange(5, dtype=np.int32)[:, None] * jnp.ones((1, 3), np.int32)),
        dimension=0,
        num_keys=1,
    )


def by_two_keys(x, y):
    return lax.sort((lax.floor(x), y), dimension=0, num_keys=2)


CASES = [
    Case(
        "dynamic_slice",
        lambda x: lax.dynamic_slice(x, starts(1, 2), (3, 1)),
        ROWS,
        "",
        BOTH,
    ),
    Case(
        "dynamic_slice",
        lambda x: lax.dynamic_slice(x, starts(4, -1), (3, 1)),
        ROWS,
        "clamped",
    ),
    Case(
        "dynamic_update_slice",
        lambda x, y: lax.dynamic_update_slice(x, y, starts(4, 1)),
        (normal(5, 3), normal(2, 2)),
    ),
    Case(
        "dynamic_update_slice",
        lambda y: lax.dynamic_update_slice(jnp.ones((5, 3), y.dtype), y, starts(1, 0)),
        (normal(2, 2),),
        "update-alone",
    ),
    *[
        Case("gather", lambda x, m=mode: rows(x, REPEATED, m), ROWS, mode)
        for mode in MODES
    ],
    Case("gather", lambda x: rows(x, OUTSIDE, "clip"), ROWS, "outside-clip"),
    Case(
        "gather",
        lambda x: rows(x, OUTSIDE, "fill"),
        ROWS,
        "outside-fill",
        order=1,
        differences=False,
        reason="values outside are NaN, which a second order multiplies with",
    ),
    Case(
        "gather",
        lambda x: lax.gather(x, BATCH_PLACES, BATCHED, (1, 1)),
        (normal(2, 3),),
        "batch",
    ),
    Case(
        "gather",
        lambda x: lax.gather(x, CORNERS, WINDOWS, (2, 2)),
        ROWS,
        "windows",
        BOTH,
    ),
    *scatters("scatter", lax.scatter),
    once("scatter", lax.scatter, BOTH),
    Case("scatter", overwritten, (normal(5, 3), normal(3)), "one-place"),
    Case(
        "scatter",
        lambda u: lax.scatter(jnp.ones((5, 3), u.dtype), REPEATED, u, INTO_ROWS),
        (normal(4, 3),),
        "updates-alone",
    ),
    *scatters("scatter-add", lax.scatter_add),
    once("scatter-add", lax.scatter_add, BOTH),
    *scatters("scatter-sub", lax.scatter_sub),
    once("scatter-mul", lax.scatter_mul),
    Case(
        "scatter-mul",
        lambda x: lax.scatter_mul(
            x, REPEATED, jnp.full((4, 3), 1.5, x.dtype), INTO_ROWS
        ),
        ROWS,
        "repeated",
    ),
    *scatters("scatter-max", lax.scatter_max, FILL),
    *scatters("scatter-min", lax.scatter_min, FILL),
    Case(
        "scatter-max",
        scattered(lax.scatter_max, REPEATED),
        (
            fixed([[1.0], [2.0], [3.0], [4.0], [5.0]]),
            fixed([[1.0], [4.0], [1.0], [6.0]]),
        ),
        "ties",
        differences=False,
        reason="at the tie itself",
    ),
    Case("sort", lambda x: lax.sort(x, dimension=0), (distinct(5, 3),)),
    Case(
        "sort",
        lambda x: lax.sort(x, dimension=1, is_stable=False),
        (distinct(5, 3),),
        "unstable",
    ),
    Case("sort", sorted_pair, (distinct(5, 3), normal(5, 3)), "pair"),
    Case("sort", by_two_keys, (distinct(5, 3), distinct(5, 3)), "two-keys"),
    Case("top_k", lambda x: lax.top_k(x, 2), (distinct(3, 5),)),
    Case("top_k", lambda x: lax.top_k(x, 2, axis=0), (distinct(3, 5),), "axis"),
    Case("approx_top_k", lambda x: lax.approx_max_k(x, 2), (distinct(3, 5),)),
    Case(
        "approx_top_k",
        lambda x: lax.approx_min_k(x, 2, reduction_dimension=0),
        (distinct(3, 5),),
        "least",
    ),
]
