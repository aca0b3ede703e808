"""What the scalar tape can compute: each operation's value and its local slopes."""

import math
from collections.abc import Callable

from ..errors import DtypeMismatch, InvalidArgument


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


# The value of each operation, then its slope by each operand.
RULES: dict[str, Callable[..., tuple[float, ...]]] = {
    "+": lambda x, y: (x + y, 1.0, 1.0),
    "-": lambda x, y: (x - y, 1.0, -1.0),
    "*": lambda x, y: (x * y, y, x),
    "/": lambda x, y: (x / y, 1 / y, -x / y**2),
    "**": lambda x, n: (x**n, n * x ** (n - 1), x**n * math.log(x)),
    "neg": lambda x: (-x, -1.0),
    "abs": lambda x: (abs(x), math.copysign(1.0, x) if x else 0.0),
    "relu": lambda x: (max(x, 0.0), 1.0 if x > 0 else 0.0),
    "exp": lambda x: (math.exp(x), math.exp(x)),
    "log": lambda x: (math.log(x), 1 / x),
    "sin": lambda x: (math.sin(x), math.cos(x)),
    "cos": lambda x: (math.cos(x), -math.sin(x)),
    "tanh": lambda x: (math.tanh(x), 1 - math.tanh(x) ** 2),
    "logistic": lambda x: (logistic(x), logistic(x) * logistic(-x)),
}


def power(n: float) -> Callable[[float], tuple[float, float]]:
    """The rule of x**n for a fixed n: it holds for x <= 0 too, having no slope by n."""
    return lambda x: (math.pow(x, n), n * math.pow(x, n - 1) if n else 0.0)


def number(x) -> float:
    """A finite float from a number or a `Value`.

    Raises:
      DtypeMismatch: it is no real number.
      InvalidArgument: it is NaN or infinite.
    """
    try:
        if isinstance(x, str) or getattr(x, "ndim", 0):
            raise TypeError
        found = float(x)
    except (TypeError, ValueError):
        raise DtypeMismatch(
            f"a Value holds one real number, but {x!r} of type {type(x).__name__} "
            "came. Make one Value for each number."
        ) from None
    if not math.isfinite(found):
        raise InvalidArgument(f"a Value must hold a finite number, but {found} came.")
    return found
