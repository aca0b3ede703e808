"""What a check found: comparisons as rows of data, and in words what is wrong."""

import math
from dataclasses import dataclass, replace
from typing import Any

AGREE, KINK, DIFFER, NOT_FINITE = "agree", "kink", "differ", "not finite"
UNDECIDED = "cannot tell"
FAILURES = (DIFFER, NOT_FINITE)
DIFFERENCES = "differences"
COARSE = 0.1  # of a slope: what the differences may err by without a word
BARELY = 1.5  # times what is allowed: noise alone may be as much
ADJOINT = "adjoint identity"  # the leaf of its rows
CLOSELY = 32  # leaves that are looked at in float64 for a coarse one alone, at most
YOURS = "yours"  # the gradient that the user gave


@dataclass(frozen=True)
class Row:
    """One comparison of one leaf at one point: the place where it is worst.

    Attributes:
      leaf: path of the argument's leaf, e.g. `params['W1']`; also "value" (returned
        with a derivative), "adjoint identity", and `output...` where f is not finite.
      point: 0 for the point given, 1, 2, ... for the displaced ones.
      judged: the witness whose gradient is judged. witness: the one it is set beside.
      closeness: |x - y| / max(1, |x| + |y|).
      index: of the element in the leaf; None if the values belong to a direction that
        crosses several elements.
      value, other: what the judged one and the witness say there.
      noise: the differences' own error there; 0 for exact derivatives.
      excess: |x - y| over what rounding and noise allow; above 1 is disagreement,
        unless a kink or the rounding of f's values explains it.
      verdict: "agree"; "kink" (one-sided slopes differ, and the value lies between
        them); "cannot tell" (both lie within a noise as large as they are, so that a
        wrong gradient would pass as well); "differ"; "not finite".
    """

    leaf: str
    point: int
    judged: str
    witness: str
    closeness: float
    index: tuple | None
    value: complex
    other: complex
    noise: float
    excess: float
    verdict: str

    @property
    def failed(self) -> bool:
        return self.verdict in FAILURES

    @property
    def fails_alone(self) -> bool:
        """Whether it fails by one element, which need not be looked for then."""
        return self.failed and self.index is not None and self.excess >= BARELY

    @property
    def element(self) -> str:
        """The leaf with the index behind it, e.g. `params['W1'][3, 2]`."""
        if self.index is None:
            return f"a direction in {self.leaf}"
        place = ", ".join(map(str, self.index))
        return f"{self.leaf}[{place}]" if place else self.leaf


def worst(rows) -> Any:
    """The row that decides: the worst failure; else a disagreement in doubt; else the
    worst of those that could tell; else any that could not. None of no rows."""
    return max(rows, key=lambda row: (_rank(row), row.excess), default=None)


def unless_barely(row):
    """A row of one element, undecided where it fails by a hair."""
    return replace(row, verdict=UNDECIDED) if row.excess < BARELY else row


def _rank(row):
    if row.verdict == UNDECIDED:
        return 2 if row.excess >= BARELY else 0
    return {KINK: 1, AGREE: 1, DIFFER: 3, NOT_FINITE: 4}[row.verdict]


@dataclass(frozen=True)
class Finding:
    """What every witness says at an element where they disagree, in words.

    Attributes:
      leaf, element, point: where.
      values: name of witness -> its value.
      noise: error of the differences' value.
      sentence: who stands against whom, and what usually causes it.
      pattern: what the wrong gradient is to the right one ("half of it", "its
        transpose"); empty if it is nothing simple.
    """

    leaf: str
    element: str
    point: int
    values: dict
    noise: float
    sentence: str
    pattern: str = ""

    def __str__(self):
        digits = digits_that_differ(self.values.values())
        said = ", ".join(f"{k} {number(v, digits)}" for k, v in self.values.items())
        if DIFFERENCES in self.values:
            said += f" (± {number(self.noise, 2)})"
        pattern = f" {self.pattern}" if self.pattern else ""
        return (
            f"{self.element} at {place(self.point)}: {said}. {self.sentence}{pattern}"
        )


def place(point):
    """A point's number in words."""
    return "the point given" if point == 0 else f"displaced point {point}"


def listed(names):
    """Names in a row: a, b and c."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def digits_that_differ(values):
    """Significant digits that tell all different values apart: 6 to 17."""
    different = {complex(v) for v in values if math.isfinite(abs(v))}
    for digits in range(6, 17):
        if len({number(v, digits) for v in different}) == len(different):
            return digits
    return 17


def number(value, digits=9):
    """A value in at most `digits` significant digits; complex as a+bj."""
    if isinstance(value, complex) and value.imag:
        return f"{value.real:.{digits}g}{value.imag:+.{digits}g}j"
    value = float(value.real) + 0.0  # no zero with a sign
    return f"{value:.{digits}g}" if math.isfinite(value) else str(value)
