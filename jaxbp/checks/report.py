"""The outcome of a check: a verdict over its rows, printed as a table."""

import cmath
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..display import Shown
from ..errors import JaxbpError
from .rows import (
    AGREE,
    CLOSELY,
    COARSE,
    DIFFER,
    DIFFERENCES,
    KINK,
    NOT_FINITE,
    UNDECIDED,
    Row,
    listed,
    place,
    worst,
)

if TYPE_CHECKING:
    from .finding import Finding

EMPTY = "nothing to look at"
NAMED = 4  # leaves in a note, at most
SEEN = 0.5  # and what they may err by to see it at all


class WrongGradient(JaxbpError, AssertionError):
    """A check found a disagreement, or could not tell; the message is its report."""


@dataclass(eq=False, repr=False)
class Report(Shown):
    """The outcome of a check. True if all witnesses agree; prints as a table.

    A leaf agrees if no comparison of it failed, and if at one point at least all of
    them could tell right from wrong. A leaf for which none could is undecided: the
    report is then neither true nor a disagreement, and says "cannot tell".

    Attributes:
      name: of the function.
      judged: the witness whose gradient is judged.
      leaves: list of (name, description, obstacle) of all leaves looked at; the
        obstacle says why a leaf has no derivative.
      rows: list of Row.
      findings: list of Finding, one for each of the first leaves that fail.
      notes: list of str: witnesses that refused, points that were left out, NaNs, and
        where nothing could be told.
      points: number of points at which `f` was looked at.
      blind: (leaf, point) where f is not finite a step away, to one side at least, so
        that the differences see nothing.
      precision: leaf -> the least share of its slope that the differences may err by,
        of all directions along which they agree; infinite if all slopes are zero.
      widened: leaves whose differences were taken of f in wider numbers than its own.
      rounded: leaf -> how far the gradient is from that of its operations in float64,
        as a share of this, where that is much.
      hidden: leaf -> the share of a slope that f's rounding may hide along some
        direction, at the point where it agrees and the least is hidden.
      drawn: leaves on which a draw by rejection depends, whose rule is no slope of its
        values.
      stochastic: whether two calls of `f` differ, so that nothing was compared.
    """

    name: str
    judged: str
    leaves: list[tuple[str, str, str]]
    rows: list[Row] = field(default_factory=list)
    findings: list["Finding"] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    points: int = 1
    blind: set[tuple[str, int]] = field(default_factory=set)
    precision: dict[str, float] = field(default_factory=dict)
    widened: set[str] = field(default_factory=set)
    rounded: dict[str, float] = field(default_factory=dict)
    hidden: dict[str, float] = field(default_factory=dict)
    drawn: set[str] = field(default_factory=set)
    stochastic: bool = False

    @property
    def verdict(self) -> str:
        """ "agree", "differ", "not finite" (the gradient judged, or f itself, and
        nothing else fails) or "cannot tell"."""
        if self.failures:
            return NOT_FINITE if all(map(_judged_not_finite, self.failures)) else DIFFER
        return UNDECIDED if self.undecided or not self.looked_at else AGREE

    @property
    def ok(self) -> bool:
        return self.verdict == AGREE

    def __bool__(self):
        return self.ok

    def raise_if_wrong(self):
        """The report itself if all agree; else raises it as an error.

        Raises:
          WrongGradient: something differs, or could not be told; the message is the
            report as text.
        """
        if not self.ok:
            raise WrongGradient(self.page().text())
        return self

    @property
    def failures(self) -> list[Row]:
        """The rows that disagree or are not finite, worst first."""
        failed = [row for row in self.rows if row.failed]
        return sorted(failed, key=lambda row: -row.excess)

    @property
    def looked_at(self) -> list[str]:
        """Names of the leaves that have elements and a derivative."""
        named = [
            n
            for n, described, gone in self.leaves
            if not gone and not is_empty(described)
        ]
        return [] if self.stochastic else named

    @property
    def undecided(self) -> list[str]:
        """Names of the leaves of which nothing could be told at any point."""
        if self.stochastic:
            return []
        return [name for name in self.looked_at if self.verdict_of(name) == UNDECIDED]

    def verdict_of(self, leaf) -> str:
        """Of all points: "agree", "kink", "differ", "not finite", "cannot tell"."""
        rows = [row for row in self.rows if row.leaf == leaf]
        if any(row.failed for row in rows):
            return worst(rows).verdict
        told = [verdict for verdict in map(self._at, _by_point(rows)) if verdict]
        if AGREE in told:
            coarse = self.precision.get(leaf, 0.0) > COARSE
            return UNDECIDED if coarse and _doubts(rows) else AGREE
        return KINK if KINK in told else UNDECIDED

    def _at(self, rows):
        """The verdict of one leaf's rows at one point; empty if they cannot tell."""
        verdicts = {row.verdict for row in rows}
        if UNDECIDED in verdicts:
            return ""
        decisive = [row for row in rows if row.witness == DIFFERENCES] or rows
        return KINK if KINK in {row.verdict for row in decisive} else AGREE

    @property
    def witnesses(self) -> list[str]:
        """Names of the witnesses that the judged one was set beside."""
        return list(dict.fromkeys(row.witness for row in self.rows))

    def worst(self, leaf, witness=None):
        """The row of `leaf` that decides, against one witness or any; or None.

        Of a leaf that agrees it is one of the points where that could be told.
        """
        rows = [r for r in self.rows if r.leaf == leaf]
        if not any(row.failed for row in rows):
            told = [row for here in _by_point(rows) if self._at(here) for row in here]
            rows = told or rows
        return worst([r for r in rows if witness in (None, r.witness)])

    @property
    def headline(self) -> str:
        if self.stochastic:
            return (
                f"{self.name}: cannot tell: two calls with the same arguments differ."
            )
        if self.failures and all(row.witness == "value" for row in self.failures):
            outputs = ", ".join(dict.fromkeys(row.leaf for row in self.failures))
            return f"{self.name}: no gradient to compare: {outputs} is not finite."
        if self.failures:
            failed = dict.fromkeys(row.leaf for row in self.failures)
            places = dict.fromkeys(f.leaf for f in self.findings) or failed
            others = {name for name, *_ in self.leaves}.intersection(failed)
            count = len(others.difference(places))
            more = f" and {count} more, in the table" if count else ""
            what = "NOT in agreement"
            if self.verdict == NOT_FINITE:
                what = "the gradient is not finite"
            return f"{self.name}: {what}: {', '.join(places)}{more}."
        if not self.looked_at:
            return f"{self.name}: {EMPTY}: no leaf has an element."
        if self.undecided:
            return f"{self.name}: cannot tell: {', '.join(self.undecided)}."
        where = "the point given"
        if self.points > 1:
            where += f" and {self.points - 1} displaced"
        unclear = self._points_where(lambda rows: not self._at(rows))
        if unclear:
            clear = f"{self.points - len(unclear)} of {self.points} points"
            where = f"{clear}; not all can be told at {listed(map(place, unclear))}"
        return f"{self.name}: all witnesses agree at {where}."

    def page(self):
        """All that is shown: the verdict, a line per leaf, findings and notes."""
        from .render import page

        return page(self)

    def table(self):
        """A line per leaf, as it is shown; also where no point could be looked at."""
        from .render import table

        return table(self)

    def add(self, other, names, label):
        """Take in the rows of another report, whose leaves are `names` in their order;
        they are called by these and by `label`."""
        pairs = zip(other.leaves, names, strict=True)
        called = {old: f"{new}, {label}" for (old, *_), new in pairs}
        self.leaves += [(called[old], *rest) for old, *rest in other.leaves]

        def rename(item):
            return replace(item, leaf=called.get(item.leaf, f"{item.leaf}, {label}"))

        self.rows += map(rename, other.rows)
        self.findings += map(rename, other.findings)
        self.notes += [f"{label}: {note}" for note in other.notes]

    # What is noted -----------------------------------------------------------------

    def be_stochastic(self, row):
        self.stochastic = True
        self.rows.clear()
        self.notes.append(
            f"Two calls at the same point gave {row.element.removeprefix('value of ')} "
            f"= {row.value:.9g} and {row.other:.9g}: make the function's random state "
            "an argument (a key), and hold it fixed."
        )

    def seen_to(self, leaf, share):
        """The differences agree along a direction, where they may err by so much."""
        self.precision[leaf] = min(share, self.precision.get(leaf, math.inf))

    def explain_precision(self):
        """Say of what agrees how little of it the differences tell, if it is little."""
        for leaf, share in self.precision.items():
            if COARSE < share < math.inf and self.verdict_of(leaf) == AGREE:
                said = COARSELY if share < SEEN else UNSEEN
                self.notes.append(said.format(leaf=leaf, share=share))

    def explain_rounding(self):
        """Say what rounding hides still, and of what nothing is left."""
        hidden = [
            name
            for name in self.looked_at
            if self.hidden.get(name, 0.0) > COARSE
            and self.precision.get(name, 0.0) <= COARSE  # else it is said below
            and self.verdict_of(name) == AGREE
        ]
        if hidden:
            leaves = ", ".join(f"`{name}`" for name in hidden)
            if len(hidden) > NAMED:
                leaves = f"{len(hidden)} of {len(self.looked_at)} leaves"
            self.notes.append(HIDDEN.format(leaves=leaves, most=CLOSELY))
        for leaf, share in self.rounded.items():
            self.notes.append(ROUNDED.format(leaf=leaf, share=share))

    def explain_undecided(self):
        """Say of each leaf where nothing could be told, or where it sits on a kink."""
        for sentence, said in (
            (NOTHING_SEEN, self._is_blind),
            (BY_REJECTION, lambda rows: self._is_drawn(rows) and not self._at(rows)),
            (IN_DOUBT, lambda rows: self._is_lost(rows) and _in_doubt(rows, True)),
            (OWN_DOUBT, lambda rows: self._is_lost(rows) and _in_doubt(rows, False)),
            (NOTHING_TESTED, lambda rows: self._is_lost(rows) and self._is_mute(rows)),
            (ON_A_KINK, lambda rows: self._at(rows) == KINK),
        ):
            alike = {}
            for point, leaves in self._points_where(said).items():
                alike.setdefault(tuple(leaves), []).append(place(point))
            for leaves, places in alike.items():
                names = ", ".join(f"`{name}`" for name in leaves)
                self.notes.append(sentence.format(names=names, place=listed(places)))

    def _is_lost(self, rows):
        known = self._at(rows) or self._is_blind(rows) or self._is_drawn(rows)
        return not known

    def _is_drawn(self, rows):
        return rows[0].leaf in self.drawn

    def _is_mute(self, rows):
        return not _doubts(rows) and rows[0].leaf not in self.rounded

    def _is_blind(self, rows):
        return (rows[0].leaf, rows[0].point) in self.blind

    def _points_where(self, said):
        """point -> leaves whose rows there are as `said`, among those that agree."""
        found = {}
        for name in self.looked_at:
            rows = [row for row in self.rows if row.leaf == name]
            if any(row.failed for row in rows):
                continue
            for there in _by_point(rows):
                if said(there):
                    found.setdefault(there[0].point, []).append(name)
        return found


