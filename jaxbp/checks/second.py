"""A second look, in float64, at what f's own rounding hides.

Of a function of float32 or bfloat16 the differences often tell little: its values are
rounded by more than a wrong gradient would change them. Then the programs of f and of
its derivatives are computed once more, operation by operation, in float64 (`wider`).
There a right rule agrees with the values to many digits, and a wrong one does not.
"""

import copy
import warnings
from dataclasses import replace

import jax
import numpy as np

from . import rounding
from .closeness import difference_rtol, epsilon, inner, norm, wide
from .differences import FLAT, sizes_of
from .eager import NEEDS_VALUES
from .judge import over
from .looks import Settings
from .refusal import reason
from .report import Report
from .rows import (
    ADJOINT,
    AGREE,
    CLOSELY,
    COARSE,
    DIFFERENCES,
    NOT_FINITE,
    UNDECIDED,
    YOURS,
)
from .witness import Given

FINE = 3e-4  # of a slope: what f's rounding may hide where a rule of f's may be wrong


def look_wider(check, point, count):
    """Looks in float64 at the leaves of which a Point tells little, and puts what is
    seen in the place of its rows.

    Args:
      check: Comparison. point: Point, compared. count: directions a leaf, at most.

    Cost: the programs of f's values and of the judged gradient, compiled once more; of
    others those that disagreed in doubt. None where all is clear.
    """
    if not check.settings.differences:
        return
    doubts = _doubts(check, point)
    _note_hidden(check.report, point)
    if not doubts or check.wider is None:
        return
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # f's own were given before
        names = check.subject.names
        leaves = [j for j, name in enumerate(names) if name in doubts]
        try:
            again = _in_float64(check, point, set().union(*doubts.values()))
            if again is None:
                return
            again.compare(count, leaves)
        except Exception as error:  # no form for float64, or no batching
            check.refused["the look in float64"] = reason(error, check.subject.name)
            return
    for name, witnesses in doubts.items():
        _put(check.report, point, again, name, witnesses)
    adjoint = {r.witness: r for r in _rows(again.report, ADJOINT, point.number)}
    _replace(check.report, adjoint, ADJOINT, point.number)


def _doubts(check, point):
    """leaf -> witnesses whose rows at the point are not sure."""
    found, modes = {}, _no_transposes(check.report, point.number)
    most = FINE if point.closely else COARSE
    is_close = len(check.subject.x) <= CLOSELY
    for name in check.report.looked_at:
        rows = _rows(check.report, name, point.number)
        verdicts = {row.verdict for row in rows}
        if NOT_FINITE in verdicts or DIFFERENCES not in {row.witness for row in rows}:
            continue
        unsure = modes | {row.witness for row in rows if _is_unsure(row)}
        hides = is_close and point.hidden.get(name, 0.0) > most
        if unsure or hides or name in check.report.widened:
            found[name] = unsure | {DIFFERENCES}
    return found


def _note_hidden(report, point):
    """How much may hide of each leaf at the point where it agrees the most clearly."""
    for name in report.looked_at:
        rows = _rows(report, name, point.number)
        if any(r.witness == DIFFERENCES and r.verdict == AGREE for r in rows):
            _less_hidden(report, name, point)


def _less_hidden(report, name, point):
    share = point.hidden.get(name, 0.0)
    report.hidden[name] = min(share, report.hidden.get(name, share))


def _no_transposes(report, number):
    """The witnesses whose two modes are not transposes of one another, by name."""
    failed = [row for row in _rows(report, ADJOINT, number) if row.failed]
    systems = [row.witness.removesuffix(" adjoint") for row in failed]
    return {f"{name} {mode}" for name in systems for mode in ("reverse", "forward")}


def _is_unsure(row):
    """Whether they differ, it could not be told, or two agree by their rounding."""
    gap, sizes = abs(row.value - row.other), abs(row.value) + abs(row.other)
    return row.verdict != AGREE or gap > COARSE * sizes


def _rows(report, name, number):
    return [row for row in report.rows if row.leaf == name and row.point == number]


