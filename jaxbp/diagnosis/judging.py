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

import jax.numpy as jnp
import numpy as np

from .. import ir
from ..checks import rtol
from ..checks.closeness import FEW_DIGITS, epsilon, wide
from ..checks.pattern import pattern
from ..errors import JaxbpError
from ..linear.base import filled
from ..walkers.linearize import linearize_flat
from .by_values import arbitrated, by_differences, by_its_element, is_at_kink, together
from .calls import RuleCall
from .cotangents import dense, probes
from .fault import Fault

# In units of the largest element of a cotangent: a sum of so many terms may lose as
# many roundings, and rule and body sum in different orders.
ROUNDINGS = 64
# In types of so few digits the values, looked at in float64, decide on what differs by
SUSPECT = 4  # more than so many roundings.
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
    one, other = dense(outs, rng), dense(outs, rng)
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
        return by_differences(call, active, "no derivative of its body is known")
    xs = [v for v, on in zip(call.values, active, strict=True) if on]
    doubt = None
    for along, bars in probes(outs, xs, rng):
        types = [ir.tangent_aval(ir.typeof(x)) for x in xs]
        try:
            said, right = filled(own.pull(bars), types), filled(body.pull(bars), types)
        except JaxbpError:
            return by_differences(call, active, "its body has no reverse mode")
        fault = _first_difference(said, right, xs, active)
        if fault is None:
            continue
        alone = by_its_element(call, fault, bars)
        if is_at_kink(alone):
            doubt = doubt or together(call, active, bars, said)
            continue
        fault = fault._replace(along=along)
        if not fault.said and _is_conjugate(body, bars, said, xs):
            fault = fault._replace(said=CONJUGATE)
        untold = alone is not None and alone.verdict == "cannot tell"
        if untold and not np.isfinite(complex(fault.right or 0)):
            said = "Nobody can tell: the function has no slope to both sides here."
            return Fault(
                "derivative", fault.argument, fault.index, said=said, sure=False
            )
        return arbitrated(call, active, fault, alone, bars)
    return doubt


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
