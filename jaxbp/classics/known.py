"""A number that is known beforehand, and how near a computed one must come."""

import math
from dataclasses import dataclass
from decimal import Decimal

PUBLISHED = "published"
INDEPENDENT = "computed independently with NumPy"
# A known figure came without its recipe: the one here was sought until it came near.
SOUGHT = "computed independently; recipe sought"


@dataclass(frozen=True)
class Known:
    """What a computed number is held against.

    Attributes:
      text: the known value as a reader sees it, such as `0.3775` or `>= 0.95`.
      low, high: the interval, ends included, in which the computed number must lie.
      source: who says so.
    """

    text: str
    low: float
    high: float
    source: str

    def holds(self, value: float) -> bool:
        """Does the computed number meet this one? NaN never does."""
        return self.low <= value <= self.high


def printed(text: str, source: str = INDEPENDENT) -> Known:
    """A number to all digits printed: within half a unit of its last digit, or four
    units of float64's own precision where those are more."""
    value = Decimal(text)
    last_digit = 10.0 ** int(value.as_tuple().exponent)
    slack = max(0.5 * last_digit, 4 * math.ulp(float(value)))
    return within(float(value), slack, source, text)


def within(
    value: float, slack: float, source: str = INDEPENDENT, text: str = ""
) -> Known:
    """A number met up to `slack`, an absolute difference."""
    text = text or f"{value:.12g} ± {slack:g}"
    return Known(text, value - slack, value + slack, source)


def exactly(value: float, source: str = "by hand") -> Known:
    """A number met in every bit."""
    return Known(f"{value:.12g}", value, value, source)


def at_least(low: float, source: str = "gate") -> Known:
    """A gate for a number that depends on chance, or a bound."""
    return Known(f">= {low:g}", low, math.inf, source)


def at_most(high: float, source: str = "gate") -> Known:
    """The same from above."""
    return Known(f"<= {high:g}", -math.inf, high, source)


def between(low: float, high: float, source: str = "gate") -> Known:
    """A gate with two sides."""
    return Known(f"{low:g} to {high:g}", low, high, source)
