"""How far apart two derivatives are, and how far apart rounding may put them.

The measure is ADBench's |x - y| / max(1, |x| + |y|): relative for large numbers,
absolute for small ones. It is what a report shows. Being absolute below 1, it would
pass any wrong gradient of size 1e-8, so no verdict is taken from it: that asks for
agreement relative to the gradient itself, beside what rounding does to it (`rounding`).

Source: ADBench, docs/JacobianCheck.md; arXiv:1807.10129.
"""

import functools

import ml_dtypes
import numpy as np

FEW_DIGITS = 1e-4  # of types of 16 bits the epsilon is above


def closeness(x, y):
    """|x - y| / max(1, |x| + |y|), elementwise; NaN and equal infinities give 0
    where both sides have the same, infinity where they differ.

    Args:
      x, y: arrays of one shape, real or complex.

    Returns:
      float64 array of that shape.
    """
    x, y = wide(x), wide(y)
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(x - y) / np.maximum(1.0, np.abs(x) + np.abs(y))
    finite = np.isfinite(x) & np.isfinite(y)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    return np.where(finite, gap, np.where(same, 0.0, np.inf))


def largest_closeness(x, y):
    """The largest `closeness` of two arrays of one shape, and its index.

    Returns:
      (float, tuple of int); (0.0, ()) for arrays without elements.
    """
    gaps = closeness(x, y)
    if gaps.size == 0:
        return 0.0, ()
    index = np.unravel_index(int(np.argmax(gaps)), gaps.shape)
    return float(gaps[index]), tuple(int(i) for i in index)


def wide(x):
    """`x` on the host as float64, or complex128 if it is complex."""
    x = np.asarray(x)
    return x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)


def inner(x, y):
    """Re sum_i x_i y_i in 64-bit: the pairing of cotangents with tangents.

    Not conjugated, as in JAX, whose gradient of a real f(a + ib) is df/da - i df/db.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.real(np.sum(wide(x) * wide(y))))


@functools.cache
def epsilon(dtype):
    """Spacing of the numbers of `dtype` just above 1."""
    return float(ml_dtypes.finfo(dtype).eps)


@functools.cache
def quantum(dtype):
    """Spacing of the numbers of `dtype` around zero: its smallest subnormal."""
    return float(ml_dtypes.finfo(dtype).smallest_subnormal)


@functools.cache
def underflow(dtype):
    """What arithmetic on a CPU takes for zero: numbers below the smallest normal one of
    `dtype`, or of float32, in which coarser ones are computed."""
    wider = np.float64 if epsilon(dtype) <= epsilon(np.float64) else np.float32
    return float(ml_dtypes.finfo(wider).smallest_normal)


@functools.cache
def largest_number(dtype):
    """The largest finite number of `dtype`."""
    return float(ml_dtypes.finfo(dtype).max)


def norm(terms):
    """The 2-norm of an array of any shape, safe from overflow; 0 of none."""
    sizes = np.abs(terms)
    most = float(sizes.max(initial=0.0))
    if not 0 < most < np.inf:
        return most
    return most * float(np.sqrt(np.sum((sizes / most) ** 2)))


def rtol(dtype):
    """Relative disagreement that rounding explains between two exact derivatives.

    2 eps^(2/3): 7e-11 in float64, 5e-5 in float32, 8e-2 in bfloat16. Two programs for
    one derivative differ by eps times their condition number; a wrong rule is wrong by
    far more than eps^(2/3).
    """
    return 2 * epsilon(dtype) ** (2 / 3)


def difference_rtol(dtype):
    """Relative disagreement allowed to central differences, beside their own noise.

    eps^(3/5), three quarters of an extrapolated difference's accuracy of eps^(4/5) in
    digits: 4e-10 in float64, 7e-5 in float32. At least 16 eps, 0.12 in bfloat16.
    """
    return max(epsilon(dtype) ** (3 / 5), 16 * epsilon(dtype))
