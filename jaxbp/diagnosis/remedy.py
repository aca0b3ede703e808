"""What to write instead, with the user's own names.

Behind a select the operand is made safe where the select drops the value (the "double
where"); elsewhere the operation is left out at the point itself, where its slope is
infinite, or a function that does not overflow takes its place.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from . import kinds
from .report import Birth, Remedy
from .rewriting import better
from .source import Written, calls_at, in_brackets, operation_at, where_at


class _Safe(NamedTuple):
    """How an operation is kept from where it has no slope.

    Fields:
      place: of the operand to be changed. condition: where it may stay.
      number: what stands for it elsewhere. limit: the operation's value there.
    """

    place: int
    condition: str
    number: str
    limit: str = "0.0"


_SAFE = {
    "sqrt": _Safe(0, "{x} > 0", "1.0"),
    "rsqrt": _Safe(0, "{x} > 0", "1.0"),
    "cbrt": _Safe(0, "{x} != 0", "1.0"),
    "log": _Safe(0, "{x} > 0", "1.0"),
    "log1p": _Safe(0, "{x} > -1", "0.0"),
    "pow": _Safe(0, "{x} > 0", "1.0"),
    "integer_pow": _Safe(0, "{x} != 0", "1.0"),
    "div": _Safe(1, "{x} != 0", "1.0"),
    "asin": _Safe(0, "abs({raw}) < 1", "0.0", "jnp.sign({x}) * jnp.pi / 2"),
    "acos": _Safe(0, "abs({raw}) < 1", "0.0", "jnp.where({x} > 0, 0.0, jnp.pi)"),
    "acosh": _Safe(0, "{x} > 1", "2.0"),
    "atanh": _Safe(0, "abs({raw}) < 1", "0.0"),
    "atan2": _Safe(1, "{x} != 0", "1.0"),
}
_HALF = ("float16", "bfloat16")
_AT_THE_POINT = ", if that value and slope 0 are meant where the slope is infinite"
_DOUBLE = ": the operand is safe where the value is dropped, and so is the slope"
_STAYS_NAN = ": the value stays NaN where the operand is NaN, and the slope is 0 there"
_OUTSIDE = ", if that value and slope 0 are meant for all numbers outside its domain"
_HOLDS = {
    "{x} > 0": lambda x: x > 0,
    "{x} != 0": lambda x: x != 0,
    "{x} > -1": lambda x: x > -1,
    "{x} > 1": lambda x: x > 1,
    "abs({raw}) < 1": lambda x: abs(x) < 1,
}
# Where a domain ends, but for 0.
_ENDS = {"log1p": 1, "asin": 1, "acos": 1, "acosh": 1, "atanh": 1}


def remedy_of(birth: Birth, value_finite: bool = False) -> Remedy | None:
    """What is known to help; None where nothing is sure to.

    Args:
      value_finite: the function's value is finite, and is kept so.
    """
    line = birth.inside or birth.within or birth.line
    written = operation_at(line, birth.primitive, birth.column) if line else None
    safe = _SAFE.get(birth.primitive)
    squares = written is not None and written.function in ("norm", "std", "hypot")
    if written is not None and safe is not None and birth.mask and not squares:
        return _double_where(birth, written, safe)
    found = better(birth) if line else None
    if found is not None:
        return Remedy(found.old, found.new, found.why)
    rows = _masked_rows(birth, line) if line else None
    if rows is not None:
        return rows
    if kinds.OVERFLOW in birth.kind:
        return _wider(birth)
    if written is None or birth.kind in (kinds.ALREADY_NAN, kinds.ALREADY_INF):
        return None
    if birth.primitive == "atan2" and len(written.operands) == 2:
        return _at_origin(written)
    if squares:
        return _by_squares(written)
    if safe is None or not _guards(birth, safe):
        return None
    if value_finite and birth.value is not None and np.isinf(birth.value):
        limit = "jnp.inf" if birth.value > 0 else "-jnp.inf"  # as it is
        safe = safe._replace(limit=limit)
    found = _left_out(written, safe)
    outside = _outside(birth, safe) or kinds.DOMAIN in birth.elsewhere
    if found is not None and outside:
        found = found._replace(why=_OUTSIDE)
    elif found is not None and birth.primitive == "div":
        found = found._replace(why=_BY_ZERO)
    return found


_BY_ZERO = ", if that value and slope 0 are meant where it is divided by 0"
_ROWS = ": what is -inf throughout counts as zeros there, with slope 0"
_NONE = ": what is -inf throughout has the value -inf, and slope 0"


def _masked_rows(birth: Birth, line: str) -> Remedy | None:
    """A softmax or logsumexp of what is -inf throughout."""
    for written in calls_at(line, ("softmax", "log_softmax", "logsumexp")):
        known = [v for v in (*birth.operands, birth.value) if v is not None]
        if not any(np.isneginf(v) for v in known) or len(written.operands) not in (
            1,
            2,
        ):
            continue
        x, *axis = written.operands
        axis = [f"axis={text}" for text in axis]
        axis += [text for text in written.options if text.startswith("axis=")]
        if not axis and written.function != "logsumexp":
            axis = ["axis=-1"]
        kept = f", {axis[0]}, keepdims=True" if axis else ""
        before, behind = written.parts[0]
        none = f"jnp.max({x}{kept}) == -jnp.inf"
        new = f"{before}jnp.where({none}, 0.0, {x}){behind}"
        if written.function == "logsumexp":
            keep = [t for t in written.options if t.startswith("keepdims=")]
            whole = "".join(f", {text}" for text in (*axis, *keep))
            new = f"jnp.where(jnp.max({x}{whole}) == -jnp.inf, -jnp.inf, {new})"
            return Remedy(written.text, new, _NONE)
        return Remedy(written.text, new, _ROWS)
    return None


def _operand(birth: Birth, safe: _Safe):
    """The number that would be made safe, if it is known."""
    known = len(birth.operands) > safe.place
    return birth.operands[safe.place] if known else None


def _guards(birth: Birth, safe: _Safe) -> bool:
    """Whether leaving the operation out changes what it gives here, and no value that
    is right: of powers of negative numbers many are."""
    number = _operand(birth, safe)
    if birth.primitive == "pow":
        return number is not None and number == 0
    if number is None:
        return True
    if not np.isfinite(number):
        return False
    return not _HOLDS[safe.condition](number)


def _outside(birth: Birth, safe: _Safe) -> bool:
    number = _operand(birth, safe)
    return number is not None and abs(number) != _ENDS.get(birth.primitive, 0)


def combine(births: Sequence[Birth]) -> None:
    """One remedy for what stands within one another: the first birth has that of the
    outer expression, with what the inner ones need; the others say so."""
    for number, birth in enumerate(births, 1):
        for first, other in enumerate(births[: number - 1], 1):
            if not birth.remedy or not other.remedy or birth.line != other.line:
                continue
            both = _both(other.remedy, birth.remedy)
            if both is not None:
                other.remedy, birth.remedy, birth.see = both, None, first


def _both(one: Remedy, other: Remedy) -> Remedy | None:
    """What does for two; None where they have nothing to do with one another."""
    if not one.old or not other.old:
        return None
    if one.old == other.old:
        guards = [r for r in (one, other) if r.why not in (_DOUBLE,)]
        return guards[0] if guards else one
    outer, inner = (one, other) if other.old in one.old else (other, one)
    if inner.old not in outer.old:
        return None
    if outer.ok == f"{in_brackets(inner.old)} != 0" and inner.ok and inner.safe:
        text = outer.old.replace(
            inner.old, inner.safe
        )  # it is 0 there and nowhere else
        limit = outer.limit
        new = f"jnp.where({inner.ok}, {text}, {limit})"
        return outer._replace(new=new, ok=inner.ok)
    return outer._replace(new=outer.new.replace(inner.old, inner.new))


def _made_safe(written: Written, safe: _Safe, cases: str = "{ok}, {x}, {number}"):
    """The condition, and the operation with its operand selected; None where it has no
    such operand."""
    if safe.place >= len(written.operands):
        return None
    operand = written.operands[safe.place]
    ok = safe.condition.format(x=in_brackets(operand), raw=operand)
    selected = cases.format(ok=ok, x=operand, number=safe.number)
    before, behind = written.parts[safe.place]
    return ok, f"{before}jnp.where({selected}){behind}"


def _double_where(birth: Birth, written: Written, safe: _Safe) -> Remedy | None:
    """Both the operand and the value are selected, by the same condition."""
    told = where_at(birth.mask)
    if told is None or any(re.search(rf"\b{n}\b", told[0]) for n in written.names):
        return _by_itself(birth, written, safe)  # a condition on what is to be changed
    condition = told[0].replace("{", "{{").replace("}", "}}")
    cases = "{x}, {number}" if birth.mask_case == 1 else "{number}, {x}"
    found = _made_safe(written, safe, f"{condition}, {cases}")
    if found is None:
        return None
    return Remedy(written.text, found[1], _DOUBLE)


def _by_itself(birth: Birth, written: Written, safe: _Safe) -> Remedy | None:
    """What a select drops that cannot be changed: NaN stays NaN, for nansum and the
    like to drop it; the rest is left out."""
    number = _operand(birth, safe)
    if number is not None and np.isnan(number):
        kept = safe._replace(condition="~jnp.isnan({raw})", limit="jnp.nan")
        found = _left_out(written, kept)
        return found and found._replace(why=_STAYS_NAN)
    return _left_out(written, safe) if _guards(birth, safe) else None


def _left_out(written: Written, safe: _Safe) -> Remedy | None:
    """The operation where it has a slope, and its limit where it has none."""
    found = _made_safe(written, safe)
    if found is None:
        return None
    ok, new = found
    limit = safe.limit.format(x=in_brackets(written.operands[safe.place]))
    whole = f"jnp.where({ok}, {new}, {limit})"
    return Remedy(written.text, whole, _AT_THE_POINT, ok, new, limit)


def _at_origin(written: Written) -> Remedy:
    y, x = written.operands
    origin = f"({in_brackets(y)} == 0) & ({in_brackets(x)} == 0)"
    new = f"jnp.arctan2(jnp.where({origin}, 0.0, {y}), jnp.where({origin}, 1.0, {x}))"
    return Remedy(written.text, new, ": there is no angle at the origin")


def _by_squares(written: Written) -> Remedy | None:
    """A root of a sum of squares, left out where all of them are 0."""
    first, *rest = written.operands
    options = "".join(f", {text}" for text in (*rest, *written.options))
    if written.function == "std":
        square = f"jnp.var({first}{options})"
    elif written.function == "hypot":
        square = " + ".join(f"{in_brackets(x)} ** 2" for x in written.operands)
    elif rest or any(text.startswith("ord=") for text in written.options):
        return None  # another norm than that of squares
    else:
        square = f"jnp.sum({in_brackets(first)} ** 2{options})"
    inside = in_brackets(square) if written.function != "hypot" else f"({square})"
    ok, root = f"{inside} > 0", f"jnp.sqrt(jnp.where({inside} > 0, {square}, 1.0))"
    whole = f"jnp.where({ok}, {root}, 0.0)"
    return Remedy(written.text, whole, _AT_THE_POINT, ok, root, "0.0")


def _wider(birth: Birth) -> Remedy | None:
    """What to do where finite numbers grow too large for their type."""
    dtypes = {getattr(v, "dtype", None) for v in (*birth.operands, birth.cotangent)}
    half = [str(d) for d in dtypes if str(d) in _HALF]
    if not half:
        return None
    why = (
        f", on what was not {half[0]} before, ahead of this operation: {half[0]} "
        "cannot hold numbers as large as its own"
    )
    return Remedy("", ".astype(jnp.float32)", why)
