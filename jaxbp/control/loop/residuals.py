"""Residuals that a loop's step need not keep: sums, products and copies of others.

    k = f(y);  z = y + h * k;  l = f(z);  y_new = ...      of a step
    the tape asks for y, k, z, l;  z is had from y and k by two operations an element:
    places  y: the carry, stacked   k: stacked   l: stacked      z: derived
    order of the tape: y, k, (derived) z, l

With y and f kept, the y + h y f of the next stage is computed again in less time than
it takes to write and read it. Nothing else is ever kept instead: the tape only shrinks.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax

from ... import ir
from ...linear.loop.restored import Restored, Undo
from ...walkers.walker import Walker

# One operation an element or none, on any device.
_ARITHMETIC = frozenset(
    "abs add and broadcast_in_dim convert_element_type eq ge gt integer_pow is_finite "
    "le lt max min mul ne neg not or reshape select_n sign slice square squeeze "
    "stop_gradient sub transpose".split()
)
_OF_NUMBERS = frozenset("clamp concatenate div rem".split())  # cheap where few
_MOST_BYTES = 8  # computed on the way to a residual, per byte of it
_MOST_BYTES_OF_INTEGERS = 32  # of one that tells places: how it is made tells more
_NUMBERS = 64  # bytes: to compute so few is nothing beside keeping them


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

    def picked(self, places: Sequence[int]) -> "Derive":
        """Computes some of the variables alone."""
        wanted = tuple([self.wanted[i] for i in places])
        needed, equations = set(wanted), set()
        for place in range(len(self.body.eqns) - 1, -1, -1):
            eqn = self.body.eqns[place]
            if place not in self.skip and not needed.isdisjoint(eqn.outvars):
                equations.add(place)
                atoms = eqn.invars
                needed.update(v for v in atoms if not isinstance(v, ir.Literal))
        skip = frozenset(range(len(self.body.eqns))) - equations
        given = tuple([(var, place) for var, place in self.given if var in needed])
        return Derive(self.body, skip, given, wanted)

    def variables(self) -> list:
        """Those that it reads and those that it gives."""
        return [*[var for var, _ in self.given], *self.wanted]

    def at(self, places: Mapping[int, int]) -> "Derive":
        """With the residuals kept at other places."""
        given = tuple([(var, places[place]) for var, place in self.given])
        return dataclasses.replace(self, given=given)

    def __call__(self, kept: Sequence) -> list:
        env = {var: (kept[place], None) for var, place in self.given}
        Walker().walk(self.body, env, self.skip)
        return [env[var][0] for var in self.wanted]


@dataclass(slots=True, unsafe_hash=True)
class Count:
    """What a carry that counts is at every step, from where it starts: static."""

    stride: int
    length: int
    reverse: bool

    def __call__(self, start):
        dtype = ir.typeof(start).dtype
        steps = lax.mul(lax.iota(dtype, self.length), dtype.type(self.stride))
        if self.reverse:
            steps = lax.rev(steps, (0,))
        return lax.add(lax.broadcast(start, (self.length,)), steps)


@dataclass(slots=True, unsafe_hash=True)
class AllSteps:
    """What every step computes from elements and counts alone: static.

    Fields:
      derive: computes it at one step.
      sources: per source: its `Count`; 0 if it is stacked, None if it is the same at
        every step, as all of them may be.
      length: how many steps there are.
    """

    derive: Derive
    sources: tuple
    length: int

    def __call__(self, *values):
        counted = [source is not None and source != 0 for source in self.sources]
        triples = zip(counted, self.sources, values, strict=True)
        values = [source(v) if counts else v for counts, source, v in triples]
        axes = [None if source is None else 0 for source in self.sources]
        each = jax.vmap(lambda *kept: self.derive(kept)[0], axes, axis_size=self.length)
        return each(*values)


class TapePlan(NamedTuple):
    """Where each residual of a step is to be had: static.

    Fields:
      places: of those kept, (kind, key): as `known` said, or ("stack", index).
      follows: per place: that of the one whose next value it is, or None.
      derive: gives further ones from those kept, or None.
      order: the tape, as places among those kept and then those derived.
      restored: carried arrays that are restored.
    """

    places: tuple
    follows: tuple[int | None, ...]
    derive: Derive | None
    order: tuple[int, ...]
    restored: tuple[Restored, ...]


def tape_plan(
    body,
    env,
    tape: Sequence,
    known: dict,
    follows: dict,
    derives: bool,
    length: int,
    writes: dict,
):
    """The plan of a step's tape, and what must be stacked.

    Args:
      body: the step's jaxpr.
      env: its variables, variable -> (value, dot).
      tape: the residuals.
      known: id of a value -> where it is to be had without stacking it.
      follows: id of a carry's new value -> its old one, both on the tape.
      derives: residuals may be computed from others.
      length: the number of steps.
      writes: per carry that may be restored its writes, last to first.
    """
    wanted = _derivable(body, env, tape, known, length) if derives else {}
    kept = _Kept(known)
    for value in tape:
        if id(value) not in wanted:
            kept.place(value)
    derive = _derive(body, env, wanted, kept) if wanted else None
    restored = [_restored(kept, place, writes[place]) for place in writes]
    at, count = kept.at, len(kept.places)
    derived = {value: count + i for i, value in enumerate(wanted)}
    old = {at[new]: at[id(value)] for new, value in follows.items()}
    plan = TapePlan(
        tuple(kept.places),
        tuple([old.get(i) for i in range(count)]),
        derive,
        tuple([derived[id(r)] if id(r) in derived else at[id(r)] for r in tape]),
        tuple([one for one in restored if one is not None]),
    )
    return plan, kept.stack


def _restored(kept: "_Kept", carry: int, writes: Sequence) -> Restored | None:
    """How the array of a carry is restored, if any version of it is kept."""
    found = {
        key[1]: place
        for place, (kind, key) in enumerate(kept.places)
        if kind == "restored" and key[0] == carry
    }
    if not found:
        return None
    last = len(kept.places)
    kept.places.append(("next", carry))
    undos = [
        Undo(
            write.part,
            write.params,
            write.update,
            tuple([kept.place(index) for index in write.indices]),
            kept.place(write.before),
        )
        for write in writes
    ]
    versions = [found.get(i) for i in range(len(writes) + 1)]
    return Restored(last, tuple(undos), tuple(versions))


class _Kept:
    """The residuals kept, as they are asked for."""

    def __init__(self, known: dict):
        self.known = known
        self.at: dict[int, int] = {}  # id of a value: its place among those kept
        self.places: list = []
        self.stack: list = []

    def place(self, value) -> int:
        if id(value) not in self.at:
            self.at[id(value)] = len(self.places)
            found = self.known.get(id(value))
            if found is None:
                found = "stack", len(self.stack)
                self.stack.append(value)
            self.places.append(found)
        return self.at[id(value)]


def _derive(body, env, wanted: dict, kept: _Kept) -> Derive:
    """Computes `wanted` (id of a value -> variable, equations) from what is kept."""
    needed = set().union(*(places for _, places in wanted.values()))
    read = {var: kept.place(env[var][0]) for var in _sources(body, needed)}
    skip = frozenset(range(len(body.eqns))) - needed
    variables = tuple([var for var, _ in wanted.values()])
    return Derive(body, skip, tuple(read.items()), variables)


def _derivable(body, env, tape, known, length: int) -> dict:
    """Residuals to be computed: id of a value -> (variable, places of equations)."""
    stacked = {id(r) for r in tape if id(r) not in known}
    makers = _makers(body, length)
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
    name = eqn.primitive.name
    if name == "jit":
        return all(map(_is_arithmetic, ir.inner(eqn.params["jaxpr"])[0].eqns))
    few = name in _OF_NUMBERS and ir.nbytes(eqn.outvars[0].aval) <= _NUMBERS
    return few or name in _ARITHMETIC


def of_all_steps(body, env, tape: Sequence, known: dict) -> dict:
    """Integers on the tape that follow from counts, elements and invariants alone:
    where a loop reads and writes. They need not be computed in the loop.

    Returns:
      id of a value -> ("steps", (what computes it, where its sources are to be had)).
    """
    at_hand = ("count", "element", "held", "number")
    free = {i for i, (kind, _) in known.items() if kind in at_hand}
    makers = _makers(body)
    variables = {id(env[var][0]): var for var in makers if var in env}
    found = {}
    for value in tape:
        var = variables.get(id(value))
        if id(value) in known or var is None or ir.nbytes(var.aval) > _NUMBERS:
            continue
        places = None
        if not ir.differentiable(var.aval):
            places = _equations(body, var, env, free, makers)
        if places is not None:
            read = _sources(body, places)
            given = tuple([(source, i) for i, source in enumerate(read)])
            skip = frozenset(range(len(body.eqns))) - places
            sources = [known[id(env[source][0])] for source in read]
            found[id(value)] = "steps", (Derive(body, skip, given, (var,)), sources)
    return found


def _sources(body, places: set[int]) -> list:
    """Variables that these equations read and none of them makes."""
    made = {var for place in places for var in body.eqns[place].outvars}
    read = [var for place in sorted(places) for var in body.eqns[place].invars]
    kept = [v for v in read if not isinstance(v, ir.Literal) and v not in made]
    return list(dict.fromkeys(kept))


def _makers(body, length: int = 0) -> dict:
    """Per variable the place of the equation that computes it in no time.

    What is read by index takes as long as it takes to read it from a stack. It is
    computed where all that is read in `length` steps is more than it is read from.
    """
    return {
        var: place
        for place, eqn in enumerate(body.eqns)
        if _is_arithmetic(eqn) or _reads_much(eqn, length)
        for var in eqn.outvars
    }


def _reads_much(eqn, length: int) -> bool:
    if eqn.primitive.name not in ("dynamic_slice", "gather"):
        return False
    part, whole = eqn.outvars[0].aval, eqn.invars[0].aval
    return ir.nbytes(whole) <= 1.05 * length * ir.nbytes(part)


def counters(body, carried: Sequence) -> dict:
    """Carries that count: the place of each, and what is added to it at every step."""
    makers = {var: eqn for eqn in body.eqns for var in eqn.outvars}
    found = {}
    for place, (old, new) in enumerate(zip(carried, body.outvars, strict=False)):
        if not isinstance(new, ir.Literal) and new in makers and old.aval.shape == ():
            eqn = makers[new]
            steps = [a for a in eqn.invars if isinstance(a, ir.Literal)]
            adds = eqn.primitive.name == "add" and old in eqn.invars and steps
            if adds and np.issubdtype(old.aval.dtype, np.integer):
                found[place] = int(steps[0].val)
    return found


def _equations(body, var, env, at_hand, makers) -> set[int] | None:
    """Places of the equations that give `var` from values at hand, if these are few."""
    places: set[int] = set()
    moves = ir.differentiable(var.aval)
    most = _MOST_BYTES if moves else _MOST_BYTES_OF_INTEGERS
    budget = most * max(_NUMBERS, ir.nbytes(var.aval))
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
            budget -= sum(ir.nbytes(v.aval) for v in body.eqns[place].outvars)
            wanted += body.eqns[place].invars
    return places if budget >= 0 else None
