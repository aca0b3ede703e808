"""One call of a function with a rule of its own: does the rule tell the truth?

    @jax.custom_vjp
    def f(x): ...            # the primal body: its operations say what f is
    f.defvjp(forward, backward)
    What the engine makes of `backward` is set beside what it makes of the body.

Exact witnesses come first, for they have no noise that an error could hide in: the
value of the rule is that of the body; the backward rule is linear; its Jacobian is the
body's, in full where it is small, else along dense and one-hot cotangents. Differences
decide only where the body's own derivative is none, or is at odds with its values; and
where these have a kink, any slope between the two one-sided ones is right.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from .. import ir
from ..checks import Witness, compare, difference_rtol, rtol
from ..checks.closeness import FEW_DIGITS, epsilon, wide
from ..checks.pattern import pattern
from ..checks.rows import DIFFERENCES, KINK
from ..errors import JaxbpError
from ..linear.base import filled
from ..transforms.products import jvp, vjp
from ..walkers.linearize import linearize_flat
from .calls import RuleCall

FULL = 4096  # entries of a Jacobian that is compared in full
DENSE, ONE_HOT = 8, 8  # cotangents along which a larger one is
# In units of the largest element of a cotangent: a sum of so many terms may lose as
# many roundings, and rule and body sum in different orders.
ROUNDINGS = 64
# In types of so few digits the values, looked at in float64, decide on what differs by
SUSPECT = 4  # more than so many roundings.
SEEN = 4.0  # times what values may err by, and are allowed to: so much they tell


class Fault(NamedTuple):
    """In what a rule differs.

    Fields:
      what: "value", "not linear", "derivative", or "refused".
      argument, index: the operand and its element; None where it is about none.
      says, right: what the rule gives there, and what is right.
      said: in words: the pattern of the error, or why nobody can tell.
      sure: False where values are too coarse to tell who is right.
    """

    what: str
    argument: int | None = None
    index: tuple[int, ...] | None = None
    says: float | complex | None = None
    right: float | complex | None = None
    said: str = ""
    sure: bool = True


CONJUGATE = "Its slope is the conjugate of the right one."


def fault_of(call: RuleCall, rng) -> Fault | None:
    """The first thing that is wrong with a rule at a call; None if nothing is.

    Cost: the Jacobian of both in full up to `FULL` entries, else 16 pullbacks of each,
    uncompiled; where they differ, a comparison with differences.
    """
    active = [ir.differentiable(ir.typeof(v)) for v in call.values]
    if not any(active):
        said = "Nothing can be told: none of its operands can be differentiated by."
        return Fault("derivative", said=said, sure=False)
    try:
        outs, own = _linear(call.rule, call.values, active)
    except Exception as error:  # a rule may raise what it likes
        return Fault("refused", said=f"{type(error).__name__}: {error}")
    try:
        plain, body = (
            _linear(call.body, call.values, active) if call.body else (outs, None)
        )
    except (JaxbpError, NotImplementedError, TypeError):
        plain, body = list(call.body(*call.values)), None  # pyright: ignore
    return (
        _value_fault(outs, plain)
        or _linear_fault(own, outs, rng)
        or _derivative_fault(call, active, outs, own, body, rng)
    )


def _linear(function, values, active):
    outs, program, _ = linearize_flat(
        lambda *given: (function(*given), []), values, active
    )
    return outs, program


def _value_fault(outs, plain) -> Fault | None:
    """The forward part must give what the body gives."""
    for said, right in zip(outs, plain, strict=True):
        if not ir.differentiable(ir.typeof(right)):
            if not np.array_equal(said, right):
                return Fault("value", said="An output that has no derivative differs.")
            continue
        a, b = wide(said), wide(right)
        allowed = rtol(ir.typeof(right).dtype) * (np.abs(b) + _size(b))
        found = _largest(a, b, allowed)
        if found is not None:
            return Fault("value", None, found, a[found].item(), b[found].item())
    return None


def _linear_fault(own, outs, rng) -> Fault | None:
    """A pullback maps zero to zero, and sums to sums."""
    one, other = _dense(outs, rng), _dense(outs, rng)
    both = [None if a is None else a + b for a, b in zip(one, other, strict=True)]
    try:
        zero = own.pull([None if b is None else jnp.zeros_like(b) for b in one])
        parts = own.pull(one), own.pull(other), own.pull(both)
    except Exception as error:  # a rule may raise what it likes
        return Fault("refused", said=f"{type(error).__name__}: {error}")
    for place, bar in enumerate(zero):
        if bar is not None and np.any(wide(bar) != 0) and np.isfinite(wide(bar)).all():
            said = "The backward rule does not map zero to zero."
            return Fault("not linear", place, said=said)
    for place, (a, b, sum_bar) in enumerate(zip(*parts, strict=True)):
        if a is None or b is None or sum_bar is None:
            continue
        with np.errstate(invalid="ignore"):
            x, y = wide(sum_bar), wide(a) + wide(b)
        size = _size(wide(a)) + _size(wide(b))
        tolerance = rtol(ir.typeof(sum_bar).dtype)
        found = _largest(x, y, tolerance * (np.abs(y) + size))
        if found is not None:
            said = "The backward rule is not linear in its cotangent."
            return Fault(
                "not linear", place, found, x[found].item(), y[found].item(), said
            )
    return None


def _derivative_fault(call, active, outs, own, body, rng) -> Fault | None:
    if body is None:
        return _by_differences(call, active, "no derivative of its body is known")
    xs = [v for v, on in zip(call.values, active, strict=True) if on]
    for bars in _probes(outs, xs, rng):
        types = [ir.tangent_aval(ir.typeof(x)) for x in xs]
        try:
            said, right = filled(own.pull(bars), types), filled(body.pull(bars), types)
        except JaxbpError:
            return _by_differences(call, active, "its body has no reverse mode")
        fault = _first_difference(said, right, xs, active)
        alone = _by_its_element(call, fault, bars) if fault else None
        if fault is None or _is_at_kink(alone):
            continue
        if not fault.said and _is_conjugate(body, bars, said, xs):
            fault = fault._replace(said=CONJUGATE)
        untold = alone is not None and alone.verdict == "cannot tell"
        if untold and not np.isfinite(complex(fault.right or 0)):
            said = "Nobody can tell: the function has no slope to both sides here."
            return Fault(
                "derivative", fault.argument, fault.index, said=said, sure=False
            )
        return _arbitrated(call, active, fault, alone)
    return None


def _is_at_kink(report) -> bool:
    if report is None or not report.ok:
        return False
    return any(row.verdict == KINK for row in report.rows)


def _by_its_element(call, fault: Fault, bars):
    """The Report of the rule's slope by the fault's element alone: it may be one of the
    two at a kink, or between them. None where no number tells."""
    place, index, says = fault.argument, fault.index, fault.says
    if place is None or index is None or not isinstance(says, float):
        return None
    if not np.isfinite(says):
        return None
    x = call.values[place]

    def along(t):
        """What the cotangents are paired with, by this element alone."""
        moved = list(call.values)
        moved[place] = x.at[index].set(t)
        pairs = [(b, y) for b, y in zip(bars, call.body(*moved), strict=True)
                 if b is not None]  # fmt: skip
        return sum(jnp.sum(jnp.real(b * y)) for b, y in pairs)

    slope = jnp.asarray(says, x.dtype)
    return compare(along, (x[index],), (), grad=lambda t: slope, points=1)


def _first_difference(said, right, xs, active) -> Fault | None:
    places = [i for i, on in enumerate(active) if on]
    lengths = {n for x in xs for n in np.shape(x)}
    whole = [wide(b) for b in right]
    for k, (a, b) in enumerate(zip(map(wide, said), whole, strict=True)):
        dtype = ir.typeof(xs[k]).dtype
        largest = _size(b)
        share, most = rtol(dtype), ROUNDINGS * epsilon(dtype)
        if epsilon(dtype) > FEW_DIGITS:
            share = most = SUSPECT * epsilon(dtype)
        allowed = share * (np.abs(a) + np.abs(b)) + most * largest
        found = _largest(a, b, allowed)
        if found is None:
            continue
        words = pattern(a, b, allowed, np.asarray(xs[k]), lengths)
        for other, c in enumerate(whole):
            if other != k and c.shape == a.shape and np.allclose(a, c, rtol=1e-4):
                words = f"It is that of argument {places[other]}, one for the other."
        return Fault(
            "derivative", places[k], found, a[found].item(), b[found].item(), words
        )
    return None


def _is_conjugate(body, bars, said, xs) -> bool:
    """Whether the rule's slope is the conjugate of the right one, whatever it is
    multiplied by: its pull is the conjugate of the right one's of a conjugate."""
    if not any(np.iscomplexobj(x) for x in xs):
        return False
    turned = [None if b is None else jnp.conj(b) for b in bars]
    types = [ir.tangent_aval(ir.typeof(x)) for x in xs]
    right = filled(body.pull(turned), types)
    pairs = list(zip(map(wide, said), map(wide, right), strict=True))
    eps = [rtol(ir.typeof(x).dtype) for x in xs]
    return all(
        np.allclose(a, np.conj(b), rtol=e, atol=e * _size(b))
        for (a, b), e in zip(pairs, eps, strict=True)
    )


