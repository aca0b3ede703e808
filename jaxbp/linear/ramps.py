"""Indices that go up or down by the same step, found by how they were computed.

    clip(k - arange(m), 0, n - 1)     start k, step -1, held between 0 and n - 1
    where(i < 0, i + n, i), i a ramp  wraps: n is added where it is negative

JAX's tracers say what made them (`parent`, `get_const`); of those that do not, nothing
is known.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax import lax

from .. import ir

DEPTH = 24  # operations since what the indices start from


@dataclass(frozen=True, eq=False)
class Ramp:
    """number + sum of terms + step * i for place i, then wrapped, then held.

    Fields:
      step: 0: the same number at every place.
      terms: (sign, scalar) of what is not known.
      wraps: so much is added where it is negative.
      low, high: it is held between these; None: it is not.
    """

    step: int
    number: int
    terms: tuple = ()
    wraps: int = 0
    low: int | None = None
    high: int | None = None

    def is_like(self, other) -> bool:
        """Whether both are known to be the same."""
        return isinstance(other, Ramp) and self._key() == other._key()

    def _key(self):
        terms = sorted([(sign, id(term)) for sign, term in self.terms])
        return self.step, self.number, terms, self.wraps, self.low, self.high

    def is_plain(self) -> bool:
        return not self.wraps and self.low is None and self.high is None

    def replace(self, **changes) -> "Ramp":
        return dataclasses.replace(self, **changes)

    def start(self, dtype, within: int):
        """What it is at place 0, between -within and within."""
        wide = np.result_type(dtype, *[ir.typeof(term).dtype for _, term in self.terms])
        total = wide.type(self.number)
        for sign, term in self.terms:
            term = lax.convert_element_type(term, wide)
            total = lax.add(total, term) if sign > 0 else lax.sub(total, term)
        total = lax.clamp(wide.type(-within), total, wide.type(within))
        return lax.convert_element_type(total, dtype)


@dataclass(frozen=True)
class _Negative:
    """Where a ramp is below zero."""

    of: Ramp


class _Unknown(Exception):
    """Indices that are no ramp, or whose making is not known."""


def ramp(indices) -> Ramp | None:
    """What (m,) or (m, 1) integers are, if they go up or down by the same step."""
    numbers = ir.known(indices)
    try:
        if numbers is not None:
            return _progression(numbers)
        found = _Search().of(indices, DEPTH)
    except _Unknown:
        return None
    return found if isinstance(found, Ramp) else None


@dataclass(frozen=True)
class _Operand:
    """What an equation reads: its shape, and its form when that is asked for."""

    shape: tuple
    form: Callable[[], Any]

    def ramp(self) -> Ramp:
        form = self.form()
        if not isinstance(form, Ramp):
            raise _Unknown
        return form

    def plain(self) -> Ramp:
        form = self.ramp()
        if not form.is_plain():
            raise _Unknown
        return form

    def number(self) -> int:
        form = self.plain()
        if form.step or form.terms:
            raise _Unknown
        return form.number


class _Search:
    """Forms of values, each looked for once."""

    def __init__(self):
        self.found: dict = {}  # id of a value: (it, its form or None)

    def of(self, value, depth: int):
        if id(value) not in self.found:
            try:
                form = self._of(value, depth)
            except _Unknown:
                form = None
            self.found[id(value)] = value, form
        form = self.found[id(value)][1]
        if form is None:
            raise _Unknown
        return form

    def _of(self, value, depth: int):
        aval = ir.typeof(value)
        _check(aval)
        if not ir.is_tracer(value):
            return _progression(ir.known(value))
        const = getattr(value, "get_const", lambda: None)()
        if depth == 0:
            raise _Unknown
        if const is not None:
            return self.of(const, depth - 1)
        made = getattr(value, "parent", None)
        try:
            if made is None or len(made.outvars) != 1:
                raise _Unknown
            operands = [self.operand(x, depth - 1) for x in made.in_tracers]
            return self.computed(made, operands)
        except _Unknown:
            if aval.shape or aval.dtype == np.bool_:
                raise
            return Ramp(0, 0, ((1, value),))

    def operand(self, value, depth: int) -> _Operand:
        shape = getattr(ir.typeof(value), "shape", ())
        return _Operand(shape, lambda: self.of(value, depth))

    def computed(self, eqn, operands: Sequence[_Operand]):
        """The form of an equation's one output."""
        if len(eqn.outvars) != 1:
            raise _Unknown
        name, aval = eqn.primitive.name, eqn.outvars[0].aval
        _check(aval)
        if name == "jit":
            return self.called(*ir.inner(eqn.params["jaxpr"]), operands)
        if name == "iota":
            if aval.shape[eqn.params["dimension"]] != aval.size:
                raise _Unknown
            return Ramp(1, 0)
        if name not in _RULES:
            raise _Unknown
        return _RULES[name](aval, *operands)

    def called(self, jaxpr, consts, operands: Sequence[_Operand]):
        env = dict(zip(jaxpr.invars, operands, strict=True))
        for var, const in zip(jaxpr.constvars, consts, strict=True):
            env[var] = self.operand(const, 1)

        def read(atom):
            return (
                self.operand(atom.val, 1) if isinstance(atom, ir.Literal) else env[atom]
            )

        for eqn in jaxpr.eqns:
            form = self.computed(eqn, [read(atom) for atom in eqn.invars])
            env[eqn.outvars[0]] = _Operand(
                eqn.outvars[0].aval.shape, lambda form=form: form
            )
        return read(jaxpr.outvars[0]).form()


