"""The adjoint identity: <y_bar, J x_dot> = <J^T y_bar, x_dot> for any x_dot, y_bar.

It holds to rounding whatever f is, needs no reference and no step, and so tells
whether two modes are transposes of one another; not whether either is right.
"""

import numpy as np

from .closeness import inner, norm, wide


def adjoint_gap(y_bar, y_dot, x_bar, x_dot):
    """Both sides of the identity at a point.

    Args:
      y_bar, y_dot: lists of arrays by output leaf; y_dot = J x_dot.
      x_bar, x_dot: lists of arrays by input leaf; x_bar = J^T y_bar.

    Returns:
      (<y_bar, y_dot>, <x_bar, x_dot>, size): floats, summed in 64-bit. `size` is the
      root of the sum of the squares of all terms, to which rounding is relative.
    """
    left, left_size = _paired(y_bar, y_dot)
    right, right_size = _paired(x_bar, x_dot)
    return left, right, max(left_size, right_size)


def adjoint_sums(looks, forward, x_bar):
    """Both sides of the identity for the sum of the directions of `looks`.

    Args:
      looks: list of Look. forward: name of the forward mode among theirs.
      x_bar: list of arrays by leaf: the gradient by the same system's reverse mode.

    Returns:
      (<y_bar, J x_dot>, <x_bar, x_dot>, size): `size` as in `adjoint_gap`.
    """
    bars = [x_bar[look.probe.leaf] for look in looks]
    right, size = _paired(bars, [look.probe.direction for look in looks])
    return sum(look.forwards[forward][0] for look in looks), right, size


def _paired(bars, dots):
    """The pairing over all leaves and the 2-norm of its terms."""
    pairs = list(zip(bars, dots, strict=True))
    terms = [np.ravel(wide(bar) * wide(dot)) for bar, dot in pairs]
    total = sum(inner(bar, dot) for bar, dot in pairs)
    return total, norm(np.concatenate(terms or [np.zeros(0)]))