COARSELY = (
    "The differences tell the gradient by `{leaf}` to {share:.0%} at best, for the "
    "rounding of f: smaller errors pass, if every derivative rule makes them."
)
UNSEEN = (
    "The differences see nothing of the gradient by `{leaf}` in the rounding of f: "
    "exact derivatives alone agree, of an f without custom rules and stop_gradient."
)
HIDDEN = (
    "Along some directions f's rounding hides more than a tenth of the slope by "
    "{leaves}: a wrong element may pass there. Of up to {most} leaves (`argnums`) f is "
    "computed in float64 where it can be."
)
ROUNDED = (
    "The gradient by `{leaf}` is off by {share:.2g} times that of the same operations "
    "in float64: it is lost in its own rounding."
)
NOTHING_TESTED = (
    "The gradient by {names} is zero to rounding at {place}, or lost in the rounding "
    "of f or of its own: a wrong one could not be told from a right one there."
)
BY_REJECTION = (
    "f draws by rejection (`jax.random.gamma`), by {names} at {place}: the rule is "
    "that of the distribution (implicit reparameterization), right in the mean over "
    "keys, and no slope of the values that one key draws."
)
IN_DOUBT = (
    "The differences disagree with the gradient by {names} at {place}, where kinks or "
    "swings of f, or the rounding of either, may do as much."
)
OWN_DOUBT = (
    "Another derivative differs from the gradient by {names} at {place}, by no more "
    "than the rounding of the two may do."
)
NOTHING_SEEN = (
    "The differences see nothing by {names} at {place}: a step away, to one side at "
    "least, f overflows or is not defined."
)
ON_A_KINK = (
    "A branch of f sits on its edge for {names} at {place}: the one-sided slopes "
    "differ, and any value between them was accepted there."
)


def _by_point(rows):
    points = dict.fromkeys(row.point for row in rows)
    return [[row for row in rows if row.point == point] for point in points]


def _judged_not_finite(row):
    return row.verdict == NOT_FINITE and not cmath.isfinite(row.value)


def _doubts(rows):
    """The rows that disagree, and are not sure."""
    return [row for row in rows if row.verdict == UNDECIDED and row.excess > 1]


def _in_doubt(rows, by_values):
    """Whether the differences disagree in doubt, or other derivatives alone."""
    return bool(_doubts(rows)) and by_values == any(
        row.witness == DIFFERENCES for row in _doubts(rows)
    )


def is_empty(described):
    """Whether `float32[8,0]` names an array without elements."""
    return "0" in described.partition("[")[2].rstrip("]").split(",")
