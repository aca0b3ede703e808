"""What a check found: comparisons as rows of data, and in words what is wrong."""

import math
from dataclasses import dataclass

AGREE, KINK, DIFFER, NOT_FINITE = "agree", "kink", "differ", "not finite"
FAILURES = (DIFFER, NOT_FINITE)
YOURS = "yours"  # the gradient that the user gave


@dataclass(frozen=True)
class Row:
    """One comparison of one leaf at one point: the place where it is worst.

    Attributes:
      leaf: path of the argument's leaf, e.g. `params['W1']`; also "value" (of a given
        value_and_grad), "adjoint identity", and `output...` where f is not finite.
      point: 0 for the point given, 1, 2, ... for the displaced ones.
      judged: the witness whose gradient is judged. witness: the one it is set beside.
      closeness: |x - y| / max(1, |x| + |y|).
      index: of the element in the leaf; None if the values belong to a direction that
        crosses several elements.
      value, other: what the judged one and the witness say there.
      noise: the differences' own error there; 0 for exact derivatives.
      excess: |x - y| over what rounding and noise allow; above 1 is disagreement.
      verdict: "agree", "kink" (one-sided slopes differ, and the value lies between
        them), "differ" or "not finite".
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
    def element(self) -> str:
        """The leaf with the index behind it, e.g. `params['W1'][3, 2]`."""
        if self.index is None:
            return f"a direction in {self.leaf}"
        place = ", ".join(map(str, self.index))
        return f"{self.leaf}[{place}]" if place else self.leaf


@dataclass(frozen=True)
class Finding:
    """What every witness says at an element where they disagree, in words.

    Attributes:
      leaf, element, point: where.
      values: name of witness -> its value.
      noise: error of the differences' value.
      sentence: who stands against whom, and what usually causes it.
    """

    leaf: str
    element: str
    point: int
    values: dict
    noise: float
    sentence: str

    def __str__(self):
        said = ", ".join(f"{name} {number(v)}" for name, v in self.values.items())
        if "differences" in self.values:
            said += f" (± {number(self.noise)})"
        return f"{self.element} at {place(self.point)}: {said}. {self.sentence}"


def place(point):
    """A point's number in words."""
    return "the point given" if point == 0 else f"displaced point {point}"


def number(value):
    """A value in at most 9 significant digits; complex as a+bj."""
    if isinstance(value, complex) and value.imag:
        return f"{value.real:.6g}{value.imag:+.6g}j"
    value = value.real
    if not math.isfinite(value):
        return str(value)
    return f"{value:.9g}" if value == 0 or 1e-4 <= abs(value) < 1e6 else f"{value:.3g}"
