"""What was counted while orders are looked for, and is not counted again.

Programs repeat themselves, and orders repeat each other: layers, steps and the entries
of small matrices have edges of one form, and the searches try the same vertices. In a
plan, without arrays, blocks of one form are one object, and what becomes of two of them
is counted once.
"""

from collections.abc import Callable
from typing import Any

from .factor import Factor, is_number
from .places import Axis, Index, Label
from .term import Term

NUMBER = 0.5  # any but 1 and -1, which products are told by


class Memory:
    """Blocks by their form, and what becomes of them by the blocks."""

    def __init__(self):
        self.blocks: dict[tuple, Any] = {}
        self.found: dict[tuple, tuple] = {}

    def block(self, block):
        """The first block of the same form, which stands for this one."""
        key = _form(block)
        return block if key is None else self.blocks.setdefault(key, block)

    def once(self, of: tuple, how: tuple, find: Callable, work):
        """`find(work)`, a block, and its work: the same for the same blocks.

        Args:
          of: blocks. how: what else it depends on.
          work: a count, to which this is added.
        """
        key = (*map(id, of), *how)
        known = self.found.get(key)
        if known is None:
            own = work.again()
            block = self.block(find(own))
            self.found[key] = block, own, of  # kept, so that their ids stay theirs
        else:
            block, own, _ = known
            work.counted_again(own)
        work.include(own)
        work.within()
        return block


def _form(block) -> tuple | None:
    """Equal of blocks that differ in the names of their labels, or in numbers, alone;
    None where positions by arrays, or operators, tell it from all others."""
    if block.operators:
        return None
    key: list = []
    for term in block.terms:
        names: dict[Label, int] = {}
        for axes in (term.out, term.of):
            key.append(len(axes))
            for axis in axes:
                if axis.index is not None:
                    return None
                key += (axis.size, axis.start, len(axis.steps))
                for label, step in axis.steps:
                    key += (step, label.size, names.setdefault(label, len(names)))
        array, labels, mask, negative = _parts(term.factor)
        key += (array, mask, negative, len(labels))
        for label in labels:
            key += (label.size, names.setdefault(label, len(names)))
    return tuple(key)


def _parts(factor: Factor) -> tuple:
    array = factor.array
    if is_number(factor):
        array = array if array in (1, -1) else NUMBER
    elif array is not None:
        array = ("array", id(array))  # the block that is kept holds it
    return array, factor.labels, factor.mask, factor.negative


def apart(after, before):
    """Both, one with labels of its own where the other has some of them: a block stands
    on many edges, and labels that are the same are equal.

    One without positions by arrays is renamed, if there is one: terms are added whose
    arrays of positions are the same.
    """
    others = {label for term in after.terms for label in _labels(term)}
    if all(others.isdisjoint(_labels(term)) for term in before.terms):
        return after, before
    if any(axis.index for term in before.terms for axis in (*term.out, *term.of)):
        return _renamed(after), before
    return after, _renamed(before)


def _renamed(block):
    return block._replace(terms=tuple(map(_with_new_labels, block.terms)))


def _labels(term: Term) -> list[Label]:
    placed = [x for axes in (term.out, term.of) for axis in axes for x in axis.labels]
    return [*placed, *term.factor.labels]


def _with_new_labels(term: Term) -> Term:
    names = {label: Label(label.size) for label in _labels(term)}
    sides = [tuple([_axis(axis, names) for axis in axes]) for axes in term[:2]]
    labels = tuple([names[label] for label in term.factor.labels])
    return Term(sides[0], sides[1], term.factor._replace(labels=labels))


def _axis(axis: Axis, names: dict[Label, Label]) -> Axis:
    steps = tuple([(names[label], step) for label, step in axis.steps])
    index = axis.index
    if index is not None:
        index = Index(tuple([names[label] for label in index.labels]), index.array)
    return Axis(axis.size, axis.start, steps, index)
