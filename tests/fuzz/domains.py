"""Where functions are smooth: what a row asks of its operand, and how to get there."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Domain(NamedTuple):
    """A set of arrays, and a smooth map of any real array into it.

    Fields:
      holds: array -> whether it lies well inside.
      into: (scope, value) -> source of an expression in the domain.
    """

    holds: Callable
    into: Callable


def _real(template, holds):
    def into(scope, value):
        if value.array.dtype.kind == "c":
            scope.of([])  # no map here is free of poles in the complex plane
        return template.format(value)

    return Domain(lambda x: bool(np.all(holds(x))), into)


def _between(low, high):
    def holds(x):
        if x.dtype.kind == "c":  # off the cut along the negative numbers
            return (x.real > low) & (np.abs(x) < high) if low > -1 else np.abs(x) < high
        return (x > low) & (x < high)

    return holds


def gap(x) -> float:
    """The least distance of two elements of an array."""
    flat = np.sort(np.ravel(np.asarray(x, np.float64)))
    return np.min(np.diff(flat), initial=np.inf)


def _apart(scope, value):
    if value.size < 2:
        return str(value)
    order = np.random.default_rng(value.size).permutation(value.size) / 2 - 1
    offset = order.reshape(value.shape).tolist()
    return f"0.1 * lax.sin({value}) + np.array({offset}, {value}.dtype)"


ANY = Domain(lambda x: True, lambda scope, value: str(value))
POSITIVE = _real("1.5 + lax.sin({})", _between(0.2, 30.0))
ABOVE_ONE = _real("2.5 + lax.sin({})", _between(1.2, 30.0))
UNIT = _real("0.9 * lax.sin({})", _between(-0.92, 0.92))
MODERATE = _real("2.0 * lax.sin({})", _between(-3.0, 3.0))
NONZERO = _real("1.5 + lax.sin({})", lambda x: np.abs(x) > 0.2)
FRACTION = _real(
    "0.3 + 0.1 * lax.sin({})",
    lambda x: (np.abs(x) < 20) & (np.abs(4 * x - np.round(4 * x)) > 0.05),
)
APART = Domain(lambda x: gap(x) > 0.05, _apart)
