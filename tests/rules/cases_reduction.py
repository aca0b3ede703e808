"""Reductions and cumulative operations."""

import numpy as np
from jax import lax

from tests.rules.case import BOTH, Case, distinct, fixed, normal

CUBE = (normal(2, 3, 4),)
ORDERED = (distinct(2, 5),)
TIED = (fixed([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]),)
FACTORS = (fixed([[1.5, 0.0, 0.7, 2.0, 0.3], [0.0, 3.0, 0.0, 1.0, 2.0]]),)
AT_TIE = "at the tie itself"


def one(x):
    return np.ones((), x.dtype)


def log_mean(x, y):
    """Associative, and neither a sum nor a product."""
    return x + y + x * y


def paired(x, y):
    """The sums and the products of two arrays, reduced together."""

    def both(a, b):
        return a[0] + b[0], a[1] * b[1]

    return lax.reduce((x, y), (0 * one(x), one(x)), both, (0,))


def windows(x, **more):
    zero = np.zeros((), x.dtype)
    return lax.reduce_window(x, zero, log_mean, (2, 3), (1, 2), "SAME", **more)


def paired_windows(x, y):
    def larger(a, b):
        pairs = zip(a, b, strict=True)
        return tuple(lax.select(a[0] >= b[0], u, v) for u, v in pairs)

    start = (np.array(-np.inf, x.dtype), np.zeros((), x.dtype))
    return lax.reduce_window((x, y), start, larger, (2, 2), (1, 1), "VALID")


def cumulative(name, operation, args, variant="", **more):
    rows = [("", {"axis": 1}), ("-reverse", {"axis": 0, "reverse": True})]
    return [
        Case(name, lambda x, p=params: operation(x, **p), args, variant + tag, **more)
        for tag, params in rows
    ]


CASES = [
    Case("reduce_sum", lambda x: lax.reduce_sum(x, (0, 2)), CUBE, "", BOTH),
    Case("reduce_sum", lambda x: lax.reduce_sum(x, (0,)), (normal(0, 2),), "empty"),
    Case("reduce_max", lambda x: lax.reduce_max(x, (1,)), ORDERED),
    Case(
        "reduce_max",
        lambda x: lax.reduce_max(x, (1,)),
        TIED,
        "ties",
        differences=False,
        reason=AT_TIE,
    ),
    Case("reduce_min", lambda x: lax.reduce_min(x, (0, 1)), ORDERED),
    Case("reduce_prod", lambda x: lax.reduce_prod(x, (0, 2)), CUBE, "", BOTH),
    Case("reduce_prod", lambda x: lax.reduce_prod(x, (1,)), FACTORS, "zeros"),
    Case("reduce_prod", lambda x: lax.reduce_prod(x, (0,)), (normal(0, 2),), "empty"),
    Case("reduce_prod", lambda x: lax.reduce_prod(x, (0,)), (normal(1, 2),), "one"),
    Case("reduce", lambda x: lax.reduce(x, 0 * one(x), log_mean, (0, 2)), CUBE),
    Case("reduce", paired, (normal(5, 2), normal(5, 2)), "pair"),
    *cumulative("cumsum", lax.cumsum, CUBE, dtypes=BOTH),
    *cumulative("cumprod", lax.cumprod, CUBE),
    *cumulative("cumprod", lax.cumprod, FACTORS, "zeros"),
    *cumulative("cummax", lax.cummax, ORDERED),
    *cumulative("cummax", lax.cummax, TIED, "ties", differences=False, reason=AT_TIE),
    *cumulative("cummin", lax.cummin, ORDERED),
    *cumulative("cumlogsumexp", lax.cumlogsumexp, CUBE),
    Case(
        "reduce_window",
        windows,
        (normal(3, 5),),
        modes="forward",
        order=1,
        reason="JAX has no more; ours: tests/rules/test_beyond.py",
    ),
    Case(
        "reduce_window",
        lambda x: windows(x, base_dilation=(2, 1), window_dilation=(1, 2)),
        (normal(3, 5),),
        "dilated",
        modes="forward",
        order=1,
        reason="as above",
    ),
    Case(
        "reduce_window",
        paired_windows,
        (distinct(3, 4), normal(3, 4)),
        "pair",
        modes="forward",
        order=1,
        reason="as above",
    ),
]
