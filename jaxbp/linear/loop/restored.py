"""Carried arrays that the reverse loop restores: writes are undone, last to first.

    K = K.at[t].set(k);  y = K @ q        of a step: y's derivative asks for all of K
    stacked:   K of every step                 n numbers a step
    restored:  what K.at[t] was before         a part of K a step, and K after the loop

Going back, the array is carried along: where a step wrote a part, what stood there
before is put back. What a loop keeps is then no more than what it wrote.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jax import lax

from .. import in_place


@dataclass(slots=True, unsafe_hash=True)
class Undo:
    """Puts back a part of an array: static.

    Fields:
      part: its shape.
      params: of the scatter that wrote it; None: a dynamic_update_slice.
      update: the shape of what that wrote.
      indices, before: where, and what stood there: places among the residuals kept.
    """

    part: tuple[int, ...]
    params: Any
    update: tuple[int, ...]
    indices: tuple[int, ...]
    before: int

    def at(self, places: Mapping[int, int]) -> "Undo":
        """With its residuals at other places."""
        return dataclasses.replace(
            self,
            indices=tuple([places[i] for i in self.indices]),
            before=places[self.before],
        )

    def __call__(self, x, kept: Sequence, zero=None):
        """`x` before the write; `zero`, if given, is added to its part."""
        starts: Any = [kept[place] for place in self.indices]
        if self.params is not None:
            window = in_place.window_of(x.shape, starts[0], self.update, self.params)
            assert window is not None
            starts = window.starts
        part = kept[self.before]
        if zero is not None:
            zero = lax.convert_element_type(zero, part.dtype)
            part = lax.add(part, lax.broadcast(zero, part.shape))
        return in_place.write(x, part, starts)


@dataclass(slots=True, unsafe_hash=True)
class Restored:
    """A carried array and its versions within a step, last to first: static.

    Fields:
      last: its place after the loop, among the residuals kept.
      undos: from each version to the one before it.
      versions: per version its place among the residuals kept, or None.
    """

    last: int
    undos: tuple[Undo, ...]
    versions: tuple[int | None, ...]

    def places(self) -> list[int]:
        """Of its versions, among the residuals kept."""
        return [place for place in self.versions if place is not None]

    def needs(self) -> list[int]:
        """The places of all that it reads and fills."""
        read = [p for undo in self.undos for p in (*undo.indices, undo.before)]
        return [self.last, *read, *self.places()]

    def at(self, places: Mapping[int, int]) -> "Restored":
        """With its residuals at other places."""
        return Restored(
            places[self.last],
            tuple([undo.at(places) for undo in self.undos]),
            tuple([None if p is None else places[p] for p in self.versions]),
        )

    def fill(self, x, kept: list) -> Callable:
        """Puts the versions of a step into their places, from `x` after it.

        Returns:
          A function of what the step computes with them: gives the array before the
          step. Undone last is what nothing of the step asks for: then it is in place.
        """
        used = [i for i, place in enumerate(self.versions) if place is not None]
        for i in range(max(used) + 1):
            place = self.versions[i]
            if place is not None:
                kept[place] = x
            if i < max(used):
                x = self.undos[i](x, kept)

        def first(results: Sequence):
            found = x
            for i, undo in enumerate(self.undos[max(used) :]):
                found = undo(found, kept, None if i else _after(results))
            return found

        return first


def _after(results: Sequence):
    """0, known only when all of this was computed."""
    zero = None
    for value in results:
        if value is not None and value.size:
            new = in_place.zero_after(value)
            zero = new if zero is None else lax.add(zero, new)
    return zero
