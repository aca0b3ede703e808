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
from .source import Written, in_brackets, line_text, operation_at, where_at


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
    "asin": _Safe(0, "abs({x}) < 1", "0.0", "jnp.sign({x}) * jnp.pi / 2"),
    "acos": _Safe(0, "abs({x}) < 1", "0.0", "jnp.where({x} > 0, 0.0, jnp.pi)"),
    "acosh": _Safe(0, "{x} > 1", "2.0"),
    "atanh": _Safe(0, "abs({x}) < 1", "0.0"),
    "atan2": _Safe(1, "{x} != 0", "1.0"),
}
# What stands where a formula is written by hand: (pattern of the line, what is better).
_BETTER = (
    (r"sin\((\w+)\)\s*/\s*\1\b", "jnp.sinc(x / jnp.pi)"),
    (r"log\(\s*(jnp\.|np\.)?sum\(\s*(jnp\.|np\.)?exp", "jax.nn.logsumexp(x)"),
    (r"log\(.*exp\(.*\)\.sum\(", "jax.nn.logsumexp(x)"),
    (r"log\(\s*(1|1\.0?)\s*\+\s*(jnp\.|np\.)?exp", "jax.nn.softplus(x)"),
    (r"log1p\(\s*(jnp\.|np\.)?exp", "jax.nn.softplus(x)"),
    (r"log\(.*softmax", "jax.nn.log_softmax(x)"),
    (r"log\(.*sigmoid", "jax.nn.log_sigmoid(x)"),
    (r"exp\(.*/.*sum\(.*exp", "jax.nn.softmax(x)"),
    (r"exp\(.*/.*exp\(.*\)\.sum\(", "jax.nn.softmax(x)"),
    (r"1(\.0?)?\s*/\s*\(\s*1(\.0?)?\s*\+\s*(jnp\.|np\.)?exp", "jax.nn.sigmoid(x)"),
)
_HALF = ("float16", "bfloat16")
_AT_THE_POINT = ", if that value and slope 0 are meant where the slope is infinite"
_OUTSIDE = ", if that value and slope 0 are meant for all numbers outside its domain"
_HOLDS = {
    "{x} > 0": lambda x: x > 0,
    "{x} != 0": lambda x: x != 0,
    "{x} > -1": lambda x: x > -1,
    "{x} > 1": lambda x: x > 1,
    "abs({x}) < 1": lambda x: abs(x) < 1,
}
# Where a domain ends, but for 0.
_ENDS = {"log1p": 1, "asin": 1, "acos": 1, "acosh": 1, "atanh": 1}


def remedy_of(birth: Birth) -> Remedy | None:
    """What is known to help; None where nothing is sure to."""
    written = operation_at(birth) if birth.line else None
    safe = _SAFE.get(birth.primitive)
    squares = written is not None and written.function in ("norm", "std", "hypot")
    if written is not None and safe is not None and birth.mask and not squares:
        return _double_where(birth, written, safe)
    for pattern, better in _BETTER:
        if birth.line and re.search(pattern, line_text(birth.line)):
            return Remedy("", better, ", which is finite here, in the place of this")
    if kinds.OVERFLOW in birth.kind:
        return _wider(birth)
    if written is None or birth.kind == kinds.ALREADY_NAN:
        return None
    if birth.primitive == "atan2" and len(written.operands) == 2:
        return _at_origin(written)
    if squares:
        return _by_squares(written)
    if safe is None or not _guards(birth, safe):
        return None
    found = _left_out(written, safe)
    if found is not None and _outside(birth, safe):
        found = found._replace(why=_OUTSIDE)
    return found


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
    """Remedies of expressions within one another: the outer one holds the inner."""
    for outer in births:
        for inner in births:
            if inner is outer or not (inner.remedy and outer.remedy):
                continue
            old, new = inner.remedy.old, inner.remedy.new
            if old and inner.line == outer.line and old != outer.remedy.old:
                if old in outer.remedy.old:
                    whole = outer.remedy.new.replace(old, new)
                    outer.remedy = outer.remedy._replace(new=whole)


def _made_safe(written: Written, safe: _Safe, cases: str = "{ok}, {x}, {number}"):
    """The condition, and the operation with its operand selected; None where it has no
    such operand."""
    if safe.place >= len(written.operands):
        return None
    operand = written.operands[safe.place]
    ok = safe.condition.format(x=in_brackets(operand))
    selected = cases.format(ok=ok, x=operand, number=safe.number)
    before, behind = written.parts[safe.place]
    return ok, f"{before}jnp.where({selected}){behind}"


def _double_where(birth: Birth, written: Written, safe: _Safe) -> Remedy | None:
    """Both the operand and the value are selected, by the same condition."""
    told = where_at(birth.mask)
    if told is None or any(re.search(rf"\b{n}\b", told[0]) for n in written.names):
        return _left_out(written, safe)  # a condition on what is to be changed
    condition = told[0].replace("{", "{{").replace("}", "}}")
    cases = "{x}, {number}" if birth.mask_case == 1 else "{number}, {x}"
    found = _made_safe(written, safe, f"{condition}, {cases}")
    if found is None:
        return None
    why = ": the operand is safe where the value is dropped, and so is the slope"
    return Remedy(written.text, found[1], why)


def _left_out(written: Written, safe: _Safe) -> Remedy | None:
    """The operation where it has a slope, and its limit where it has none."""
    found = _made_safe(written, safe)
    if found is None:
        return None
    ok, new = found
    limit = safe.limit.format(x=in_brackets(written.operands[safe.place]))
    return Remedy(written.text, f"jnp.where({ok}, {new}, {limit})", _AT_THE_POINT)


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
    root = f"jnp.sqrt(jnp.where({inside} > 0, {square}, 1.0))"
    return Remedy(written.text, f"jnp.where({inside} > 0, {root}, 0.0)", _AT_THE_POINT)


def _wider(birth: Birth) -> Remedy | None:
    """What to do where finite numbers grow too large for their type."""
    dtypes = {getattr(v, "dtype", None) for v in (*birth.operands, birth.cotangent)}
    half = [str(d) for d in dtypes if str(d) in _HALF]
    if not half:
        return None
    why = f" before this operation: {half[0]} cannot hold numbers as large as its own"
    return Remedy("", ".astype(jnp.float32)", why)
