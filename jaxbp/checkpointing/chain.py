"""A program as a chain of segments, cut where few bytes are alive.

    eqns:      dot  add  tanh | dot  add  tanh | dot  sum
    alive:               h1   |           h2   |           between segments
    states:    inputs    h1               h2               what a segment starts from

A segment holds one costly equation (a product, a loop, a branch) and what is cheap
around it. Arguments and constants are alive all the time and count for nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax

from .. import ir
from ..control.activity import spread
from ..control.later import behind
from ..rules import registry

MOST_SEGMENTS = 80
_RANDOM = ("random_bits", "threefry2x32", "rng_bit_generator")
_GROWS = 16  # times as many bytes as it reads: what is not to be made long before


class Chain(NamedTuple):
    """A program without calls, and where it is cut.

    Fields:
      jaxpr: its equations.
      consts: arrays of its constants.
      ends: of each segment the place behind its last equation.
      states: of each segment the variables alive at its end, arguments apart; of the
        last one the outputs.
      active: variables that carry cotangents.
      loose: equations that read nothing but what follows from arguments that are not
        differentiated by, and make far more of it: masks from random numbers.
    """

    jaxpr: Any
    consts: tuple
    ends: tuple[int, ...]
    states: tuple[tuple, ...]
    active: frozenset
    loose: frozenset

    def moves(self, variables: Sequence) -> list[bool]:
        """Per variable: does it carry a cotangent."""
        return [var in self.active for var in variables]

    def equations(self, number: int) -> list:
        """Those of a segment."""
        start = self.ends[number - 1] if number else 0
        return self.jaxpr.eqns[start : self.ends[number]]

    def origin(self, number: int) -> ir.Origin:
        """From where the first equation of a segment comes."""
        eqn = self.jaxpr.eqns[self.ends[number - 1] if number else 0]
        return ir.Origin(eqn.primitive.name, eqn.source_info)

    def segment(self, number: int) -> Callable:
        """env -> env: the equations of one segment on variable -> value."""
        eqns, alive = self.equations(number), self.states[number]
        first = self.ends[number - 1] if number else 0
        latest = self._latest(number)

        def run(env: dict) -> dict:
            env = dict(env)
            bars = [jax.lax.stop_gradient(env[var]) for var in latest]
            for place, eqn in enumerate(eqns, first):
                values = [ir.read_value(env, atom) for atom in eqn.invars]
                if place in self.loose:  # or it might be run with the first segment
                    values = behind(values, bars)
                params = ir.call_params(eqn.primitive, eqn.params)
                origin = ir.Origin(eqn.primitive.name, eqn.source_info)
                with ir.equation_context(eqn), origin.attributed():
                    outs = ir.evaluate(eqn.primitive, values, params)
                env.update(zip(eqn.outvars, outs, strict=True))
            return {var: env[var] for var in alive}

        return run

    def _latest(self, number: int) -> list:
        """The last of the numbers made before a segment, which it starts from."""
        found = [v for v in self.states[number - 1] if ir.differentiable(v.aval)]
        if not number or not found:
            return []
        made = {v: n for n, e in enumerate(self.jaxpr.eqns) for v in e.outvars}
        return [max(found, key=lambda var: made[var])]


def chain_of(program, moving: Sequence[bool]) -> Chain:
    """A closed program, its calls inlined, cut into at most `MOST_SEGMENTS`.

    Args:
      moving: per input: will it be differentiated by.
    """
    jaxpr, consts = ir.inner(inlined(program))
    fixed = {*jaxpr.invars, *jaxpr.constvars}
    alive = _alive(jaxpr, fixed)
    ends = _ends(jaxpr, [_bytes(found) for found in alive])
    active = {var for var, m in zip(jaxpr.invars, moving, strict=True) if m}
    spread(jaxpr, active)
    states = tuple([tuple(alive[end]) for end in ends])
    loose = frozenset(_loose(jaxpr, active))
    return Chain(jaxpr, tuple(consts), tuple(ends), states, frozenset(active), loose)


def _loose(jaxpr, active: set) -> Iterator[int]:
    """Places of equations that a compiler may run whenever it likes, and that make far
    more bytes than they read."""
    given = {*jaxpr.invars, *jaxpr.constvars} - active
    for place, eqn in enumerate(jaxpr.eqns):
        atoms = [a for a in eqn.invars if not isinstance(a, ir.Literal)]
        if not given.issuperset(atoms):
            continue
        given.update(eqn.outvars)
        grows = _bytes(eqn.outvars) > _GROWS * _bytes(atoms)
        if atoms and grows and not is_cheap(eqn.primitive):
            yield place


def inlined(program):
    """A closed program with the programs of its jits in their places."""
    jaxpr, _ = ir.inner(program)
    if not any(eqn.primitive.name == "jit" for eqn in jaxpr.eqns):
        return program
    return jax.make_jaxpr(lambda *xs: _inlined(program, xs))(
        *[ir.struct(var.aval) for var in jaxpr.invars]
    )


def _inlined(program, values: Sequence) -> list:
    def each(eqn, given):
        if eqn.primitive.name == "jit":
            return _inlined(ir.called(eqn.params), given)
        params = ir.call_params(eqn.primitive, eqn.params)
        origin = ir.Origin(eqn.primitive.name, eqn.source_info)
        with ir.equation_context(eqn), origin.attributed():
            return ir.evaluate(eqn.primitive, given, params)

    return ir.evaluate_by(each, program, values)


def _alive(jaxpr, fixed: set) -> list[list]:
    """Before each equation, and at the end, the variables still to be read."""
    reads = [v for v in jaxpr.outvars if not isinstance(v, ir.Literal)]
    alive = [[v for v in dict.fromkeys(reads) if v not in fixed]]
    for eqn in reversed(jaxpr.eqns):
        made = set(eqn.outvars)
        found = [var for var in alive[-1] if var not in made]
        found += [v for v in eqn.invars if not isinstance(v, ir.Literal)]
        alive.append([v for v in dict.fromkeys(found) if v not in fixed])
    alive.reverse()
    return alive


def _bytes(variables) -> int:
    return sum(ir.nbytes(var.aval) for var in variables)


def is_cheap(primitive) -> bool:
    """Whether its outputs cost about nothing to compute again: elementwise, moved."""
    rule = registry.lookup(primitive)
    if primitive.name in _RANDOM:
        return False
    if isinstance(rule, registry.Elementwise):
        return True
    kind = registry.kind_of(primitive)
    return kind in ("moves", "repeats") or isinstance(rule, registry.ZeroRule)


def _ends(jaxpr, alive: Sequence[int]) -> list[int]:
    """Between costly equations the latest of the narrowest places."""
    count = len(jaxpr.eqns)
    costly = [i for i, eqn in enumerate(jaxpr.eqns) if not is_cheap(eqn.primitive)]
    if not costly:
        costly = list(range(0, count, max(1, count // 10)))
    ends = [
        min(range(first + 1, last + 1), key=lambda i: (alive[i], -i))
        for first, last in zip(costly, costly[1:], strict=False)
    ]
    # A cut through more than its neighbours' states is none.
    while len(ends) >= MOST_SEGMENTS:
        ends.remove(max(ends, key=lambda end: alive[end]))
    return [*_narrow(ends, alive), count]


def _narrow(ends: Sequence[int], alive: Sequence[int]) -> list[int]:
    """Without cuts that are far wider than those on both sides."""
    found = list(ends)
    for place in range(len(ends) - 2, 0, -1):
        around = max(alive[ends[place - 1]], alive[ends[place + 1]])
        if alive[ends[place]] > 2 * around:
            found.remove(ends[place])
    return found
