"""A loop within a loop's body, a part of which is the same at every step.

    for t: V = solve(a, b, V)       a tridiagonal system, by elimination and back
    elimination:  m_i = b_i - a_i c_{i-1},  c_i = a_i / m_i      from a and b alone
                  d_i = (V_i - a_i d_{i-1}) / m_i

It is divided into two loops: the first gives what depends on the outer loop's
invariants alone, and is then done once; the second reads its m. Neither m nor c is kept
at every step of the outer loop, and neither has a cotangent there.
"""

from collections.abc import Sequence, Set
from typing import Any, NamedTuple

import jax

from ... import ir
from ...walkers.walker import Walker
from ..activity import backwards, variables
from .invariants import is_compact, is_number


@ir.once_per_program
def divided(body, invariants: frozenset):
    """The body, its loops divided where that pays.

    Args:
      body: a loop's jaxpr.
      invariants: its variables that are the same at every step.
    """
    same, eqns = set(invariants), []
    for eqn in body.eqns:
        flags = [isinstance(a, ir.Literal) or a in same for a in eqn.invars]
        if all(flags):
            if is_compact(eqn) and not eqn.effects and not is_number(eqn):
                same.update(eqn.outvars)  # it is done before the loop: `hoist`
        elif eqn.primitive.name == "scan" and any(flags) and not eqn.effects:
            parts = _parts(eqn, flags)
            if parts is not None:
                same.update(parts[0].outvars)
                eqns += parts
                continue
        eqns.append(eqn)
    return body if len(eqns) == len(body.eqns) else body.replace(eqns=eqns)


def _parts(eqn, flags: Sequence[bool]) -> list | None:
    """The equation as two: of what is the same at every step, and of the rest."""
    loop = _Loop(eqn, flags)
    division = loop.division()
    if division is None:
        return None
    first = loop.first(division)
    return [first, loop.rest(division, first)] if is_compact(first) else None


class _Division(NamedTuple):
    """What either loop does: places of outputs of the body, and variables of it."""

    carried: list[int]  # the carries of the first loop: numbers, and counts
    kept: list[int]  # the carries of the rest; counts may be carried by both
    pieces: list  # what the first hands to the rest at each step
    ys: list[int]  # what else the first stacks