def _arbitrated(call, active, fault: Fault, alone) -> Fault | None:
    """The fault, unless f's values speak against the body's own derivative."""
    numbers = [n for n in (fault.says, fault.right) if n is not None]
    finite = bool(np.isfinite(numbers).all())
    if finite and not all(np.isfinite(wide(v)).all() for v in _active(call, active)):
        return fault  # differences would be of what is not finite
    types = [ir.typeof(value).dtype for value in _active(call, active)]
    if finite and max(map(epsilon, types)) > FEW_DIGITS:
        return _by_differences(call, active, "its numbers have too few digits")
    report = _compared(call, active, call.body)
    if not (report.ok or (finite and report.verdict == "cannot tell")):
        return _by_differences(call, active, "its body's own derivative is inexact")
    if not finite or alone is None or not alone.ok:
        return fault
    return None if _is_seen(fault, alone) or _is_stabler(call, active) else fault


def _is_seen(fault: Fault, alone) -> bool:
    """Whether values tell the rule's slope from the body's, and speak against that."""
    says, right = complex(fault.says or 0), complex(fault.right or 0)
    gap, size = abs(says - right), abs(says)
    told = [row for row in alone.rows if row.witness == DIFFERENCES]
    noise = max((row.noise for row in told), default=np.inf)
    return gap > SEEN * (noise + difference_rtol(np.float32) * size)


