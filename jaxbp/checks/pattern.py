"""What a wrong gradient is to the right one: the usual mistakes, by their names."""

from fractions import Fraction

import numpy as np

from .closeness import wide

TOLD = 20  # times its error: so large is an element of which a pattern is known


def pattern(wrong, right, error, x, lengths):
    """In a few words how `wrong` comes from `right`; empty if by no usual mistake.

    Args:
      wrong, right: arrays of one shape. error: array of it, of `right`.
      x: the leaf, of that shape.
      lengths: lengths of axes in f's arguments, one of which a mean may divide by.
    """
    wrong, right = wide(wrong), wide(right)
    if not (np.isfinite(wrong).all() and np.isfinite(right).all()):
        return ""
    said = _of_all(wrong, right, error, lengths)
    silent = _silent(wrong, right, error)
    if said and silent.any():
        return f"{said} That holds of the elements that rounding lets tell."
    return said or ("" if silent.any() else _where_wrong(wrong, right, error, x))


def _silent(wrong, right, error):
    """Elements that may be right or wrong, by the error."""
    untold = np.maximum(np.abs(right), np.abs(wrong)) <= TOLD * error
    return untold & ((wrong != 0) | (right != 0))


def _of_all(wrong, right, error, lengths):
    """A pattern that holds of all elements."""
    same = lambda a, b: bool(np.all(np.abs(a - b) <= error))  # noqa: E731
    # What is the same to rounding as the right one is no mistake of it.
    mistaken = lambda a: same(wrong, a) and not same(right, a)  # noqa: E731
    if not np.any(wrong):
        return "It is zero: a term or an argument was dropped."
    ratio = _constant_ratio(wrong, right, error)
    if ratio is not None:
        return _named_ratio(ratio, lengths)
    if np.iscomplexobj(right) and mistaken(right.conj()):
        return "It is the conjugate of the right one."
    square = right.ndim == 2 and right.shape[0] == right.shape[1]
    if square and mistaken(right.T):
        return "It is the right one transposed."
    for axis, length in enumerate(right.shape):
        for shift in (1, -1) if length > 1 else ():
            if mistaken(np.roll(right, shift, axis)):
                return f"It is the right one shifted by {shift} along axis {axis}."
    return ""


def _constant_ratio(wrong, right, error):
    """The one number that `wrong` is times `right`; None if there is none."""
    at = np.argmax(np.abs(right))
    largest = right.ravel()[at] if right.size else 0
    if largest == 0 or right.size < 1 or abs(largest) <= 4 * error.ravel()[at]:
        return None
    ratio = wrong.ravel()[at] / largest
    if abs(np.imag(ratio)) > 1e-9 * abs(ratio):
        return None
    telling = np.abs(right) > TOLD * error
    silent = ~telling & ((wrong != 0) | (right != 0))
    if telling.sum() < 2 and silent.any():  # one element has any ratio
        return None
    ratio = float(np.real(ratio))
    if abs(ratio - 1) < 1e-6:  # what differs is among the silent
        return None
    allowed = (1 + abs(ratio)) * error
    return ratio if np.all(np.abs(wrong - ratio * right) <= allowed) else None


def _named_ratio(ratio, lengths):
    near = Fraction(ratio).limit_denominator(1000)
    if near and abs(ratio / float(near) - 1) < 1e-6:
        ratio = float(near)
    if ratio == -1:
        return "It is the right one with its sign turned."
    said = f"It is {ratio:.6g} times the right one"
    for n in sorted(set(lengths)):
        if n > 1 and abs(ratio / n - 1) < 1e-4:
            return f"{said}: a sum over {n} where f takes the mean?"
        if n > 2 and abs(ratio * n - 1) < 1e-4:
            return f"{said}: a mean over {n} where f takes the sum?"
    return said + "."


def _where_wrong(wrong, right, error, x):
    """Which elements alone are wrong: one row, one column, one sign of x."""
    bad = np.abs(wrong - right) > error
    if bad.all() or not bad.any():
        return ""
    for axis in range(bad.ndim) if bad.sum() > 1 else ():
        others = tuple(i for i in range(bad.ndim) if i != axis)
        lines = np.flatnonzero(bad.any(axis=others))
        if len(lines) == 1 and bad.shape[axis] > 1 and bad.ndim > 1:
            return (
                f"Only its entries with index {lines[0]} along axis {axis} are wrong."
            )
    if np.iscomplexobj(x):
        return ""
    for sign, side in (("<", wide(x) < 0), (">", wide(x) > 0)):
        if (
            np.array_equal(bad, side & (np.abs(right - wrong) > error))
            and not side.all()
        ):
            enough = bad.sum() > 1 or bad.size > 2
            if enough and bad.sum() >= 0.9 * side.sum():
                return f"It is wrong only where the argument is {sign} 0."
    return ""
