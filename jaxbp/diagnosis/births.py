"""Where in a walk of the linear program a NaN or an Inf is born, and what it reaches.

A map that is given finite numbers alone and brings one that is not gives birth to it.
Where some of what it is given is not finite already, it is asked again with those
elements at zero: what is still not finite is its own, all else is inherited. So every
element that is not finite is traced to births; one that a select drops on its way
reaches nothing, and is none that anyone need know of.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..linear.base import Edge, add
from ..linear.program import LinearProgram
from .watch import bad_places


@dataclass(eq=False)
class Event:
    """A birth in a walk.

    Fields:
      edge, place: the edge, and where it stands in the program; None: two finite
        contributions to one slot overflowed when they were added.
      given: what the map was given: cotangents, walking back.
      source: of these, the place in the list that holds what is looked at.
      target: the place in what it brings.
      where: bool array, the elements of that which are born here.
      step: of a loop, the one in which they are born, to be opened; else None.
    """

    edge: Edge | None
    place: int
    given: list
    target: int
    where: np.ndarray
    step: Any = None

    @property
    def index(self) -> tuple[int, ...]:
        """The first element, as an index; () where there is none."""
        if not self.where.any():
            return ()
        return tuple(map(int, np.argwhere(self.where)[0]))


class Walk:
    """One walk through a program, back (`pull`) or forth (`push`).

    Args:
      program, seeds: the program, and what stands in which slot at the start.
      direction: "pull" or "push".
      steps: (place of an edge, its slots, what it is given) to the steps in which a
        loop gives birth, each with where in the slots that it brings that arrives.

    Attributes:
      env: slot -> what stands there at the end.
      events: the births, in the order of the walk.
      behind: slot -> {event: bool array, the elements that it is behind}.
      brought: per place of an edge what it brings, a list with None for zero.
    """

    def __init__(
        self, program: LinearProgram, seeds: dict, direction: str = "pull",
        steps: Callable | None = None,
    ):  # fmt: skip
        self.program, self.env, self.steps = program, dict(seeds), steps
        self.events: list[Event] = []
        self.arrives: dict[Event, dict[int, np.ndarray]] = {}
        self.behind: dict[int, dict[Event, np.ndarray]] = {}
        self.brought: dict[int, list] = {}
        edges = list(enumerate(program.structure.edges))
        for place, edge in edges if direction == "push" else reversed(edges):
            self._edge(place, edge, direction)

    def _edge(self, place: int, edge: Edge, direction: str) -> None:
        sources, targets = edge.ins, edge.outs
        apply = edge.map.push
        if direction == "pull":
            sources, targets, apply = targets, sources, edge.map.pull
        given = [self.env.get(slot) for slot in sources]
        if all(value is None for value in given):
            return
        residuals = self.program.residuals(edge)
        brought = self.brought[place] = apply(residuals, given)
        bad = list(map(bad_places, brought))
        if not any(b.any() for b in bad):
            self._bring(targets, brought, [{} for _ in bad])
            return
        spoilt = [bad_places(value) for value in given]
        own, mixed, clean = bad, any(s.any() for s in spoilt), given
        if mixed:
            clean = [_without(v, s) for v, s in zip(given, spoilt, strict=True)]
            own = list(map(bad_places, apply(residuals, clean)))
        own = [new & all_bad for new, all_bad in zip(own, bad, strict=True)]
        behind: list[dict[Event, np.ndarray]] = [{} for _ in own]
        if any(new.any() for new in own):
            self._born(edge, place, given, clean, own, targets, behind)
        if mixed:
            self._inherit(sources, given, bad, own, apply, residuals, behind)
        self._bring(targets, brought, behind)

    def _born(self, edge, place, given, clean, own, targets, behind) -> None:
        """Adds to `behind` what is born at an edge: of a loop step by step."""
        left = [new.copy() for new in own]
        found = self.steps(place, clean) if self.steps is not None else []
        for step, arrives in found:
            event = None
            for k, slot in enumerate(targets):
                # What a loop's body does not change may be done by edges before it.
                here = own[k] & arrives.get(slot, True)
                if here.any():
                    event = event or Event(edge, place, given, k, here, step)
                    behind[k][event] = here
                    left[k] &= ~here
            if event is not None:
                self.events.append(event)
                self.arrives[event] = arrives
        for k, new in enumerate(left):
            if new.any():
                event = Event(edge, place, given, k, new)
                self.events.append(event)
                behind[k][event] = new

    def _inherit(self, sources, given, bad, own, apply, residuals, behind) -> None:
        """Adds to `behind` what was behind that which was given."""
        old = {e for slot in sources for e in self.behind.get(slot, {})}
        for event in old:
            through = [b & ~n for b, n in zip(bad, own, strict=True)]
            if len(old) > 1:  # each by itself: the elements of all others at zero
                alone = []
                for slot, value in zip(sources, given, strict=True):
                    mine = self.behind.get(slot, {}).get(event)
                    spoilt = bad_places(value)
                    others = spoilt if mine is None else spoilt & ~mine
                    alone.append(_without(value, others))
                found = map(bad_places, apply(residuals, alone))
                through = [t & f for t, f in zip(through, found, strict=True)]
            for k, where in enumerate(through):
                # Where something is born, too, what came to the same place is behind
                # it as well: either alone would do.
                for slot in sources:
                    mine = self.behind.get(slot, {}).get(event)
                    if mine is not None and mine.shape == where.shape:
                        where = where | (own[k] & mine)
                if where.any():
                    behind[k][event] = where

    def _bring(self, targets, brought, behind) -> None:
        for k, (slot, value) in enumerate(zip(targets, brought, strict=True)):
            if value is None:
                continue
            before = self.env.get(slot)
            self.env[slot] = total = add(before, value)
            known = self.behind.setdefault(slot, {})
            for event, where in behind[k].items():
                where = where & self.arrives.get(event, {}).get(slot, True)
                known[event] = known[event] | where if event in known else where
            if before is not None:
                new = bad_places(total) & ~bad_places(before) & ~bad_places(value)
                if new.any():
                    event = Event(None, -1, [before, value], k, new)
                    self.events.append(event)
                    known[event] = new

    def reach(self, slots) -> dict[Event, np.ndarray]:
        """Which elements of the slots, one after another, each event is behind; those
        of none left out."""
        slots = list(dict.fromkeys(s for s in slots if s is not None))
        sizes = [int(np.size(self.env.get(slot, ()))) for slot in slots]
        found: dict[Event, np.ndarray] = {}
        for event in self.events:
            parts = [
                self.behind.get(slot, {}).get(event, np.zeros(size, bool)).ravel()
                for slot, size in zip(slots, sizes, strict=True)
            ]
            whole = np.concatenate(parts) if parts else np.zeros(0, bool)
            if whole.any():
                found[event] = whole
        return found


def _without(value, places):
    """`value` with zeros at some places."""
    if value is None or not places.any():
        return value
    return jnp.where(places, jnp.zeros_like(value), value)
