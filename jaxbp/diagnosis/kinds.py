"""What kind of accident it was, from the operations that a map is made of."""

import numpy as np

from .watch import Operation, bad_places, has_nan

ZERO_TIMES_INF = "0 x inf"
ZERO_BY_ZERO = "0 / 0"
INF_MINUS_INF = "inf - inf"
INF_BY_INF = "inf / inf"
POLE = "pole"
OVERFLOW = "overflow of finite numbers"
DOMAIN = "outside the domain"
ALREADY_NAN = "a value that is NaN already"
ALREADY_INF = "a value that is infinite already"
SINGULAR = "a singular matrix"
EQUAL = "two equal values"
UNKNOWN = "not finite"

_POLES = ("log", "log1p", "rsqrt", "atanh", "digamma", "lgamma", "erf_inv", "tan")


def kind_of(operations: list[Operation]) -> str:
    """Names what happened in a list of operations whose last outcome is not finite."""
    for operation in operations:
        if operation.makes_nan:
            return _of_nan(operation)
    for operation in operations:
        if operation.gives_birth:
            return _of_inf(operation)
    if any(has_nan(v) for o in operations for v in o.values):
        return ALREADY_NAN
    if any(bad_places(v).any() for o in operations for v in o.values):
        return ALREADY_INF
    return UNKNOWN


def kind_at(forward: Operation, operations: list[Operation]) -> str:
    """The same, of an operation and of what reverse mode does at it.

    Where the operation itself makes a NaN, or an Inf by growing too large, that is what
    happened; else what reverse mode makes of its slope.
    """
    backward = kind_of(operations)
    if _has_equal_values(forward):
        return f"{EQUAL}, then {backward}"
    if forward.makes_nan:
        return _of_nan(forward)
    if forward.gives_birth:
        own = _of_inf(forward)
        if backward in (own, ALREADY_INF, ALREADY_NAN, UNKNOWN):  # it reads its outcome
            return own
        if own == SINGULAR:
            return own
        return f"{own}, then {backward}" if own == OVERFLOW else backward
    return backward


def _of_nan(operation: Operation) -> str:
    """Of an operation that makes a NaN of what is none."""
    at = _first(np.isnan, operation.outs)
    x = [_element(value, at) for value in operation.values]
    if _is_singular(operation):
        return SINGULAR
    if operation.name in ("mul", "dot_general", "conv_general_dilated"):
        return ZERO_TIMES_INF
    if operation.name in ("add", "sub", "add_any", "reduce_sum", "cumsum"):
        return INF_MINUS_INF
    if operation.name == "div" and len(x) == 2:
        return ZERO_BY_ZERO if x[0] == 0 else INF_BY_INF
    if any(bad_places(value).any() for value in operation.values):
        return INF_MINUS_INF if operation.name == "logaddexp" else DOMAIN
    if operation.name == "integer_pow":
        return POLE
    return DOMAIN


def _of_inf(operation: Operation) -> str:
    """Of an operation that makes an Inf of finite numbers."""
    at = _first(lambda x: ~np.isfinite(x), operation.outs)
    x = [_element(value, at) for value in operation.values]
    if operation.name == "div" and len(x) == 2 and x[1] == 0:
        return ZERO_BY_ZERO if x[0] == 0 else POLE
    if _is_singular(operation):
        return SINGULAR
    if operation.name in _POLES:
        return POLE
    if operation.name in ("pow", "integer_pow") and x and x[0] == 0:
        return POLE
    return OVERFLOW


def _is_singular(operation: Operation) -> bool:
    """Whether it solves by a triangle with a zero on its diagonal."""
    if operation.name not in ("custom_linear_solve", "triangular_solve"):
        return False
    known = [np.asarray(v) for v in operation.values]
    square = [a for a in known if a.ndim > 1 and a.shape[-1] == a.shape[-2]]
    return any((np.diagonal(a, axis1=-2, axis2=-1) == 0).any() for a in square)


def _has_equal_values(operation: Operation) -> bool:
    """Whether it is a decomposition with two equal eigenvalues or singular values."""
    if operation.name not in ("eigh", "svd"):
        return False
    known = [np.asarray(v) for v in operation.outs if np.ndim(v)]
    values = min(known, key=lambda a: a.ndim)
    return bool((np.diff(np.sort(values, axis=-1), axis=-1) == 0).any())


def _first(what, outs):
    """Output and index of the first element for which `what` holds."""
    for value in outs:
        places = np.argwhere(what(np.asarray(value)))
        if len(places):
            return tuple(map(int, places[0]))
    return ()


def _element(value, index):
    """The element at an index of what the outcome is made of; the first of others."""
    array = np.asarray(value)
    if array.ndim == len(index) and all(i < n for i, n in zip(index, array.shape)):  # noqa: B905
        return array[index]
    return array.ravel()[0] if array.size else np.nan
