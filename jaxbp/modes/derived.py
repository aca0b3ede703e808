"""Residuals that a loop's step need not keep: sums, products and copies of others.

With y and f kept, the y + h y f of the next stage is computed again in less time than
it takes to write and read it. Nothing else is ever kept instead: the tape only shrinks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import ir
from ..linear.deferral import nbytes
from .walk import Walker

# One operation an element or none, on any device.
_ARITHMETIC = frozenset(
    "abs add and broadcast_in_dim convert_element_type eq ge gt integer_pow is_finite "
    "le lt max min mul ne neg not or reshape select_n sign slice square squeeze "
    "stop_gradient sub transpose".split()
)
_MOST_BYTES = 8  # computed on the way to a residual, per byte of it


@dataclass(slots=True, unsafe_hash=True)
class Derive:
    """Computes variables of a loop's body from others: static.

    Fields:
      body: its jaxpr.
      skip: places of the equations that are not needed.
      given: (variable, its place among the residuals kept).
      wanted: the variables computed.
    """

    body: Any
    skip: frozenset[int]
    given: tuple
    wanted: tuple

    def __call__(self, kept: Sequence) -> list:
        env = {var: (kept[place], None) for var, place in self.given}
        Walker().walk(self.body, env, self.skip)
        return [env[var][0] for var in self.wanted]


class Layout:
    """Where each residual of a step is to be had.

    Attributes:
      places: of those kept, (kind, key): in `known`, or ("stack", index).
      stack: those that must be stacked.
      follows: per place: that of the one whose next value it is, or None.
      derive: gives further ones from those kept, or None.
      order: the tape, as places among those kept and then those derived.
    """

    def __init__(self, tape: Sequence, known: dict, follows: dict):
        self.places, self.stack = [], []
        self._known, self._old = known, follows
        self._at: dict[int, int] = {}  # id of a value: its place among those kept
        self.derive = None
        self._tape = tape

    def keep(self, value) -> int:
        """The place of `value` among the residuals kept."""
        if id(value) not in self._at:
            self._at[id(value)] = len(self.places)
            found = self._known.get(id(value))
            if found is None:
                found = "stack", len(self.stack)
                self.stack.append(value)
            self.places.append(found)
        return self._at[id(value)]

    def fill(self, body, env: dict, wanted: dict):
        """Keeps the tape, but for `wanted`: id of a value -> variable, equations."""
        for value in self._tape:
            if id(value) not in wanted:
                self.keep(value)
        if wanted:
            needed = set().union(*(places for _, places in wanted.values()))
            made = {var for place in needed for var in body.eqns[place].outvars}
            read = {
                var: self.keep(env[var][0])
                for place in sorted(needed)
                for var in body.eqns[place].invars
                if not isinstance(var, ir.Literal) and var not in made
            }
            skip = frozenset(range(len(body.eqns))) - needed
            variables = tuple(var for var, _ in wanted.values())
            self.derive = Derive(body, skip, tuple(read.items()), variables)
        follows = {self._at[new]: self._at[id(old)] for new, old in self._old.items()}
        self.follows = tuple([follows.get(i) for i in range(len(self.places))])
        count = len(self.places)
        derived = {value: count + i for i, value in enumerate(wanted)}
        self.order = tuple(
            [
                derived[id(r)] if id(r) in derived else self._at[id(r)]
                for r in self._tape
            ]
        )


def layout(body, env, tape: Sequence, known: dict, follows: dict, derives) -> Layout:
    """The layout of a step's tape.

    Args:
      body: the step's jaxpr.
      env: its variables, variable -> (value, dot).
      tape: the residuals.
      known: id of a value -> where it is to be had without stacking it.
      follows: id of a carry's new value -> its old one, both on the tape.
      derives: residuals may be computed from others.
    """
    found = Layout(tape, known, follows)
    found.fill(body, env, _derivable(body, env, tape, known) if derives else {})
    return found


def _derivable(body, env, tape, known) -> dict:
    """Residuals to be computed: id of a value -> (variable, places of equations)."""
    stacked = {id(r) for r in tape if id(r) not in known}
    makers = {
        var: place
        for place, eqn in enumerate(body.eqns)
        if _is_arithmetic(eqn)
        for var in eqn.outvars
    }
    at_hand = stacked.union(known)
    found = {}
    for var in reversed(makers):  # the latest first: from what comes before it
        value = env[var][0] if var in env else None
        if id(value) in stacked and id(value) not in found:
            at_hand.discard(id(value))
            places = _equations(body, var, env, at_hand, makers)
            if places is None:
                at_hand.add(id(value))
            else:
                found[id(value)] = var, places
    return found


def _is_arithmetic(eqn) -> bool:
    if eqn.primitive.name == "jit":
        return all(map(_is_arithmetic, ir.inner(eqn.params["jaxpr"])[0].eqns))
    return eqn.primitive.name in _ARITHMETIC


def _equations(body, var, env, at_hand, makers) -> set[int] | None:
    """Places of the equations that give `var` from values at hand, if these are few."""
    places: set[int] = set()
    budget = _MOST_BYTES * nbytes(var.aval)
    wanted = [var]
    while wanted:
        atom = wanted.pop()
        if isinstance(atom, ir.Literal) or id(env[atom][0]) in at_hand:
            continue
        place = makers.get(atom)
        if place is None or budget < 0:
            return None
        if place not in places:
            places.add(place)
            budget -= sum(nbytes(v.aval) for v in body.eqns[place].outvars)
            wanted += body.eqns[place].invars
    return places if budget >= 0 else None
