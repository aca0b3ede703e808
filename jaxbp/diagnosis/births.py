"""Where in a walk of the linear program a NaN or an Inf is born, and what it reaches.

A map that is given finite numbers alone and brings one that is not gives birth to it.
Where some of what it is given is not finite already, it is asked again with those
elements at zero: what is still not finite is its own, all else is inherited. So every
element that is not finite is traced to births; one that a select drops on its way
reaches nothing, and is none that anyone need know of.
"""

from dataclasses import dataclass

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
    """

    edge: Edge | None
    place: int
    given: list
    target: int
    where: np.ndarray

    @property
    def index(self) -> tuple[int, ...]:
        """The first element, as an index; () where there is none."""
        if not self.where.any():
            return ()
        return tuple(map(int, np.argwhere(self.where)[0]))


class Walk:
    """One walk through a program, back (`pull`) or forth (`push`).

    Attributes:
      env: slot -> what stands there at the end.
      events: the births, in the order of the walk.
      behind: slot -> {event: bool array, the elements that it is behind}.
      brought: per place of an edge what it brings, a list with None for zero.
    """

    def __init__(self, program: LinearProgram, seeds: dict, direction: str = "pull"):
        self.program, self.env = program, dict(seeds)
        self.events: list[Event] = []
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
        own, mixed = bad, any(s.any() for s in spoilt)
        if mixed:
            clean = [_without(v, s) for v, s in zip(given, spoilt, strict=True)]
            own = list(map(bad_places, apply(residuals, clean)))
        behind: list[dict[Event, np.ndarray]] = []
        for k, (all_bad, new) in enumerate(zip(bad, own, strict=True)):
            behind.append({})
            new = new & all_bad
            if new.any():
                event = Event(edge, place, given, k, new)
                self.events.append(event)
                behind[k][event] = new
        if mixed:
            self._inherit(sources, given, bad, own, apply, residuals, behind)
        self._bring(targets, brought, behind)

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
                known[event] = known[event] | where if event in known else where
            if before is not None:
                new = bad_places(total) & ~bad_places(before) & ~bad_places(value)
                if new.any():
                    event = Event(None, -1, [before, value], k, new)
                    self.events.append(event)
                    known[event] = new

    def reach(self, slots) -> dict[Event, int]:
        """How many elements of the slots each event is behind, those of none left
        out."""
        found: dict[Event, int] = {}
        for slot in {s for s in slots if s is not None}:
            for event, where in self.behind.get(slot, {}).items():
                found[event] = found.get(event, 0) + int(where.sum())
        return {event: count for event, count in found.items() if count}


def _without(value, places):
    """`value` with zeros at some places."""
    if value is None or not places.any():
        return value
    return jnp.where(places, jnp.zeros_like(value), value)
