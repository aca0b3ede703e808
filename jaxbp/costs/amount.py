"""What a program costs: flops, transcendental functions, bytes; each as a range.

A branch makes a range: the cheapest and the dearest way through it. A loop that runs
until a condition fails has no known trip count, and no upper bound.
"""

import math
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Range:
    """A number between `low` and `high`, both included; equal where it is certain."""

    low: float
    high: float  # math.inf where there is no bound

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)

    def times(self, trips: "Range") -> "Range":
        high = self.high * trips.high if self.high and trips.high else 0
        return Range(self.low * trips.low, high)

    def either(self, other: "Range") -> "Range":
        return Range(min(self.low, other.low), max(self.high, other.high))

    @property
    def certain(self) -> bool:
        return self.low == self.high


def exactly(number: float) -> Range:
    """A range of one number."""
    return Range(number, number)


ZERO, UNBOUNDED = exactly(0), Range(0, math.inf)


@dataclass(frozen=True)
class Amount:
    """The cost of running a program once.

    Attributes:
      flops: additions, products, divisions, comparisons and selections of floating
        numbers; two for each multiply-add of a product. One a complex operation, as
        XLA counts it; none on integers.
      transcendentals: evaluations of exp, log, tanh, sqrt, pow, ...
      read_bytes, written_bytes: traffic with memory, elementwise work fused.
      time_s: seconds predicted from a device's measured roofs, where they were given:
        each pass over memory takes what its bytes or its products take, whichever is
        longer. Without the overhead of the call.
      collective_bytes: bytes that a device sends in collectives, on rings.
      unknown_loops: source lines of the loops whose trip counts are unknown.
      assumed: primitives without an entry in the table, counted as one flop an element.
    """

    flops: Range = ZERO
    transcendentals: Range = ZERO
    read_bytes: Range = ZERO
    written_bytes: Range = ZERO
    time_s: Range = ZERO
    collective_bytes: Range = ZERO
    unknown_loops: frozenset[str] = frozenset()
    assumed: frozenset[str] = frozenset()

    def __add__(self, other: "Amount") -> "Amount":
        return _joined(self, other, Range.__add__)

    def either(self, other: "Amount") -> "Amount":
        """The cost of one of two programs, unknown which."""
        return _joined(self, other, Range.either)

    def times(self, trips: Range) -> "Amount":
        """The cost of running the program `trips` times."""
        return replace(self, **{n: getattr(self, n).times(trips) for n in QUANTITIES})


QUANTITIES = tuple(f.name for f in fields(Amount) if f.type in (Range, "Range"))


def _joined(one: Amount, other: Amount, join) -> Amount:
    return Amount(
        **{n: join(getattr(one, n), getattr(other, n)) for n in QUANTITIES},
        unknown_loops=one.unknown_loops | other.unknown_loops,
        assumed=one.assumed | other.assumed,
    )
