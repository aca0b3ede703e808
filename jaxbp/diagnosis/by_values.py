"""What the values of a rule's function say of its slopes."""

import jax.numpy as jnp
import numpy as np

from .. import ir
from ..checks import Witness, compare, difference_rtol, rounding
from ..checks.closeness import FEW_DIGITS, epsilon, wide
from ..checks.perturbed import perturbed
from ..checks.rows import DIFFERENCES, KINK
from ..errors import JaxbpError
from ..transforms.products import jvp, vjp
from .fault import Fault

SEEN = 4.0  # times what values may err by, and are allowed to: so much they tell


def is_at_kink(report) -> bool:
    """Whether a slope agrees as one of the two at a kink, or between them."""
    if report is None or not report.ok:
        return False
    return any(row.verdict == KINK for row in report.rows)


def by_its_element(call, fault: Fault, bars):
    """The Report of the rule's slope by the fault's element alone: it may be one of the
    two at a kink, or between them. None where no number tells."""
    place, index, says = fault.argument, fault.index, fault.says
    if place is None or index is None or not isinstance(says, float):
        return None
    if not np.isfinite(says):
        return None
    x = call.values[place]
    slope = jnp.asarray(says, x.dtype)

    def moved(t):
        return [x.at[index].set(t) if k == place else v
                for k, v in enumerate(call.values)]  # fmt: skip

    return _along(call, bars, moved, x[index], slope)


def _along(call, bars, moved, at, slope):
    """The Report of a slope of what the cotangents are paired with, by one number.

    Args:
      moved: t -> the operands. at: t at the point, 0-d. slope: 0-d of its dtype.
    """

    def paired(t):
        pairs = [(b, y) for b, y in zip(bars, call.body(*moved(t)), strict=True)
                 if b is not None]  # fmt: skip
        return sum(jnp.sum(jnp.real(b * y)) for b, y in pairs)

    return compare(paired, (at,), (), grad=lambda t: slope, points=1)


def together(call, active, bars, said) -> Fault | None:
    """A doubt about slopes that lie between one-sided ones each: where all operands
    grow alike, the function may have one slope, and theirs add up to another."""
    xs = _active(call, active)
    if not all(np.issubdtype(x.dtype, np.floating) for x in xs):
        return None
    ways = [jnp.where(x == 0, 1, x).astype(x.dtype) for x in xs]
    dtype = max((x.dtype for x in xs), key=lambda d: np.finfo(d).precision)
    slope = sum(np.sum(wide(b) * wide(way)) for b, way in zip(said, ways, strict=True))
    if not np.isfinite(slope):
        return None

    def moved(t):
        pairs = zip(xs, ways, strict=True)
        grown = iter([x + (t.astype(x.dtype) - 1) * way for x, way in pairs])
        return [next(grown) if on else v
                for v, on in zip(call.values, active, strict=True)]  # fmt: skip

    report = _along(call, bars, moved, jnp.ones((), dtype), jnp.asarray(slope, dtype))
    if not report.failures:
        return None
    row = report.failures[0]
    told = (
        "Nobody can tell: each slope lies between the two at a kink, but where all "
        f"operands grow by their own size the function's is {row.other:.6g}, and these "
        f"give {row.value:.6g}."
    )
    return Fault("derivative", said=told, sure=False)


def arbitrated(call, active, fault: Fault, alone, bars) -> Fault | None:
    """The fault, unless f's values speak against the body's own derivative."""
    numbers = [n for n in (fault.says, fault.right) if n is not None]
    finite = bool(np.isfinite(numbers).all())
    if finite and not all(np.isfinite(wide(v)).all() for v in _active(call, active)):
        return fault  # differences would be of what is not finite
    types = [ir.typeof(value).dtype for value in _active(call, active)]
    if finite and max(map(epsilon, types)) > FEW_DIGITS:
        return by_differences(call, active, "its numbers have too few digits")
    report = _compared(call, active, call.body)
    if not (report.ok or (finite and report.verdict == "cannot tell")):
        return by_differences(call, active, "its body's own derivative is inexact")
    if not finite or (alone is not None and alone.failures):
        return fault
    if alone is not None and alone.ok and _is_seen(fault, alone):
        return None
    return _unless_rounding(call, active, fault, bars)


def _is_seen(fault: Fault, alone) -> bool:
    """Whether values tell the rule's slope from the body's, and speak against that."""
    says, right = complex(fault.says or 0), complex(fault.right or 0)
    gap, size = abs(says - right), abs(says)
    told = [row for row in alone.rows if row.witness == DIFFERENCES]
    noise = max((row.noise for row in told), default=np.inf)
    return gap > SEEN * (noise + difference_rtol(np.float32) * size)


def _unless_rounding(call, active, fault: Fault, bars) -> Fault | None:
    """The fault, unless rule and body agree in float64, or what rounding was seen to do
    explains it: the body's own derivative may be lost where terms cancel, and a rule be
    written for that."""
    if _compared(call, active, call.rule, call.body).ok:
        return None
    if not _is_rounding(call, active, fault, bars):
        return fault
    why = "rule and body differ by no more than the rounding of the two may do"
    return Fault("derivative", said=f"Nobody can tell: {why}.", sure=False)


def _is_rounding(call, active, fault: Fault, bars) -> bool:
    """Whether the two slopes are no farther apart than they move where every operation
    of theirs rounds at random."""
    if fault.argument is None or fault.index is None:
        return False
    place, given = sum(active[: fault.argument]), _active(call, active)
    told = [b for b in bars if b is not None]
    moves = 0.0
    for function, slope in ((call.rule, fault.says), (call.body, fault.right)):
        whole = _of_active(call, active, function)
        run = perturbed(lambda xs, whole=whole: vjp(whole, *xs)[1](told))
        try:
            runs = [run(np.uint32(seed), given) for seed in range(rounding.SHAKES)]
        except Exception:  # a rule of numpy's; a primitive that takes no part
            return False
        slopes = np.array([wide(x_bar[place])[fault.index] for x_bar in runs])
        moves += float(np.abs(slopes - slope).max())
    gap = abs(complex(fault.says or 0) - complex(fault.right or 0))
    return bool(gap <= rounding.SAFETY * moves)


def by_differences(call, active, why: str) -> Fault | None:
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

    def witness(function):
        judged = _of_active(call, active, function)
        return Witness(
            "rule" if function is derived[0] else "body",
            lambda _, primals, tangents: jvp(judged, primals, tangents),
            lambda _, *primals: vjp(judged, *primals),
            refusals=(JaxbpError, NotImplementedError),
        )

    judged, given = _of_active(call, active, derived[0]), _active(call, active)
    return compare(judged, tuple(given), tuple(map(witness, derived)), points=1)


def _of_active(call, active, function):
    """`function` of the operands that have derivatives, to the outputs that have."""
    places = [i for i, on in enumerate(active) if on]

    def of_active(*given):
        values = list(call.values)
        for place, value in zip(places, given, strict=True):
            values[place] = value
        return [y for y in function(*values) if ir.differentiable(ir.typeof(y))]

    return of_active
