"""What a check found: rows as data, a verdict, a sentence on what is wrong, a table."""

import math
from dataclasses import asdict, dataclass, field

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


@dataclass(eq=False, repr=False)
class Report:
    """The outcome of a check. True if all witnesses agree; prints as a table.

    Attributes:
      name: of the function.
      judged: the witness whose gradient is judged.
      leaves: list of (name, description, obstacle) of all leaves looked at; the
        obstacle says why a leaf has no derivative.
      rows: list of Row.
      findings: list of Finding, one per leaf that fails.
      notes: list of str: witnesses that refused, points that were left out, NaNs.
      points: number of points at which `f` was looked at.
    """

    name: str
    judged: str
    leaves: list
    rows: list = field(default_factory=list)
    findings: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    points: int = 1

    @property
    def ok(self) -> bool:
        return not self.failures

    def __bool__(self):
        return self.ok

    @property
    def failures(self) -> list:
        """The rows that disagree or are not finite, worst first."""
        failed = [row for row in self.rows if row.failed]
        return sorted(failed, key=lambda row: -row.excess)

    @property
    def witnesses(self) -> list:
        """Names of the witnesses that the judged one was set beside."""
        return list(dict.fromkeys(row.witness for row in self.rows))

    def worst(self, leaf, witness=None):
        """The row of `leaf` of largest excess, against one witness or any; or None."""
        rows = [r for r in self.rows if r.leaf == leaf]
        rows = [r for r in rows if witness in (None, r.witness)]
        return max(rows, key=lambda r: (r.failed, r.excess), default=None)

    def as_dicts(self) -> list:
        """The rows as dictionaries, for a table or a file."""
        return [asdict(row) for row in self.rows]

    @property
    def headline(self) -> str:
        if self.ok:
            where = "the point given"
            if self.points > 1:
                where += f" and {self.points - 1} displaced"
            return f"{self.name}: all witnesses agree at {where}."
        places = dict.fromkeys(f.leaf for f in self.findings) or dict.fromkeys(
            row.leaf for row in self.failures
        )
        return f"{self.name}: NOT in agreement: {', '.join(places)}."

    def __str__(self):
        from .render import as_text

        return as_text(self)

    __repr__ = __str__

    def _repr_html_(self):
        from .render import as_html

        return as_html(self)


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
