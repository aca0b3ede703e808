"""Sums of terms that stand in blocks beside one another: stacks, concatenations.

Each block is written from its own terms alone. In one pass over all of them every place
would ask for each term whether it is there.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from .places import Axis
from .term import Term


class Blocks(NamedTuple):
    """Windows of an axis that no term reaches over.

    Fields:
      axis: which of (*output, *input).
      parts: (size, terms) of every window in turn, the terms as of the window alone;
        none where all is zero.
    """

    axis: int
    parts: list[tuple[int, list[Term]]]


def blocks(terms: Sequence[Term], shape: Sequence[int]) -> Blocks | None:
    """Terms by the first axis that they part; None where no axis does."""
    if len(terms) < 2:
        return None
    for place, size in enumerate(shape):
        if size == 1:
            continue
        windows = [_window(_axes(term)[place]) for term in terms]
        if None in windows:
            continue
        parts = _parts(windows, terms, place, size)
        if sum(bool(own) for _, own in parts) > 1:
            return Blocks(place, parts)
    return None


def _axes(term: Term) -> tuple[Axis, ...]:
    return (*term.out, *term.of)


def _window(axis: Axis) -> tuple[int, int] | None:
    """From where to where positions along an axis reach; None if that is not known."""
    if axis.index is not None:
        return None
    ends = [step * (label.size - 1) for label, step in axis.steps]
    low = axis.start + sum(min(end, 0) for end in ends)
    return low, axis.start + sum(max(end, 0) for end in ends) + 1


def _parts(windows: Sequence, terms: Sequence[Term], place: int, size: int) -> list:
    found: list[Any] = []  # (start, end, terms), apart
    for (low, high), term in sorted(zip(windows, terms, strict=True), key=_start):
        if found and low < found[-1][1]:
            start, end, own = found.pop()
            found.append((start, max(end, high), [*own, term]))
        else:
            found.append((low, high, [term]))
    parts, at = [], 0
    for start, end, own in [*found, (size, size, [])]:
        if start > at:
            parts.append((start - at, []))
        if own:
            moved = [_moved(term, place, start, end - start) for term in own]
            parts.append((end - start, moved))
        at = end
    return parts


def _start(pair) -> int:
    return pair[0][0]


def _moved(term: Term, place: int, start: int, size: int) -> Term:
    axes = list(_axes(term))
    axes[place] = axes[place]._replace(size=size, start=axes[place].start - start)
    count = len(term.out)
    return Term(tuple(axes[:count]), tuple(axes[count:]), term.factor)
