"""What each witness says along directions at one point, all directions in one call."""

from dataclasses import dataclass, field, replace

import numpy as np

from . import rounding
from .closeness import (
    difference_rtol,
    inner,
    largest_number,
    norm,
    rtol,
    underflow,
    wide,
)
from .differences import Slope, sizes_of
from .judge import judge_slope, over
from .probes import bounded
from .rows import AGREE, DIFFER, DIFFERENCES, KINK, UNDECIDED
from .sight import Sight

MORE = 2.0  # times the noise that a disagreement is in doubt beyond what is allowed
SHORTENED = 0.25, 0.5  # powers of the largest number: by such a direction is divided
SMALL = 0.01  # of the largest terms of a leaf
HIDES = 0.1  # of the steepest slope: what may hide where f seems not to change
# Of the largest terms of a leaf: what rounding leaves of none; what may hide where the
ROUNDED, ABSENT = 1e-13, 1e-6  # gradient is zero
FLUSHED = 2.0**10  # times what underflows: so much larger may it be made on its way
NEGLIGIBLE = 1e-4  # of a slope: less than a wrong one is wrong by


@dataclass(frozen=True)
class Look:
    """One direction as everybody sees it.

    Attributes:
      probe: Probe.
      value: the judged gradient along it.
      found: Slope, from f's values.
      forwards: name -> (slope, its own rounding) of the forward modes.
      slack: what rounding may do to `value`.
      doubted: whether the differences disagree, by too little to be confirmed.
      blurred: name -> what rounding every operation was seen to do to a forward mode,
        of those that differ.
    """

    probe: object
    value: float
    found: Slope
    slack: float
    forwards: dict = field(default_factory=dict)
    doubted: bool = False
    blurred: dict = field(default_factory=dict)