def _in_float64(check, point, witnesses):
    """The Point in float64; None where f is another there by more than its rounding
    explains."""
    again, wider = copy.copy(check), check.wider
    own, judged = check.report, check.report.judged
    wanted = {judged, *witnesses}
    if judged == YOURS:
        wanted.add(next((name for name in point.bars if name != YOURS), YOURS))
    again.report = Report(own.name, judged, own.leaves, points=1)
    again.subject, again.values, again.refused = wider, wider.values, {}
    again.dtypes = [np.dtype(np.float64)] * len(check.dtypes)
    again.settings = _settings(check)
    xs, y_bar = list(map(wide, point.xs)), list(map(wide, point.y_bar))
    y = wider.evaluate(xs)
    if not _is_own(point, y):
        return None
    again.reverses = {
        name: _reverse(wider, name, check.reverses[name], point, xs, y_bar)
        for name in point.bars
        if name in wanted
    }
    again.forwards = {
        name: wider.forward(name, slopes)
        for name, slopes in check.forwards.items()
        if name in wanted
    }
    bars = {name: run(xs, y_bar)[1] for name, run in again.reverses.items()}
    wider.values.least = check.values.least  # one number of lanes, one program
    return type(point)(again, point.number, xs, y, y_bar, bars)


def _reverse(wider, name, reverse, point, xs, y_bar):
    """A reverse mode in float64; a gradient of numpy's as it is, of such arguments."""
    found = wider.reverse(name, reverse, point.y_bar)
    try:
        found(xs, y_bar)
    except NEEDS_VALUES:
        if not isinstance(reverse, Given):
            raise
        return reverse
    return found


def _settings(check):
    """Rules are held to what constants of f's own type allow: those of a rule may be
    rounded to other digits than those of f, or written with five."""
    given = check.settings
    relative = max(2 * max(map(epsilon, check.dtypes)), difference_rtol(np.float32))
    relative = relative if given.relative is None else given.relative
    return Settings(relative, given.atol, differences=True)


def _is_own(point, y):
    """Whether `y` is f's value but for what rounding does to that."""
    triples = zip(point.y_bar, y, point.y, strict=True)
    gap = abs(sum(inner(b, wide(y) - wide(own)) for b, y, own in triples))
    looker = point.looker
    least = rounding.lost(max(point.dtypes, key=epsilon)) * looker.value_size
    return gap <= least or (gap <= rounding.SAFETY * looker.sight.largest_rounding())


def _put(report, point, again, name, witnesses):
    """The rows of one leaf at a point, as float64 shows them."""
    found = {row.witness: row for row in _rows(again.report, name, point.number)}
    seen = {w: row for w, row in found.items() if row.failed or w in witnesses}
    if not seen or NOT_FINITE in {row.verdict for row in seen.values()}:
        return
    share = _off(point, again, name)
    if share > COARSE:
        if share < np.inf:
            report.rounded.setdefault(name, share)
        seen = {w: _at_most_undecided(row) for w, row in seen.items()}
    elif name in again.report.precision:
        report.seen_to(name, again.report.precision[name])
    _replace(report, seen, name, point.number)
    report.widened.add(name)
    _less_hidden(report, name, again)
    report.blind.discard((name, point.number))
    report.blind |= {place for place in again.report.blind if place[0] == name}
    still = any(row.failed for row in report.rows if row.leaf == name)
    known = [f for f in report.findings if f.leaf == name and still]
    told = [f for f in known if f.point < point.number]
    told = told or [f for f in again.report.findings if f.leaf == name] or known
    report.findings = [f for f in report.findings if f.leaf != name] + told


def _replace(report, seen, name, number):
    """Rows by witness in the place of those of a leaf at a point."""
    report.rows = [
        seen.pop(row.witness, row) if (row.leaf, row.point) == (name, number) else row
        for row in report.rows
    ]
    report.rows += seen.values()


def _off(point, again, name):
    """How far the judged gradient of a leaf is from that of the same operations in
    float64, as a share of this; 0 where f changes by no more than its own rounding as
    far as they differ."""
    j = point.names.index(name)
    gap, right = wide(point.judged[j]) - again.judged[j], again.judged[j]
    moved = norm(gap * sizes_of(point.xs[j], one_by_one=True))
    is_seen = moved > FLAT * point.looker.sight.rounding(j)
    return over(norm(gap), norm(right)) if is_seen else 0.0


def _at_most_undecided(row):
    return replace(row, verdict=UNDECIDED) if row.verdict == AGREE else row
