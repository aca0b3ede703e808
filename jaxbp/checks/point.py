"""All witnesses at one point: leaf by leaf, and the adjoint identity over all."""

from dataclasses import replace

import numpy as np

from . import probes as directions
from . import rounding
from .adjoint import adjoint_sums
from .afresh import afresh
from .alone import alone
from .closeness import FEW_DIGITS, epsilon, inner, wide
from .closer import EXPLAINED, Closer
from .draws import unless_drawn
from .finding import explain
from .judge import judge_elements, judge_slope
from .looks import Looker
from .pooled import pooled
from .rows import (
    ADJOINT,
    AGREE,
    DIFFER,
    DIFFERENCES,
    KINK,
    UNDECIDED,
    YOURS,
    place,
    unless_barely,
    worst,
)
from .slack import Slack

JUMP = 4.0  # times what rounding was seen to do to f: less is no jump of f
CERTAIN = 3.0  # times what is allowed: no noise is taken for a disagreement
PLAINLY = 10.0  # times what is allowed: your gradient, not rounding, is wrong
SHARE = 1e-3  # of two gradients' sizes: one is not the other,
SHARE_OF_FEW = 1 / 16  # in types of 16 bits by so much
ELEMENTS = 8  # that differ most are set beside the differences


class Point:
    """One point: its arguments, cotangent and what each witness says there.

    Args:
      check: the comparison under way: subject, report, rng, settings.
      number: 0 for the point given.
      xs: list of arrays by leaf. y, y_bar: lists of arrays by output.
      bars: name -> list of arrays by leaf: the gradients by the reverse modes.
    """

    def __init__(self, check, number, xs, y, y_bar, bars):
        self.check, self.number = check, number
        self.xs, self.y, self.y_bar = xs, y, y_bar
        self.bars, self.report, self.rng = bars, check.report, check.rng
        self.names, self.dtypes = check.subject.names, check.dtypes
        self.judged = bars[self.report.judged]
        self.hidden: dict = {}  # leaf -> share of a slope that f's rounding hides
        # Of your gradient, and of rules that all systems follow, only values tell.
        self.closely = check.rules_may_lie or self.report.judged == YOURS
        self.slack = Slack(check, xs, y_bar, bars)
        self.looker = Looker(check, xs, y, y_bar, self.judged, self.slack.allowed)
        told = next((n for n in bars if n != YOURS), YOURS)  # compiled, and exact
        self.closer = Closer(self.looker, lambda xs: check.gradient(told, xs, y_bar))

    def where(self, leaf, **more):
        return {"leaf": leaf, "point": self.number, "judged": self.report.judged} | more

    def compare(self, count, leaves=None):
        """Rows of every leaf, or of some by number, and the adjoint identities."""
        leaves = range(len(self.xs)) if leaves is None else leaves
        finite = [np.isfinite(wide(bar)).all() for bar in self.judged]
        steep = self.number == 0 or count > 1  # of many leaves at the first point only
        wanted = [
            probe for j in leaves if finite[j] for probe in self._cover(j, count, steep)
        ]
        looks = self._again(self.looker.look(wanted))
        looks = self._settled(afresh(self.looker, looks, self.rng))
        singles = alone(self.looker, looks, self.rng)
        looks += self._settled(self._again(singles)) if singles else []
        looks += pooled(self.looker, looks)
        self._name_jumps(looks)
        seen = {k.probe.leaf for k in looks if np.isfinite(k.found.value)}
        if self.check.settings.differences:
            blind = {k.probe.leaf for k in looks} - seen
            self.report.blind |= {(self.names[j], self.number) for j in blind}
        for j in leaves:
            if self.xs[j].size:
                self._compare_leaf(j, [k for k in looks if k.probe.leaf == j])
        self.report.rows.extend(self._adjoints(looks))

    def _cover(self, j, count, steep):
        x, x_bar = self.xs[j], self.judged[j]
        return directions.cover(j, x, x_bar, count, self.rng, steep)

    def _name_jumps(self, looks):
        """Note where the point sits on a discontinuity of f."""
        for j, name in enumerate(self.names):
            jumps = [k.found.jump for k in looks if k.probe.leaf == j and k.found.jump]
            if jumps and max(jumps) > JUMP * self.looker.sight.largest_rounding():
                self.report.notes.append(
                    f"f changes by {max(jumps):.3g} however short the step of `{name}` "
                    f"at {place(self.number)}: it is discontinuous there, or swings "
                    "between neighbouring numbers, and no step sees a slope."
                )

    def _again(self, looks):
        """`looks`, where what disagrees or cannot tell was looked at by other steps."""
        doubtful = self._doubtful(looks)
        if doubtful and self.looker.sight.hear_rounding():
            self._look_again(looks, doubtful)
            self._by_own_rounding(looks, doubtful)
        looks = self._closer(looks)
        told = {k.probe.leaf for k in looks if self._tells(k)}
        blind = {k.probe.leaf for k in looks} - told
        if blind and self.check.settings.differences:
            further = self.looker.look(self._by_own_size(sorted(blind)))
            looks += self._closer(further)
        return looks

    def _look_again(self, looks, places):
        """Looks at some of them by the noise that is known now."""
        heard = self.looker.look([looks[i].probe for i in places])
        for i, look in zip(places, heard, strict=True):
            looks[i] = look

    def _by_own_rounding(self, looks, doubtful):
        """Where f's rounding explains a disagreement, it must be that of the leaf."""
        calm = [i for i in doubtful if self.looker.excess(looks[i]) <= 1]
        leaves = list(dict.fromkeys(looks[i].probe.leaf for i in calm))[:EXPLAINED]
        high = {j for j in leaves if self.looker.sight.hear_own_rounding(j)}
        self._look_again(looks, [i for i in calm if looks[i].probe.leaf in high])

    def _closer(self, looks):
        """`looks`, where those that disagree are as the closer look finds them."""
        doubtful = self._doubtful(looks)
        found = self.closer([looks[i] for i in doubtful])
        for i, look in zip(doubtful, found, strict=True):
            looks[i] = look
        return looks

    def _doubtful(self, looks):
        return [i for i, look in enumerate(looks) if self.looker.excess(look) > 1]

    def _settled(self, looks):
        """Looks with what rounding every operation does to the gradient, if two exact
        derivatives differ by more than shaking the arguments showed.

        Of 1 - p with p almost 1 a shake may show nothing: p stays the same number.
        Asked in doubt only, since it compiles the gradient anew.
        """
        others = [
            bars for name, bars in self.bars.items() if name != self.report.judged
        ]
        apart = any(self._over(j, bars[j])[0].any() for bars in others
                    for j in range(len(self.xs)))  # fmt: skip
        apart |= any(map(self.looker.forwards_that_differ, looks))
        apart |= any(row.failed for row in self._adjoints(looks))
        if not apart:
            return [self._by_rounding(look) or look for look in looks]
        self.slack.allowed = self.looker.slack = self.slack.louder
        looks = [self.looker.slackened(look, self.looker.slack) for look in looks]
        return [
            look if self._stands_alone(look) else self.looker.with_blur(look)
            for look in looks
        ]

    def _stands_alone(self, look):
        """Whether your gradient alone is plainly not what all others and f's values
        say: no rounding of theirs is asked for then."""
        if self.report.judged != YOURS or self.looker.excess(look) <= PLAINLY:
            return False
        direction, j = look.probe.direction, look.probe.leaf
        others = [
            inner(bars[j], direction) for n, bars in self.bars.items() if n != YOURS
        ]
        others += [slope for slope, _ in look.forwards.values()]
        gaps = [abs(other - look.found.value) for other in others]
        return bool(gaps) and max(gaps) <= self.looker.allowed(look)

    def _by_rounding(self, look):
        """The look with what rounding does to the gradient, if that explains why the
        differences disagree in an element; of many, one that is wrong would drown."""
        if len(look.probe.members) == 1 and self._disagrees(look):
            louder = self.looker.slackened(look, self.slack.louder)
            return None if self.looker.excess(louder) > 1 else louder
        return None

    def _disagrees(self, look):
        return not look.doubted and self.looker.excess(look) > 1

    def _over(self, j, bar):
        """Where a gradient of leaf `j` is farther from the judged than rounding puts
        it; the gap, and what is allowed beside that."""
        x_bar, settings = self.judged[j], self.check.settings
        with np.errstate(invalid="ignore", over="ignore"):
            sizes = np.abs(wide(x_bar)) + np.abs(wide(bar))
            gap = np.abs(wide(x_bar) - wide(bar))
        allowed = settings.rtol(self.dtypes[j]) * sizes + settings.atol
        return gap > allowed + self.slack.of[j], gap, allowed, sizes

    def _tells(self, look):
        row = self.looker.rows(self.where(""), look)[0]
        return row.verdict != UNDECIDED

    def _by_own_size(self, leaves):
        """The gradient's direction, elements measured by their own sizes and by 1."""
        found = []
        for j in leaves:
            x = self.xs[j]
            probe = directions.steepest(j, x, self.judged[j], one_by_one=True)
            if probe is not None:
                unit = np.abs(probe.direction).max()
                found += [probe, probe.shorter(unit, x.dtype)]
        return found

    def _compare_leaf(self, j, looks):
        """The rows of one leaf, and in words what is wrong with it."""
        name = self.names[j]
        rows = [
            self._by_element(self._beside_reverse(name, j, other, bars[j]), j, bars[j])
            for other, bars in self.bars.items()
            if other != self.report.judged
        ]
        if looks:
            self.hidden[name] = self.looker.hidden_share(looks, self.closely)
            known = any(row.failed for row in rows)
            narrow = self._narrowed if self._is_explained(name) else _unless_certain
            rows += self._beside_directions(name, looks, None if known else narrow)
        elif not rows:  # not finite, and no second gradient beside it
            where = self.where(name, witness=self.report.judged)
            rows.append(judge_elements(where, self.judged[j], self.judged[j], 1.0))
        if self.check.drawn[j]:
            self.report.drawn.add(name)
            rows = list(map(unless_drawn, rows))
        self.report.rows.extend(rows)
        failed = [row for row in rows if row.failed]
        told = [finding.leaf for finding in self.report.findings]
        if failed and name not in told and self._is_explained(name):
            row = max(failed, key=lambda row: (row.index is not None, row.excess))
            self.report.findings.append(explain(self, j, row))

    def _is_explained(self, name):
        """Whether what is wrong with a leaf is looked for: of the first that are."""
        told = [finding.leaf for finding in self.report.findings]
        return name in told or len(told) < EXPLAINED

    def _beside_reverse(self, name, j, other, bar):
        x_bar, dtype, settings = self.judged[j], self.dtypes[j], self.check.settings
        _, gap, allowed, sizes = self._over(j, bar)
        lost = rounding.lost(dtype) * sizes.max(initial=0.0)
        slack, is_certain = self.slack.of[j], False
        if self.report.judged == YOURS and (gap > allowed + lost).any():
            slack, _, is_certain = self.slack.measured(other, j)
        row = judge_elements(
            self.where(name, witness=other), x_bar, bar, allowed + slack
        )
        if row.verdict != DIFFER or not settings.differences:
            return row
        over = np.flatnonzero(gap > allowed + slack)
        members = over[np.argsort(-gap.ravel()[over], kind="stable")][:ELEMENTS]
        told = self._beside_values(row, j, bar, members)
        if is_certain and told.verdict == UNDECIDED:
            return row
        is_excused = not is_certain and (gap <= allowed + self.slack.of[j]).all()
        return replace(told, verdict=UNDECIDED) if is_excused else told

    def _by_element(self, row, j, bar):
        """`row` of your gradient, unless its own rounding does not explain how far an
        element of it is from the other's: what large entries of a leaf are rounded by
        is no excuse for a small one, nor are the few digits of 16 bits."""
        if self.report.judged != YOURS or row.verdict not in (AGREE, UNDECIDED):
            return row
        _, gap, allowed, sizes = self._over(j, bar)
        least, share = allowed, SHARE
        if epsilon(self.dtypes[j]) > FEW_DIGITS:
            least, share = epsilon(self.dtypes[j]) * sizes, SHARE_OF_FEW
        doubtful = (gap > allowed) & (gap > share * sizes)
        if not doubtful.any():
            return row
        _, own, is_certain = self.slack.measured(row.witness, j)
        allowed = np.where(doubtful, least + own, np.inf)
        where = self.where(row.leaf, witness=row.witness)
        found = judge_elements(where, self.judged[j], bar, allowed)
        if found.verdict == AGREE or (is_certain and found.excess > CERTAIN):
            return found if found.failed else row
        return replace(found, verdict=UNDECIDED)

    def _beside_values(self, row, j, bar, members):
        """`row`, unless f's values explain why two gradients differ at its elements:
        both are one-sided slopes of a kink, or both vanish in the rounding of f."""
        probes = [directions.one_hot(j, self.xs[j], m) for m in members]
        looks = self.looker.look(probes, forwards=False)
        others = [inner(bar, look.probe.direction) for look in looks]
        pairs = zip(looks, others, strict=True)
        verdicts = {self.looker.explained(look, other) for look, other in pairs}
        order = (DIFFER, UNDECIDED, KINK, AGREE)
        return replace(row, verdict=next(v for v in order if v in verdicts))

    def _beside_directions(self, name, looks, narrow):
        """The worst row beside each witness that works direction by direction."""
        by_witness = {}
        for look in looks:
            for row in self.looker.rows(self.where(name), look):
                by_witness.setdefault(row.witness, []).append((row, look))
                if row.witness == DIFFERENCES and row.verdict == AGREE:
                    self.report.seen_to(name, self.looker.precision(look))
        found = []
        for pairs in by_witness.values():
            alone = [row for row, _ in pairs if row.fails_alone]
            row = worst(alone or [row for row, _ in pairs])
            look = next(look for other, look in pairs if other is row)
            found.append(narrow(row, look) if narrow and row.failed else row)
        return found

    def _narrowed(self, row, look):
        """The row of the one element that makes a group's row fail.

        Where several elements are at kinks of their own, the sum of their one-sided
        slopes need not enclose the sum of the subgradients chosen. A disagreement that
        is gone in both halves is of that kind, if their kinks reach as far as it, and
        noise or kinks beside the point, if it is hardly more than what is allowed.
        """
        probe = look.probe
        if len(probe.members) == 1:
            return unless_barely(row)
        x, seen = self.xs[probe.leaf], {probe.members.tobytes(): (row, look)}

        def excess(parts):
            probes = [directions.along(probe.leaf, x, part, self.rng) for part in parts]
            by_values = row.witness == DIFFERENCES
            looks = self.closer.heard(self.looker.look(probes, not by_values))
            for part, look in zip(parts, looks, strict=True):
                rows = self.looker.rows(self.where(row.leaf), look)
                here = [r for r in rows if r.witness == row.witness]
                seen[part.tobytes()] = (here or [row])[0], look
            found = [seen[part.tobytes()][0].excess for part in parts]
            if not by_values:
                return found
            apart = map(self.looker.excess_alone, looks)
            return [max(pair) for pair in zip(found, apart, strict=True)]

        is_certain = row.excess >= CERTAIN  # and a part that is less so is no better
        part = directions.locate(probe.members, excess, CERTAIN if is_certain else 1.0)
        found, last = seen[part.tobytes()]
        if last.doubted or (len(part) == 1 and self._by_rounding(last) is not None):
            return replace(row, verdict=UNDECIDED)
        if len(part) > 1:
            halves = [seen[half.tobytes()][1] for half in np.array_split(part, 2)]
            reach = sum(half.found.reach for half in halves)
            if reach > abs(last.value - last.found.value) / 4:
                return replace(row, verdict=KINK)
            if not is_certain:
                return replace(row, verdict=UNDECIDED)
        return row if is_certain and not found.failed else unless_barely(found)

    def _adjoints(self, looks):
        """Rows of <y_bar, J x_dot> = <J^T y_bar, x_dot> within each system with both
        modes, for the sum of all directions looked along."""
        rows = []
        for forward in sorted({name for look in looks for name in look.forwards}):
            system = forward.removesuffix(" forward")
            x_bar = self.bars.get(f"{system} reverse")
            if x_bar is None or not all(np.isfinite(wide(b)).all() for b in x_bar):
                continue
            here = [look for look in looks if forward in look.forwards]
            left, right, size = adjoint_sums(here, forward, x_bar)
            dtype = max(self.dtypes, key=epsilon)
            allowed = self.check.settings.rtol(dtype) * size
            allowed += rounding.lost(dtype) * self.looker.value_size  # f's own
            allowed += sum(self.looker.rounding(look, forward) for look in here)
            allowed += sum(look.blurred.get(forward, 0.0) for look in here)
            where = self.where(ADJOINT, witness=f"{system} adjoint")
            where["judged"] = f"{system} reverse"
            rows.append(judge_slope(where, None, 1.0, right, left, allowed))
        return rows


def _unless_certain(row, look):
    """A row of a group, undecided where a closer look might find it right."""
    return row if row.excess >= CERTAIN else replace(row, verdict=UNDECIDED)