class Looker:
    """The witnesses at one point, ready to be asked along directions.

    Args:
      check: the comparison under way: batches of values and of forward modes, settings.
      xs, y, y_bar: the point, f there and the cotangent.
      x_bar: the judged gradient, list of arrays.
      slack: rounding.Allowance, what rounding may do to it.

    Attributes:
      value_size: 2-norm of the terms of <y_bar, f>.
      sight: Sight, which f's values are asked of.
    """

    def __init__(self, check, xs, y, y_bar, x_bar, slack):
        self.check, self.xs, self.y_bar = check, xs, y_bar
        self.x_bar, self.slack, self.value_size = x_bar, slack, _terms(y_bar, y)
        self.dtypes, self.settings = check.dtypes, check.settings
        values = check.values if self.settings.differences else None
        self.sight = Sight(values, xs, y_bar, x_bar, self.value_size, self.dtypes)
        self.steepest = max(
            (np.abs(b * sizes_of(x, one_by_one=True)).max(initial=0.0))
            for b, x in zip(self.sight.known, xs, strict=True)
        )

    def look(self, probes, forwards=True):
        """list of Look, one for each Probe; along a shorter one, if that overflows."""
        probes = [
            bounded(probe, self.x_bar[probe.leaf], self.xs[probe.leaf].dtype)
            for probe in probes
        ]
        slopes = self.sight.slopes(probes)
        pushed = self._pushed(probes) if forwards else [{}] * len(probes)
        looks = []
        for probe, found, said in zip(probes, slopes, pushed, strict=True):
            value = inner(self.x_bar[probe.leaf], probe.direction)
            slack = self._allowed_slack(probe, found, self.slack)
            looks.append(Look(probe, value, found, slack, said))
        return looks

    def _allowed_slack(self, probe, found, slack):
        j, direction = probe.leaf, probe.direction
        allowed = slack.across(direction, j)
        if found.kink:
            sides = found.left, found.right
            allowed = min(allowed, slack.at_kink(direction, j, *sides))
        return allowed + self.settings.atol * float(np.abs(direction).sum())

    def slackened(self, look, slack):
        """The look where rounding does so much to the gradient, an `Allowance`."""
        allowed = self._allowed_slack(look.probe, look.found, slack)
        return replace(look, slack=allowed)

    def _pushed(self, probes):
        """name -> (slope, rounding) for each probe; who refuses is left out."""
        said = [{} for _ in probes]
        asked = [(probe.leaf, probe.direction) for probe in probes]
        for name in list(self.check.forwards):
            answers = self._without_overflow(name, asked)
            for place, (value, terms) in enumerate(answers):
                lost = rounding.lost(self.dtypes[probes[place].leaf])
                said[place][name] = float(value), lost * float(terms)
        return said

    def _without_overflow(self, name, asked):
        """What a forward mode says; along shorter directions where it is not finite.

        A tangent is linear in the direction, but one as long as x may overflow, of
        float16 at 100 already, where the gradient is far from it.
        """
        answers = list(self.check.push(name, self.xs, self.y_bar, asked) or [])
        for share in SHORTENED:
            bad = [k for k, said in enumerate(answers) if not np.isfinite(said[0])]
            if not bad:
                break
            powers = [2.0 ** int(share * self._octaves(asked[k][0])) for k in bad]
            shorter = [
                (asked[k][0], asked[k][1] / power)
                for k, power in zip(bad, powers, strict=True)
            ]
            found = self.check.push(name, self.xs, self.y_bar, shorter) or []
            for k, power, said in zip(bad, powers, found, strict=False):
                answers[k] = np.asarray(said) * power
        for k, said in enumerate(answers):
            if not np.isfinite(said[0]):  # XLA multiplies constants first: 1e20 twice
                answers[k] = self.check.push_uncompiled(
                    name, self.xs, self.y_bar, asked[k]
                )
                if not np.isfinite(answers[k][0]):
                    break
        return answers

    def _octaves(self, leaf):
        """From 1 to the largest number of the coarsest dtype on a leaf's way."""
        return np.frexp(largest_number(self.dtypes[leaf]))[1]

    # Verdicts ----------------------------------------------------------------------

    def allowed(self, look):
        """The gap to the differences that rounding and noise explain."""
        relative = self.settings.difference_rtol(self.dtypes[look.probe.leaf])
        sizes = abs(look.value) + abs(look.found.value)
        return relative * sizes + self._hidden(look)

    def noise(self, look):
        """What the differences and the rounding of the gradient may err by."""
        return look.found.noise + look.slack

    def _hidden(self, look):
        """What the noise of f and the rounding of its derivative may hide."""
        if look.found.rough:
            return np.inf
        return self.noise(look) + self._nearby(look)

    def _nearby(self, look):
        """How a derivative is rounded that is large not far away."""
        return rounding.lost(self.dtypes[look.probe.leaf]) * look.found.steepest

    def excess(self, look):
        """The gap to the differences over what is allowed; 0 where they do not see."""
        gap = abs(look.value - look.found.value)
        return over(gap, self.allowed(look)) if np.isfinite(gap) else 0.0

    def excess_alone(self, look):
        """The gap over what is allowed to an element of the group that changes f as
        most do: above 1, one may be wrong of many whose sum agrees."""
        probe, gap = look.probe, abs(look.value - look.found.value)
        terms = wide(self.x_bar[probe.leaf]) * probe.direction
        term = float(np.median(np.abs(terms.ravel()[probe.members])))
        relative = self.settings.difference_rtol(self.dtypes[probe.leaf])
        allowed = 2 * relative * term + self._hidden(look)
        return over(gap, allowed) if np.isfinite(gap) else 0.0

    def rows(self, where, look):
        """One row for each witness along one direction."""
        probe = look.probe
        rows = []
        if self.settings.differences:
            rows.append(self._beside_differences(where, look))
        for name, (other, _) in look.forwards.items():
            allowed = self._allowed_forward(look, name)
            row = judge_slope(
                where | {"witness": name}, probe.index, probe.scale, look.value, other,
                allowed,
            )  # fmt: skip
            if row.verdict == DIFFER:
                row = replace(row, verdict=self.explained(look, other))
            if row.failed and abs(look.value - other) <= look.blurred.get(name, 0.0):
                row = replace(row, verdict=UNDECIDED)
            rows.append(row)
        return rows

    def _allowed_forward(self, look, name):
        """The gap to a forward mode that rounding explains."""
        relative = self.settings.rtol(self.dtypes[look.probe.leaf])
        sizes = abs(look.value) + abs(look.forwards[name][0])
        return relative * sizes + self.rounding(look, name)

    def rounding(self, look, name):
        """What rounding does to the gradient and a forward mode along a direction."""
        _, terms = look.forwards[name]
        flushed = FLUSHED * underflow(self.dtypes[look.probe.leaf])
        return look.slack + terms + flushed

    def forwards_that_differ(self, look):
        """Names of the forward modes that differ by more than that from the judged
        gradient."""
        return [
            name
            for name, (other, _) in look.forwards.items()
            if abs(look.value - other) > self._allowed_forward(look, name)
        ]

    def with_blur(self, look):
        """The look with what rounding every operation does to the forward modes that
        differ: those of an inverse of what is almost singular may have no digit."""
        asked = look.probe.leaf, look.probe.direction
        found = {}
        for name in self.forwards_that_differ(look):
            runs = self.check.rounded_push(name, self.xs, self.y_bar, asked)
            if runs is not None:
                apart = np.abs(runs - look.forwards[name][0])
                found[name] = rounding.SAFETY * float(apart.max())
        return replace(look, blurred=found) if found else look

    def explained(self, look, other):
        """The verdict on two exact derivatives along one direction that differ by more
        than their own rounding was seen to do, by what f's values say of them.

        Both are right if they are one-sided slopes of a kink. Both may be right if the
        values of f admit both, and they differ by no more than f itself is rounded.
        """
        found, value = look.found, look.value
        gaps = [abs(value - found.value), abs(other - found.value)]
        if not max(gaps) <= self.allowed(look):
            return DIFFER
        if found.kink:
            return KINK
        known = self.sight.known
        largest = max((np.abs(b).max(initial=0.0) for b in known), default=0.0)
        terms = max(self.value_size, float(largest) * abs(look.probe.scale))
        gap = abs(value - other)
        if gap > rounding.lost(self.dtypes[look.probe.leaf]) * terms:
            return DIFFER
        return AGREE if gap <= NEGLIGIBLE * abs(value) else UNDECIDED

    def _beside_differences(self, where, look):
        probe, found = look.probe, look.found
        value, other, allowed = look.value, found.value, self.allowed(look)
        if not np.isfinite(other):  # no step was inside the domain on both sides
            value = other = 0.0
            allowed = np.inf
        hidden = 0.0 if self._is_nothing(look) else self._hidden(look)
        gap, noise = abs(value - other), self.noise(look)
        relative = self.settings.difference_rtol(self.dtypes[probe.leaf])
        if not found.rough and gap <= relative * abs(value) + noise:  # no excuse needed
            hidden = min(hidden, noise)
        kinked = found.kink and gap <= allowed
        row = judge_slope(
            where | {"witness": DIFFERENCES}, probe.index, probe.scale, value, other,
            allowed, noise=found.noise, kinked=kinked, hidden=hidden,
        )  # fmt: skip
        in_doubt = look.doubted or gap <= allowed + MORE * hidden
        in_doubt = in_doubt and row.verdict == DIFFER
        return replace(row, verdict=UNDECIDED) if in_doubt else row

    def _is_nothing(self, look):
        """Whether f does not change, and that is enough: all is differentiated by
        JAX's and our own rules, which differ; or the slope is given as zero, and no
        path leads from the leaf to the output, or little would hide beside what is
        seen of the others. Zeros alone may all be wrong, in the rounding of f."""
        found, leaf = look.found, look.probe.leaf
        if found.flat and not self.check.rules_may_lie:
            return True
        visible = max(self.steepest, self.sight.rounding(leaf))
        if not found.flat or abs(look.value) > NEGLIGIBLE * visible:
            return False
        told = found.noise <= HIDES * self.steepest or not self.value_size
        return told or found.still.size > 0 or not self.check.reaches[leaf]

    def precision(self, look):
        """The share of a slope that the differences may err by; infinite if they do
        not tell."""
        return over(self.noise(look), abs(look.value)) if look.value else np.inf

    def hidden_share(self, looks, closely):
        """The most that the differences err by along directions of a leaf, as a share
        of the terms of the slope; of terms that are next to nothing there they may,
        unless `closely`."""
        pairs = [(wide(self.x_bar[k.probe.leaf]), k.probe.direction) for k in looks]
        terms = np.array([norm(bar * direction) for bar, direction in pairs])
        noise = np.array([self.noise(look) for look in looks])
        if not terms.any():
            return 0.0
        least = np.where(terms > 0, ROUNDED, ABSENT) * terms.max()
        large = closely | (terms > SMALL * terms.max())
        return float((noise / np.maximum(terms, least))[large].max(initial=0.0))


def _terms(y_bar, y):
    """The 2-norm of the terms of <y_bar, y>, safe from overflow."""
    terms = [(wide(a) * wide(b)).ravel() for a, b in zip(y_bar, y, strict=True)]
    return norm(np.concatenate(terms or [np.zeros(0)]))


@dataclass(frozen=True)
class Settings:
    """What is allowed: relative and absolute gaps, where the caller set them."""

    relative: float | None = None
    atol: float = 0.0
    differences: bool = True

    def rtol(self, dtype):
        return rtol(dtype) if self.relative is None else self.relative

    def difference_rtol(self, dtype):
        return difference_rtol(dtype) if self.relative is None else self.relative
