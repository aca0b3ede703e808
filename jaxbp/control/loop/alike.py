"""Residuals of a loop's step that are the same number, computed twice.

    solve(S, P)     keeps the factors of S
    slogdet(S)      keeps the factors of S, which it computes for itself
    x.T.T           is x

A compiler computes what is the same once, but each residual is stacked, read again and
worked on for itself: it does not see through stacks. JAX's tracers say what made them
(`parent`); two that the same primitive made from the same operands are one value. Of a
tracer that does not tell, nothing is known. `stop_gradient(x)` is another than x: its
derivative is, where this one is differentiated again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from ... import ir
from ...ir.known import known
from ...linear.program import LinearProgram

_SAME = ("copy", "copy_p")
_DEPTH = 200  # operations since the step's inputs


def merged(program: LinearProgram, env: dict, values: Sequence):
    """The step's program with equal residuals on its tape once, and the environment.

    Args:
      env: the step's variables, variable -> (value, dot).
      values: what is there anyway, in the place of which nothing else is kept.

    Cost: some microseconds per operation that leads to residuals which may be equal.
    """
    found = _constants(program.tape)
    found |= _first_of_each([*values, *program.tape])
    if not found:
        return program, env
    tape = [found.get(id(value), value) for value in program.tape]
    places = {id(value): i for i, value in reversed([*enumerate(tape)])}
    kept = sorted({places[id(value)] for value in tape})
    new = {old: i for i, old in enumerate(kept)}
    at = [new[places[id(value)]] for value in tape]
    structure = program.structure
    edges = tuple(
        [
            e._replace(residuals=tuple([at[i] for i in e.residuals]))
            for e in structure.edges
        ]
    )
    program = LinearProgram(
        structure._replace(edges=edges), [tape[place] for place in kept]
    )
    env = {var: (found.get(id(v), v), dot) for var, (v, dot) in env.items()}
    return program, env


def _constants(values: Iterable) -> dict:
    """id of a value -> the integers that it holds at every step, where it is known."""
    found = {}
    for value in values:
        if ir.is_tracer(value) and not ir.differentiable(ir.typeof(value)):
            number = known(value)
            if number is not None:
                found[id(value)] = number
    return found


def _first_of_each(values: Iterable) -> dict:
    """id of a value -> the first one that is equal to it, where it is not itself."""
    groups: dict = defaultdict(list)
    seen: set[int] = set()
    for value in values:
        if ir.is_tracer(value) and id(value) not in seen:
            seen.add(id(value))
            origin = _origin(value)
            made = getattr(origin, "parent", None)
            name = id(origin) if made is None else made.primitive.name
            groups[name, ir.typeof(value)].append((value, origin))
    numbers, found = _Numbers(), {}
    for group in groups.values():
        if len(group) > 1:
            first: dict = {}
            for value, origin in group:
                number = numbers.of(origin, _DEPTH)
                if first.setdefault(number, value) is not value:
                    found[id(value)] = first[number]
    return found


def _origin(value):
    """The value itself, without what changes nothing."""
    while True:
        made = getattr(value, "parent", None)
        if made is None or len(made.in_tracers) != 1:
            return value
        name, (operand,) = made.primitive.name, made.in_tracers
        if name == "transpose":
            before = getattr(operand, "parent", None)
            if before is None or before.primitive.name != "transpose":
                return value
            outer = made.params["permutation"]
            inner = before.params["permutation"]
            if any(inner[axis] != i for i, axis in enumerate(outer)):
                return value
            (operand,) = before.in_tracers
        elif name not in _SAME:
            return value
        value = operand


class _Numbers:
    """One number per value, the same for values that are equal."""

    def __init__(self):
        self.known: dict = {}  # id of a tracer -> its number
        self.made: dict = {}  # what made a value -> its number
        self.held: list = []  # tracers whose ids are keys

    def of(self, value, depth: int) -> int:
        value = _origin(value)
        number = self.known.get(id(value))
        if number is None:
            self.held.append(value)
            key = self._key(value, depth)
            number = self.known[id(value)] = self.made.setdefault(key, len(self.made))
        return number

    def _key(self, value, depth: int):
        made = getattr(value, "parent", None)
        if made is None:
            number = getattr(value, "val", None)
            if isinstance(number, ir.Literal):
                return ir.typeof(value), repr(number.val)
            return id(value)
        place = [i for i, var in enumerate(made.outvars) if var is value.val]
        if made.effects or depth == 0 or len(place) != 1:
            return id(value)
        operands = [self.of(operand, depth - 1) for operand in made.in_tracers]
        key = made.primitive, place[0], _told(made.params), tuple(operands)
        try:
            hash(key)
        except TypeError:  # a parameter without a hash: it may be any
            return id(value)
        return key


def _told(params: dict) -> tuple:
    return tuple(sorted(params.items(), key=lambda pair: pair[0]))