def _check(aval):
    """What is not counted in 32 bits or more, with a sign, may turn over."""
    dtype = getattr(aval, "dtype", None)
    signed = getattr(dtype, "kind", "") == "i" and getattr(dtype, "itemsize", 0) >= 4
    if not signed and dtype != np.bool_:
        raise _Unknown


def _progression(numbers) -> Ramp:
    """The ramp of numbers that are known."""
    if numbers is None or numbers.size == 0 or numbers.dtype == np.bool_:
        raise _Unknown
    if max(numbers.shape, default=1) < numbers.size:
        raise _Unknown
    flat = numbers.reshape(-1).astype(np.int64)
    steps = np.diff(flat)
    if steps.size and not (steps == steps[0]).all():
        raise _Unknown
    return Ramp(int(steps[0]) if steps.size else 0, int(flat[0]))


def _add(aval, x: _Operand, y: _Operand, sign: int = 1):
    one, other = x.plain(), y.plain()
    terms = [(sign * s, term) for s, term in other.terms]
    number = one.number + sign * other.number
    return Ramp(one.step + sign * other.step, number, (*one.terms, *terms))


def _sub(aval, x: _Operand, y: _Operand):
    return _add(aval, x, y, -1)


def _neg(aval, x: _Operand):
    return _sub(aval, _Operand((), lambda: Ramp(0, 0)), x)


def _at_least(form: Ramp, low: int) -> Ramp:
    if form.low is not None or (form.high is not None and form.high < low):
        raise _Unknown
    return form.replace(low=low)


def _at_most(form: Ramp, high: int) -> Ramp:
    if form.high is not None or (form.low is not None and high < form.low):
        raise _Unknown
    return form.replace(high=high)


def _with_number(hold):
    """`hold` of a ramp and a number, in whichever order they are given."""

    def rule(aval, x: _Operand, y: _Operand):
        try:
            number = x.number()
        except _Unknown:
            return hold(x.ramp(), y.number())
        return hold(y.ramp(), number)

    return rule


def _clamp(aval, low: _Operand, x: _Operand, high: _Operand):
    return _at_most(_at_least(x.ramp(), low.number()), high.number())


def _less(aval, x: _Operand, y: _Operand):
    if y.number() != 0:
        raise _Unknown
    return _Negative(x.ramp())


def _select(aval, which: _Operand, *cases: _Operand):
    """x + n where x is negative: indices that count from the end."""
    condition = which.form()
    if len(cases) != 2 or not isinstance(condition, _Negative):
        raise _Unknown
    x = cases[0].ramp()
    if not condition.of.is_like(x):
        raise _Unknown
    if x.low is not None and x.low >= 0:
        return x
    moved = cases[1].plain()
    by = moved.number - x.number
    if by <= 0 or not moved.is_like(x.replace(number=moved.number)):
        raise _Unknown
    return x.replace(wraps=by)


def _same(aval, x: _Operand, *sizes):
    """The same numbers in another shape, in the same order."""
    form = x.form()
    if isinstance(form, Ramp) and form.step == 0:
        return form
    if max(aval.shape, default=1) < aval.size or aval.size != np.prod(x.shape):
        raise _Unknown
    return form


def _convert(aval, x: _Operand, *sizes):
    """Places fit into 32 bits; a number that they start from may not."""
    form = _same(aval, x, *sizes)
    if not aval.shape and not (isinstance(form, Ramp) and not form.terms):
        raise _Unknown
    return form


_RULES: dict[str, Callable] = {
    "add": _add,
    "sub": _sub,
    "neg": _neg,
    "max": _with_number(_at_least),
    "min": _with_number(_at_most),
    "clamp": _clamp,
    "lt": _less,
    "select_n": _select,
    "convert_element_type": _convert,
    "copy": _same,
    "broadcast_in_dim": _same,
    "reshape": _same,
    "squeeze": _same,
}