def _is_stabler(call, active) -> bool:
    """Whether rule and body differ by their rounding: they agree in float64, or what
    rounding was seen to do explains it. The body's own derivative may be lost where
    terms cancel, and a rule be written for that."""
    return _compared(call, active, call.rule, call.body).ok


def _by_differences(call, active, why: str) -> Fault | None:
    """What f's values alone say of the rule."""
    report = _compared(call, active, call.rule)
    if report.ok:
        return None
    if report.verdict == "cannot tell":
        return Fault("derivative", said=f"Nobody can tell: {why}.", sure=False)
    row = report.failures[0]
    if row.witness == "value":
        said = f"Nobody can tell: the function's value is {row.value} here."
        return Fault("derivative", said=said, sure=False)
    if not np.isfinite([row.value, row.other]).any():
        said = "Nobody can tell: neither the rule nor the function is finite here."
        return Fault("derivative", said=said, sure=False)
    places = [i for i, on in enumerate(active) if on]
    argument = next((p for p in places if row.leaf == f"args[{p}]"), places[0])
    finding = report.findings[0] if report.findings else None
    words = getattr(finding, "pattern", "") or ""
    return Fault("derivative", argument, row.index, row.value, row.other, words)


def _active(call, active) -> list:
    return [value for value, on in zip(call.values, active, strict=True) if on]


def _compared(call, active, *derived):
    """`jaxbp.checks.compare` of the values of the first of `derived`, which are rule or
    body, with its derivative, and that with those of the others."""
    places = [i for i, on in enumerate(active) if on]

    def whole(function):
        def of_active(*given):
            values = list(call.values)
            for place, value in zip(places, given, strict=True):
                values[place] = value
            return [y for y in function(*values) if ir.differentiable(ir.typeof(y))]

        return of_active

    def witness(function):
        judged = whole(function)
        return Witness(
            "rule" if function is derived[0] else "body",
            lambda _, primals, tangents: jvp(judged, primals, tangents),
            lambda _, *primals: vjp(judged, *primals),
            refusals=(JaxbpError, NotImplementedError),
        )

    named = [call.values[place] for place in places]
    witnesses = tuple(map(witness, derived))
    return compare(whole(derived[0]), tuple(named), witnesses, points=1)


# Cotangents --------------------------------------------------------------------------


def _probes(outs, xs, rng):
    """Lists of cotangents: dense ones, then single elements."""
    sizes = [y.size if ir.differentiable(ir.typeof(y)) else 0 for y in outs]
    total, inputs = sum(sizes), sum(x.size for x in xs)
    full = total * inputs <= FULL
    for _ in range(2 if full else DENSE):
        yield _dense(outs, rng)
    count = total if full else min(ONE_HOT, total)
    chosen = range(total) if full else rng.choice(total, count, replace=False)
    for number in chosen:
        yield _one_hot(outs, sizes, int(number))


def _dense(outs, rng) -> list:
    """A random cotangent for each output that has one."""
    bars = []
    for y in outs:
        aval = ir.typeof(y)
        if not ir.differentiable(aval):
            bars.append(None)
            continue
        value = rng.normal(size=aval.shape)
        if np.issubdtype(aval.dtype, np.complexfloating):
            value = value + 1j * rng.normal(size=aval.shape)
        bars.append(jnp.asarray(value).astype(aval.dtype))
    return bars


def _one_hot(outs, sizes, number: int) -> list:
    bars: list = []
    for y, size in zip(outs, sizes, strict=True):
        aval = ir.typeof(y)
        if not size or not 0 <= number < size:
            bars.append(None)
        else:
            unit = np.zeros(math.prod(aval.shape), aval.dtype)
            unit[number] = 1
            bars.append(jnp.asarray(unit.reshape(aval.shape)))
        number -= size
    return bars


def _size(values) -> float:
    """The largest of those that are finite."""
    return np.abs(np.where(np.isfinite(values), values, 0)).max(initial=0)


def _largest(a, b, allowed) -> tuple[int, ...] | None:
    """The index at which two arrays differ most for what is allowed; None: nowhere."""
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(a - b)
        over = np.where(np.isfinite(gap), gap - allowed, np.inf)
    same = (a == b) | (~np.isfinite(a) & ~np.isfinite(b))
    excess = np.where(same, -np.inf, over)
    if excess.size == 0 or not (excess > 0).any():
        return None
    at = np.unravel_index(int(np.argmax(np.where(excess > 0, gap, -1))), excess.shape)
    return tuple(map(int, at))
