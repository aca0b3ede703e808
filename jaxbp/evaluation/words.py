"""Numbers and arrays in a table's cell: their values, or what sums a large one up."""

import numpy as np

from .. import ir

SMALL = 6  # elements of an array that are shown one by one
DIGITS = 7  # of a number by itself
SHORT = 4  # of one among others


def cell(value, differentiable: bool = True) -> str:
    """A primal, tangent or cotangent; None is zero, or nothing where there is none."""
    if value is None:
        return "0" if differentiable else ""
    if ir.is_ref(value):  # what it holds by now is no value of this line
        return "ref"
    aval = ir.typeof(value)
    if not hasattr(aval.dtype, "kind"):
        return "key"
    array = _plain(np.asarray(value))
    if array.size == 0:
        return "empty"
    if array.ndim == 0:
        return number(array.item(), DIGITS)
    return _listed(array) if array.size <= SMALL else _summed_up(array)


def _plain(array: np.ndarray) -> np.ndarray:
    """Low-precision floats as numpy's own."""
    known = array.dtype.kind in "biufc"
    return array if known else array.astype(np.float64)


def number(x, digits: int) -> str:
    """A few significant digits, with a true minus; zero has no sign."""
    if isinstance(x, bool | int):
        return str(x).replace("-", "−")
    return f"{x + 0.0:.{digits}g}".replace("-", "−")


def _listed(array: np.ndarray) -> str:
    if array.ndim == 0:
        return number(array.item(), SHORT)
    return "[" + " ".join(map(_listed, array)) + "]"


def _summed_up(array: np.ndarray) -> str:
    """How many are true, or the 2-norm and, below it, the extremes."""
    if array.dtype.kind == "b":
        return f"{int(array.sum())} of {array.size} true"
    finite = array[np.isfinite(array)]
    if finite.size < array.size:
        bad = f"{array.size - finite.size} of {array.size} NaN or Inf"
        return "\n".join([bad, *_extremes(finite)])
    if (array == array.flat[0]).all():
        return f"all {number(array.flat[0].item(), SHORT)}"
    norm = np.linalg.norm(array.astype(np.result_type(array, np.float64)).ravel())
    parts = [] if array.dtype.kind in "iu" else [f"‖{number(norm.item(), SHORT)}‖"]
    return "\n".join([*parts, *_extremes(array)])


def _extremes(array: np.ndarray) -> list[str]:
    if not array.size or array.dtype.kind == "c":
        return []
    ends = (array.min().item(), array.max().item())
    return [" … ".join(number(x, SHORT) for x in ends)]


def bytes_cell(count: float) -> str:
    """8 B, 1.5 kB; nothing for 0."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.3g} {unit}" if count else ""
        count /= 1000
    return ""
