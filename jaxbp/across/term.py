"""Structured Jacobians: terms, and their algebra.

A term is the matrix that has, for every value of its labels, the entry

    J[out(labels), of(labels)] += factor[labels],

where `out` and `of` say the positions along each axis of output and input. A diagonal,
a dense matrix, blocks, a broadcast, a sum, a slice, a gather are all terms, and so is
the product of any two: positions along the axis in the middle are made equal, which
makes labels one, and labels that are on neither side are summed. No identity is ever
multiplied with.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from .factor import ONE, Factor, added, multiplied, scaled
from .places import Axis, Label, Window, along, crossing


class Term(NamedTuple):
    """A structured matrix: positions along the axes of output and input, a factor."""

    out: tuple[Axis, ...]
    of: tuple[Axis, ...]
    factor: Factor = ONE

    @property
    def placed(self) -> set[Label]:
        """The labels that say where an entry stands."""
        return {label for axis in (*self.out, *self.of) for label in axis.labels}

    @property
    def entries(self) -> int:
        """How many entries are written."""
        return math.prod([label.size for label in self.placed])

    def put(self, label: Label, at: Axis) -> "Term":
        """With `at` in the place of a label."""
        out = tuple([axis.put(label, at) for axis in self.out])
        of = tuple([axis.put(label, at) for axis in self.of])
        return Term(out, of, self.factor.put(label, at))

    def put_all(self, ats: dict[Label, Axis]) -> "Term":
        """With an axis in the place of each of these labels, which none of them has."""
        sides = []
        for axes in (self.out, self.of):
            side = []
            for axis in axes:
                for label in axis.labels:
                    if label in ats:
                        axis = axis.put(label, ats[label])
                side.append(axis)
            sides.append(tuple(side))
        factor = self.factor
        for label in factor.labels:
            if label in ats:
                factor = factor.put(label, ats[label])
        out, of = sides
        return Term(out, of, factor)

    @property
    def transposed(self) -> "Term":
        return Term(self.of, self.out, self.factor)


def identity(shape: Sequence[int]) -> Term:
    """The identity of arrays of this shape."""
    axes = tuple([along(size) for size in shape])
    return Term(axes, axes)


def is_diagonal(term: Term) -> bool:
    """Whether its entries stand where the positions of output and input are equal."""
    labels = [axis.whole for axis in term.out if axis.size != 1]
    distinct = len(set(labels)) == len(labels)
    return None not in labels and distinct and term.out == term.of


class Met(NamedTuple):
    """Two terms whose positions along the axes in the middle are equal."""

    after: Term
    before: Term


def meet(after: Term, before: Term, dtype) -> Met | None:
    """`after` and `before` with labels made one; None where they nowhere meet."""
    found = _at_once(after, before)
    if found is not None:
        return found
    for place in range(len(after.of)):
        joined = _joined(after, before, place, dtype)
        if joined is None:
            return None
        after, before = joined
    return Met(after, before)


def _at_once(after: Term, before: Term) -> Met | None:
    """The same where all axes in the middle are labels of one side alone, which most
    are: in one pass over its axes."""
    middle = list(zip(after.of, before.out, strict=True))
    if any([x.size == 1 and (x.labels or y.labels) for x, y in middle]):
        return None  # one element, read many times
    middle = [(x, y) for x, y in middle if x.size != 1]
    found = _meetings(middle, before)
    if found is not None:
        return Met(after.put_all(found), before)
    found = _meetings([(y, x) for x, y in middle], after)
    return None if found is None else Met(after, before.put_all(found))


def _meetings(pairs: Sequence[tuple[Axis, Axis]], other: Term):
    """Per label that is all of an axis the axis that it meets; None where an axis is no
    such label, or `other` has it too."""
    found: dict[Label, Axis] = {}
    for x, y in pairs:
        label = x.whole
        if label is None or label in found:
            return None
        found[label] = y
    for axes in (other.out, other.of):
        for axis in axes:
            for label in axis.labels:
                if label in found:
                    return None
    return found


def composed(met: Met, dtype, precision) -> Term:
    """`after` times `before`."""
    after, before = met
    if not any([axis.steps or axis.index for axis in (*after.of, *before.out)]):
        if not after.factor.labels and not before.factor.labels:  # through a number
            factor = multiplied(after.factor, before.factor, (), dtype, precision)
            return Term(after.out, before.of, factor)
    kept = {label for axis in (*after.out, *before.of) for label in axis.labels}
    factor = multiplied(after.factor, before.factor, tuple(kept), dtype, precision)
    times = math.prod([label.size for label in vanished(met)])
    return Term(after.out, before.of, scaled(factor, times, dtype))


def vanished(met: Met) -> set[Label]:
    """Labels in the middle alone: the sum has equal terms along them."""
    after, before = met
    seen = {label for axis in (*after.out, *before.of) for label in axis.labels}
    seen.update(after.factor.labels, before.factor.labels)
    return (after.placed | before.placed) - seen


def _joined(after: Term, before: Term, place: int, dtype) -> Met | None:
    x, y = after.of[place], before.out[place]
    if x.same(y):
        return Met(after, before)
    if (label := x.whole) is not None and label not in y.labels:
        return _both(after, before, label, y)
    if (label := y.whole) is not None and label not in x.labels:
        return _both(after, before, label, x)
    if x.index is None and y.index is None:
        found = _by_digits(after, before, place)
        if found is not NotImplemented:
            return found
    if after.factor.size <= before.factor.size:
        after = straightened(after.transposed, place, dtype).transposed
        label = after.of[place].whole
        return Met(after.put(label, y), before) if label else Met(after, before)
    before = straightened(before, place, dtype)
    label = before.out[place].whole
    return Met(after, before.put(label, x)) if label else Met(after, before)


def _both(after: Term, before: Term, label: Label, at: Axis) -> Met:
    return Met(after.put(label, at), before.put(label, at))


def straightened(term: Term, place: int, dtype) -> Term:
    """With one label of its own all along an axis of the output.

    The factor gets that label: a one where the position is, beside the labels that
    stand there now.
    """
    axis = term.out[place]
    new = along(axis.size)
    label = new.whole
    out = (*term.out[:place], new, *term.out[place + 1 :])
    if label is None:  # one element, added up as often as it was read
        rest = Term(out, term.of)
        lost = set(axis.labels) - rest.placed - set(term.factor.labels)
        times = math.prod([other.size for other in lost])
        return rest._replace(factor=scaled(term.factor, times, dtype))
    own = tuple(dict.fromkeys(axis.labels))
    hot = Factor((*own, label), None, True)
    known = axis.index is None or axis.index.array is not None
    if term.factor.array is not None and known:
        grid = (*own, label)
        every = np.arange(axis.size, dtype=np.int32)
        hot = hot._replace(array=jnp.asarray(axis.positions(grid)) == every)
    rest = Term(out, term.of)
    factor = multiplied(hot, term.factor, tuple(rest.placed), dtype, None)
    return rest._replace(factor=factor)


# Positions that are sums of several labels ------------------------------------


def _by_digits(after: Term, before: Term, place: int):
    """Joins the labels of an axis one by one, as digits of the position."""
    for _ in range(16):  # splits a label each time
        x, y = after.of[place], before.out[place]
        if len(x.steps) <= 1 and len(y.steps) <= 1:
            return _crossed(after, before, _window(x), _window(y))
        bases = sorted({abs(s) for _, s in (*x.steps, *y.steps)} | {1}, reverse=True)
        if any(big % small for big, small in zip(bases, bases[1:], strict=False)):
            return NotImplemented
        digits = [_digits(axis, bases) for axis in (x, y)]
        split = next((d for d in digits if isinstance(d, tuple)), None)
        if split is not None:
            label, low = split
            if label.size % low:
                return NotImplemented
            pair = Label(label.size // low), Label(low)
            at = Axis(label.size, 0, ((pair[0], low), (pair[1], 1)))
            after, before = _both(after, before, label, at)
            continue
        if any(d is NotImplemented for d in digits):
            return NotImplemented
        for mine, its in zip(*digits, strict=True):
            met = _crossed(after, before, mine, its)
            if met is None:
                return None
            after, before = met
        return Met(after, before)
    return NotImplemented


def _window(axis: Axis) -> tuple[Window, Label | None]:
    if not axis.steps:
        return Window(axis.start, 1, 1), None
    ((label, step),) = axis.steps
    return Window(axis.start, step, label.size), label


def _digits(axis: Axis, bases: list[int]):
    """Per base the window of its digit and the label; (label, size of the digit) where
    a label is longer than its digit; NotImplemented where digits carry over."""
    found = []
    rest = axis.start
    if rest < 0:
        return NotImplemented
    for level, base in enumerate(bases):
        start, rest = divmod(rest, base)
        most = bases[level - 1] // base if level else None
        labels = [label for label, step in axis.steps if step == base]
        if len(labels) > 1:
            return NotImplemented
        label = labels[0] if labels else None
        count = label.size if label else 1
        if most is not None and start + count > most:
            return (label, most) if label and not start else NotImplemented
        found.append((Window(start, 1, count), label))
    negative = any(step < 0 for _, step in axis.steps)
    return NotImplemented if negative else found


def _crossed(after: Term, before: Term, first, second) -> Met | None:
    (mine, label), (its, other) = first, second
    if label is not None and label is other:
        return (
            Met(after, before)
            if mine == its
            else _diagonal(after, before, first, second)
        )
    if mine == its and label is not None and other is not None:
        return _both(after, before, label, Axis(label.size, 0, ((other, 1),)))
    cross = crossing(mine, its)
    if not cross.count:
        return None
    new = along(cross.count)
    for old, (start, step) in ((label, cross.first), (other, cross.second)):
        if old is not None:
            steps = tuple([(own, step) for own, _ in new.steps])
            after, before = _both(after, before, old, Axis(old.size, start, steps))
    return Met(after, before)


def _diagonal(after, before, first, second):
    """One label on both sides, at different positions: they meet at most once."""
    (mine, label), (its, _) = first, second
    slope = mine.step - its.step
    if slope == 0:
        return None
    value, rest = divmod(its.start - mine.start, slope)
    if rest or not 0 <= value < label.size:
        return None
    return _both(after, before, label, Axis(label.size, value))


# Sums -------------------------------------------------------------------------


def is_single(term: Term) -> bool:
    """Whether it is one entry at a place that is a number."""
    return not any([axis.steps or axis.index for axis in (*term.out, *term.of)])


def signature(term: Term) -> tuple:
    """Equal of terms whose entries stand at the same places."""
    if is_single(term):
        axes = (term.out, term.of)
        return tuple([tuple([(a.size, a.start) for a in side]) for side in axes])
    names: dict[Label, int] = {}

    def named(label):
        return names.setdefault(label, len(names)), label.size

    return tuple(
        [
            tuple(
                [
                    (
                        axis.size,
                        axis.start,
                        tuple([(named(label), step) for label, step in axis.steps]),
                        axis.index
                        and (id(axis.index), tuple(map(named, axis.index.labels))),
                    )
                    for axis in axes
                ]
            )
            for axes in (term.out, term.of)
        ]
    )


def merged(terms: Sequence[Term], dtype) -> list[Term]:
    """Terms at the same places are added, so that each place is kept once."""
    found: dict[tuple, Term] = {}
    for term in terms:
        key = signature(term)
        there = found.get(key)
        found[key] = term if there is None else _plus(there, term, dtype)
    return list(found.values())


def _plus(term: Term, other: Term, dtype) -> Term:
    names = dict(zip(_in_order(other), _in_order(term), strict=True))
    labels = tuple([names[label] for label in other.factor.labels])
    factor = added(term.factor, other.factor._replace(labels=labels), dtype)
    return term._replace(factor=factor)


def _in_order(term: Term) -> list[Label]:
    axes = (*term.out, *term.of)
    return list(dict.fromkeys([label for axis in axes for label in axis.labels]))