class _Loop:
    """The loop's variables: operands, and what of the body is the same."""

    def __init__(self, eqn, flags):
        self.eqn = eqn
        self.jaxpr, self.consts = ir.inner(eqn.params["jaxpr"])
        held, carried = ir.scan_counts(eqn.params)
        self.held, self.carried = held, slice(held, held + carried)
        self.carries = self.jaxpr.invars[self.carried]
        self.same, self.fixed = _fixed(self.jaxpr, list(flags), self.carried)
        self.numbers = {v for v in self.jaxpr.invars if _is_float(v)}
        for e in self.jaxpr.eqns:  # what does not follow from counts alone
            if not self.numbers.isdisjoint(variables(e.invars)):
                self.numbers.update(e.outvars)

    def division(self) -> _Division | None:
        """What is done once, and what is left; None where either is nothing."""
        outs, count = self.jaxpr.outvars, len(self.carries)
        works = [
            i
            for i in self.fixed
            if _is_float(self.carries[i]) and outs[i] is not self.carries[i]
        ]
        varying = [a for a in outs if not _in(self.same)(a)]
        types = [v.aval for v in (*self.jaxpr.invars, *self.eqn.outvars)]
        if not works or not varying or any(map(ir.placed, types)):
            return None
        kept, read, places = self._left(varying)
        pieces = self._pieces(kept, read, places)
        ys = [i for i in range(count, len(outs)) if _in(self.same)(outs[i])]
        asked = [*pieces, *[outs[i] for i in ys]]
        others = [i for i in self.fixed if i not in kept]
        return _Division(self._closed({*works, *others}, asked), kept, pieces, ys)

    def _left(self, varying) -> tuple[list[int], set, set[int]]:
        """The rest: its carries, with counts that it needs; what it reads, and the
        places of its equations."""
        kept = {*range(len(self.carries))}.difference(self.fixed)
        while True:
            outs = [self.jaxpr.outvars[i] for i in kept]
            read, places = backwards(self.jaxpr, [*varying, *outs], self._varies)
            counts = [i for i in self.fixed if not _is_float(self.carries[i])]
            more = {i for i in counts if self.carries[i] in read}
            if more <= kept:
                return sorted(kept), read, places
            kept |= more

    def _varies(self, place, eqn, read):
        """The operands of an equation of the rest: one that varies, or of counts."""
        outs = eqn.outvars
        if all(v in self.same for v in outs):
            if any(v in self.numbers and _is_float(v) for v in outs):
                return None
        return eqn.invars

    def _pieces(self, kept, read: set, places: set[int]) -> list:
        """Variables that the first loop hands to the rest, which does not have them."""
        eqns = self.jaxpr.eqns
        had = {v for place in places for v in eqns[place].outvars}
        there = [v for i, v in enumerate(self.carries) if i not in kept]
        there += [v for e in eqns for v in e.outvars if v not in had]
        return [v for v in there if v in read and v in self.same]

    def _closed(self, carried: set[int], asked) -> list[int]:
        """Those of the same carries, with all that they and what is asked need."""
        while True:
            outs = [self.jaxpr.outvars[i] for i in carried]
            read, _ = backwards(self.jaxpr, [*asked, *outs])
            more = {i for i in self.fixed if self.carries[i] in read}
            if more <= carried:
                return sorted(carried)
            carried |= more

    def first(self, division: _Division):
        """The loop of what is the same."""
        carried, _, pieces, ys = division
        length = self.eqn.params["length"]
        types = [
            jax.ShapeDtypeStruct((length, *v.aval.shape), v.aval.dtype) for v in pieces
        ]
        outvars = [
            *[self.eqn.outvars[i] for i in carried],
            *_variables(types),
            *[self.eqn.outvars[i] for i in ys],
        ]
        outs = self.jaxpr.outvars
        wanted = [*[outs[i] for i in carried], *pieces, *[outs[i] for i in ys]]
        return self._eqn(carried, wanted, [], outvars)

    def rest(self, division: _Division, first):
        """The second loop, which reads what the first gave."""
        carried, kept, pieces, ys = division
        outs, count = self.jaxpr.outvars, len(self.carries)
        others = [i for i in range(count, len(outs)) if i not in ys]
        start = len(carried)
        made = first.outvars[start : start + len(pieces)]
        spare = _variables([self.eqn.outvars[i].aval for i in kept])
        outvars = [
            spare[at] if i in carried else self.eqn.outvars[i]
            for at, i in enumerate(kept)
        ]
        outvars += [self.eqn.outvars[i] for i in others]
        wanted = [outs[i] for i in (*kept, *others)]
        return self._eqn(kept, wanted, list(zip(pieces, made, strict=True)), outvars)

    def _eqn(self, carried, wanted, stacks, outvars):
        """A scan over some carries that computes `wanted`; `stacks` are pairs of a
        variable of the body and the array of all steps'."""
        jaxpr, count = self.jaxpr, len(self.carries)
        stacked = {v for v, _ in stacks}

        def asked(place, eqn, read):
            made = read.intersection(eqn.outvars)
            return None if made <= stacked else eqn.invars

        read, places = backwards(jaxpr, wanted, asked)
        pairs = list(zip(jaxpr.invars, self.eqn.invars, strict=True))
        held = [pair for pair in pairs[: self.held] if pair[0] in read]
        carry = [pairs[self.held + i] for i in carried]
        xs = [pair for pair in pairs[self.held + count :] if pair[0] in read] + stacks
        given = [*held, *carry, *xs]
        skip = frozenset(range(len(jaxpr.eqns))) - places

        def step(*values):
            pairs = zip(jaxpr.constvars, self.consts, strict=True)
            env: dict = {var: (value, None) for var, value in pairs}
            pairs = zip(given, values, strict=True)
            env |= {var: (value, None) for (var, _), value in pairs}
            Walker().walk(jaxpr, env, skip)
            return [ir.read(env, atom)[0] for atom in wanted]

        types = [ir.struct(v.aval) for v, _ in given]
        params = dict(self.eqn.params)
        params |= {"jaxpr": jax.make_jaxpr(step)(*types)}
        params |= {"num_consts": len(held), "num_carry": len(carry)}
        if "linear" in params:
            params["linear"] = (False,) * len(given)
        operands = [operand for _, operand in given]
        return self.eqn.replace(invars=operands, outvars=outvars, params=params)


def _fixed(jaxpr, flags: list, carried: slice) -> tuple[set, list[int]]:
    """The variables of a body that are the same at every step of the outer loop, if its
    inputs `flags` are, and its carries that stay so."""
    while True:
        pairs = zip(jaxpr.invars, flags, strict=True)
        same = {v for v, on in pairs if on}.union(jaxpr.constvars)
        for eqn in jaxpr.eqns:
            if not eqn.effects and all(map(_in(same), eqn.invars)):
                same.update(eqn.outvars)
        old = flags[carried]
        pairs = zip(old, jaxpr.outvars, strict=False)
        new = [on and _in(same)(atom) for on, atom in pairs]
        if new == old:
            return same, [i for i, on in enumerate(new) if on]
        flags[carried] = new


def _in(known: Set):
    return lambda atom: isinstance(atom, ir.Literal) or atom in known


def _is_float(var) -> bool:
    return ir.differentiable(var.aval)


def _variables(types: Sequence) -> list[Any]:
    """Fresh variables of these types."""
    return jax.make_jaxpr(lambda *xs: xs)(*map(ir.struct, types)).jaxpr.invars
