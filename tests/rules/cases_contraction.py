"""Dot products and convolutions."""

import numpy as np
from jax import lax

from tests.rules.case import BOTH, REAL, Case, normal


def dot(contract, batch=((), ()), **params):
    return lambda x, y: lax.dot_general(x, y, (contract, batch), **params)


def conv(numbers=("NCHW", "OIHW", "NCHW"), strides=(1, 1), padding="VALID", **params):
    return lambda x, y: lax.conv_general_dilated(
        x, y, strides, padding, dimension_numbers=numbers, **params
    )


def convolved(variant, call, image, kernel, dtypes=REAL):
    args = (normal(*image), normal(*kernel))
    return Case("conv_general_dilated", call, args, variant, dtypes)


LEADING = "JAX batches leading axes only, and cannot transpose its own transpose"
SIZES = np.array([2, 0, 3], np.int32)  # of the six rows the last is in no group
ROWS = lax.RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), [0], [0])
BATCHED_ROWS = lax.RaggedDotDimensionNumbers((((2,), (2,)), ((0,), (1,))), [1], [0])
SUMS = lax.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), [0], [])


def ragged(numbers, sizes=SIZES):
    return lambda x, y: lax.ragged_dot_general(x, y, sizes, numbers)


CASES = [
    Case("dot_general", dot(((1,), (0,))), (normal(2, 3), normal(3, 4)), "", BOTH),
    Case("dot_general", dot(((), ())), (normal(2), normal(3)), "outer"),
    Case("dot_general", dot(((0,), (0,))), (normal(3), normal(3)), "inner"),
    Case("dot_general", dot(((1,), (0,))), (normal(2, 0), normal(0, 4)), "empty"),
    Case(
        "dot_general",
        dot(((3, 1), (0, 2)), ((0,), (3,))),
        (normal(2, 3, 5, 4), normal(4, 5, 3, 2)),
        "crossed",
    ),
    Case("dot_general", lambda x: dot(((1,), (1,)))(x, x), (normal(2, 3),), "square"),
    Case(
        "dot_general",
        dot(((1,), (0,)), preferred_element_type=np.float64),
        (normal(2, 3), normal(3, 4)),
        "wider",
    ),
    Case(
        "dot_general",
        lambda x, y: dot(((1,), (0,)))(x.astype(np.float32), y),
        (normal(2, 3), normal(3, 4)),
        "mixed",
        rtol=1e-6,
        differences=False,
        reason="one operand is float32",
    ),
    convolved("plain", conv(), (2, 3, 5, 4), (2, 3, 2, 3), BOTH),
    convolved("same", conv(padding="SAME", strides=(2, 1)), (1, 2, 5, 4), (3, 2, 3, 2)),
    convolved(
        "dilated",
        conv(
            padding=((1, 2), (0, -1)),
            strides=(2, 1),
            lhs_dilation=(1, 2),
            rhs_dilation=(2, 1),
        ),
        (1, 2, 5, 4),
        (3, 2, 2, 3),
    ),
    convolved(
        "channels-last",
        conv(("NHWC", "HWIO", "NHWC"), padding="SAME"),
        (2, 4, 5, 3),
        (3, 2, 3, 2),
    ),
    convolved("groups", conv(feature_group_count=2), (1, 4, 4, 3), (6, 2, 2, 2), BOTH),
    convolved("depthwise", conv(feature_group_count=3), (2, 3, 4, 3), (3, 1, 2, 2)),
    convolved("batch-groups", conv(batch_group_count=2), (4, 3, 4, 3), (6, 3, 2, 2)),
    convolved(
        "scattered-axes",
        conv(("CHWN", "WOHI", "HNCW"), strides=(1, 2)),
        (2, 5, 4, 1),
        (2, 3, 2, 2),
    ),
    convolved(
        "line",
        conv(("NCH", "OIH", "NCH"), (3,), ((2, 1),)),
        (2, 2, 7),
        (2, 2, 2),
    ),
    Case(
        "ragged_dot_general",
        ragged(ROWS),
        (normal(6, 4), normal(3, 4, 2)),
        "rows",
        vmap=False,
        order=1,
        reason=LEADING,
    ),
    Case(
        "ragged_dot_general",
        ragged(BATCHED_ROWS, np.stack([SIZES, SIZES])),
        (normal(2, 6, 4), normal(3, 2, 4, 2)),
        "batch",
        vmap=False,
        order=1,
        reason=LEADING,
    ),
    Case(
        "ragged_dot_general",
        ragged(SUMS),
        (normal(6, 4), normal(6, 2)),
        "sums",
        vmap=False,
        modes="forward",
        reason="JAX has no reverse mode through it; ours: tests/rules/test_beyond.py",
    ),
]
