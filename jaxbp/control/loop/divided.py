"""A loop within a loop's body, a part of which is the same at every step.

    for t: V = solve(a, b, V)       a tridiagonal system, by elimination and back
    elimination:  m_i = b_i - a_i c_{i-1},  c_i = a_i / m_i      from a and b alone
                  d_i = (V_i - a_i d_{i-1}) / m_i

It is divided into two loops: the first gives what depends on the outer loop's
invariants alone, and is then done once; the second reads its m. Neither m nor c is kept
at every step of the outer loop, and neither has a cotangent there.
"""

from collections.abc import Sequence, Set
from typing import Any

import jax

from ... import ir
from ...walkers.walker import Walker
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
    first = loop.first()
    if first is None:
        return None
    pieces, made = first
    if not is_compact(made):
        return None
    return [made, loop.rest(pieces, made)]


class _Loop:
    """The loop's variables: operands, and what of the body is the same."""

    def __init__(self, eqn, flags):
        self.eqn = eqn
        self.jaxpr, self.consts = ir.inner(eqn.params["jaxpr"])
        held, carried = ir.scan_counts(eqn.params)
        self.held, self.carried = held, slice(held, held + carried)
        self.carries = self.jaxpr.invars[self.carried]
        self.flags = list(flags)
        self.same = self._fixed()
        self.made = {v for e in self.jaxpr.eqns for v in e.outvars}
        self.numbers = {v for v in self.jaxpr.invars if _is_float(v)}
        for e in self.jaxpr.eqns:  # what does not follow from counts alone
            if not self.numbers.isdisjoint(_variables_of(e.invars)):
                self.numbers.update(e.outvars)

    def _fixed(self) -> set:
        """The variables of the body that are the same at every step of the outer
        loop, and which carries (`flags`)."""
        while True:
            pairs = zip(self.jaxpr.invars, self.flags, strict=True)
            same = {v for v, on in pairs if on}.union(self.jaxpr.constvars)
            for eqn in self.jaxpr.eqns:
                if not eqn.effects and all(map(_in(same), eqn.invars)):
                    same.update(eqn.outvars)
            old = self.flags[self.carried]
            pairs = zip(old, self.jaxpr.outvars, strict=False)
            new = [on and _in(same)(atom) for on, atom in pairs]
            if new == old:
                return same
            self.flags[self.carried] = new

    def first(self):
        """The variables whose values the rest reads, and the first loop; None where
        there is nothing to be done once, or nothing else."""
        outs, count = self.jaxpr.outvars, len(self.carries)
        fixed = [i for i in range(count) if self.flags[self.held + i]]
        works = [
            i
            for i in fixed
            if _is_float(self.carries[i]) and outs[i] is not self.carries[i]
        ]
        varying = [a for a in outs if not _in(self.same)(a)]
        types = [v.aval for v in (*self.jaxpr.invars, *self.eqn.outvars)]
        if not works or not varying or any(map(ir.placed, types)):
            return None
        self.kept = [i for i in range(count) if not self.flags[self.held + i]]
        self.again = self._needed(varying, self.kept, fixed)
        pieces = self._pieces()
        # What it carries: numbers, and counts that these need.
        carried = self._closure([i for i in fixed if i in works], pieces, fixed)
        ys = [i for i in range(count, len(outs)) if _in(self.same)(outs[i])]
        wanted = [*[outs[i] for i in carried], *pieces, *[outs[i] for i in ys]]
        self.places = carried, ys
        outvars = self._outvars(carried, pieces, ys)
        return pieces, self._eqn(carried, wanted, [], outvars)

    def rest(self, pieces: Sequence, first):
        """The second loop, which reads what the first gave."""
        carried, ys = self.places
        outs, count = self.jaxpr.outvars, len(self.carries)
        kept = sorted({*self.kept, *self.again})
        others = [i for i in range(count, len(outs)) if i not in ys]
        wanted = [*[outs[i] for i in kept], *[outs[i] for i in others]]
        start = len(carried)
        stacks = list(
            zip(pieces, first.outvars[start : start + len(pieces)], strict=True)
        )
        spare = _variables([self.eqn.outvars[i].aval for i in kept])
        outvars = [
            spare[at] if i in carried else self.eqn.outvars[i]
            for at, i in enumerate(kept)
        ]
        outvars += [self.eqn.outvars[i] for i in others]
        return self._eqn(kept, wanted, stacks, outvars)

    def _needed(self, varying, kept, fixed) -> list[int]:
        """Carries of counts that the rest carries, too; notes the equations of it."""
        again: list[int] = []
        while True:
            outs = [self.jaxpr.outvars[i] for i in (*kept, *again)]
            self.read, self.places_of_rest = self._back([*varying, *outs])
            more = [
                i
                for i in fixed
                if i not in again
                and not _is_float(self.carries[i])
                and self.carries[i] in self.read
            ]
            if not more:
                return again
            again += more

    def _back(self, wanted) -> tuple[set, set[int]]:
        """What the rest reads, and places of its equations: those that vary, and those
        of counts and indices."""
        read, places = set(_variables_of(wanted)), set()
        for place in range(len(self.jaxpr.eqns) - 1, -1, -1):
            eqn = self.jaxpr.eqns[place]
            if read.isdisjoint(eqn.outvars):
                continue
            if all(v in self.same for v in eqn.outvars):
                if any(v in self.numbers and _is_float(v) for v in eqn.outvars):
                    continue
            places.add(place)
            read.update(_variables_of(eqn.invars))
        return read, places

    def _pieces(self) -> list:
        """Variables that the first loop hands to the rest."""
        computed = {
            v for place in self.places_of_rest for v in self.jaxpr.eqns[place].outvars
        }
        there = self.made.union(
            v for i, v in enumerate(self.carries) if i not in (*self.kept, *self.again)
        )
        return sorted(
            (self.read & there & self.same) - computed, key=self._order().__getitem__
        )

    def _order(self) -> dict:
        eqns = [v for e in self.jaxpr.eqns for v in e.outvars]
        return {v: i for i, v in enumerate([*self.jaxpr.invars, *eqns])}

    def _closure(self, carried, pieces, fixed) -> list[int]:
        """The carries that those carried and the pieces need."""
        outs, count = self.jaxpr.outvars, len(self.carries)
        ys = [a for a in outs[count:] if _in(self.same)(a)]
        while True:
            read = {*pieces, *_variables_of([*[outs[i] for i in carried], *ys])}
            for eqn in reversed(self.jaxpr.eqns):
                if not read.isdisjoint(eqn.outvars):
                    read.update(_variables_of(eqn.invars))
            more = [i for i in fixed if i not in carried and self.carries[i] in read]
            if not more:
                rest = [i for i in fixed if i not in (*carried, *self.again)]
                return sorted({*carried, *rest})
            carried = [*carried, *more]

    def _outvars(self, carried, pieces, ys) -> list:
        length = self.eqn.params["length"]
        types = [
            jax.ShapeDtypeStruct((length, *v.aval.shape), v.aval.dtype) for v in pieces
        ]
        return [
            *[self.eqn.outvars[i] for i in carried],
            *_variables(types),
            *[self.eqn.outvars[i] for i in ys],
        ]

    def _eqn(self, carried, wanted, stacks, outvars):
        """A scan over some carries that computes `wanted`; `stacks` are pairs of a
        variable of the body and the array of all steps'."""
        jaxpr, places = self.jaxpr, self._steps(wanted, [v for v, _ in stacks])
        read = {v for p in places for v in _variables_of(jaxpr.eqns[p].invars)}
        read.update(_variables_of(wanted))
        count = len(self.carries)
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

    def _steps(self, wanted, given) -> set[int]:
        """Places of the equations that compute `wanted`, some being given."""
        read, places = set(_variables_of(wanted)).difference(given), set()
        for place in range(len(self.jaxpr.eqns) - 1, -1, -1):
            eqn = self.jaxpr.eqns[place]
            if not read.isdisjoint(eqn.outvars):
                places.add(place)
                read.update(set(_variables_of(eqn.invars)).difference(given))
        return places


def _variables_of(atoms: Sequence) -> list:
    return [a for a in atoms if not isinstance(a, ir.Literal)]


def _in(known: Set):
    return lambda atom: isinstance(atom, ir.Literal) or atom in known


def _is_float(var) -> bool:
    return ir.differentiable(var.aval)


def _variables(types: Sequence) -> list[Any]:
    """Fresh variables of these types."""
    return jax.make_jaxpr(lambda *xs: xs)(*map(ir.struct, types)).jaxpr.invars
