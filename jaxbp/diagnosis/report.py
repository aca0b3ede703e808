"""What `explain_nan` tells: each birth, and what to write instead."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .. import ir
from ..display import Column, Line, Page, Shown, Table, Words
from .shortened import shortened


class Remedy(NamedTuple):
    """What to write instead.

    Fields:
      old: the expression as it stands in the source, "" where it is no one expression.
      new: the one for it. why: what it does, or when it is right.
      ok, safe, limit: where `new` is `where(ok, safe, limit)`, its parts; else "".
    """

    old: str
    new: str
    why: str
    ok: str = ""
    safe: str = ""
    limit: str = ""

    def __str__(self) -> str:
        told = shortened(self.old, self.new)
        given = f"with `{told.letter}` = `{told.text}`, " if told.letter else ""
        of = f" for `{told.old}`" if told.old else ""
        return f"{given}`{told.new}`{of}{self.why}"


@dataclass
class Birth:
    """Where a NaN or Inf is born that reaches the derivative.

    Attributes:
      line: `file:line (function)` of the user's code, "" where none is known; of what
        an installed package does, the line that calls into it.
      within: the line within that package, or "".
      column: where in the line its expression begins, from 0, or None.
      primitive: the forward operation, or the function with a rule of its own.
      kind: what happened: "0 x inf", "pole", "0 / 0", "inf - inf", "overflow of finite
        numbers", "outside the domain", "a value that is NaN already", ...
      index: the first element born there, in the array of `shape` that the derivative
        of this operation is.
      entries: elements of the derivative that it is behind; `shared`: it and the other
        births of its step, which are not told apart.
      steps: (kind of loop, step, length) of the loops around, outermost first; steps
        count from 0 in the order in which they run.
      also: the steps of further births of this line, operation and kind. more: of how
        many further steps the last of these stands for all.
      times: how many operations of this line and kind give birth.
      count: elements born there.
      operands: the operation's operands at the index, None where they have no such
        element. value: its outcome there.
      spoilt: what is NaN or infinite already of operands that have no such element, and
        where, or "".
      cotangent: what came in there; `carried`: "tangent" in forward mode. slope: what
        it was multiplied by, where that is one number.
      batch: the leading part of the index that counts elements of a `jax.vmap` around.
      mask: line of the select that drops the value, or "". mask_case: 1 if it is what
        stands where the condition holds, 0 if it is what stands elsewhere.
      inside: the line within a custom backward rule, or "".
      origin: the operation that made an operand NaN or infinite, with its line, or "".
      read_by: of a value that is NaN already, where reverse mode meets it; all else is
        then told of the operation that made it.
      remedy: what to write instead, or None. see: the number of the birth whose remedy
        is this one's too, from 1; else 0.
    """

    line: str
    primitive: str
    kind: str
    index: tuple[int, ...]
    entries: int
    steps: tuple[tuple[str, int, int], ...] = ()
    times: int = 1
    count: int = 1
    shape: tuple[int, ...] = ()
    operands: tuple = ()
    value: Any = None
    spoilt: str = ""
    elsewhere: list[str] = field(default_factory=list)
    cotangent: Any = None
    carried: str = "cotangent"
    slope: Any = None
    column: int | None = None
    batch: tuple[int, ...] = ()
    mask: str = ""
    mask_case: int | None = None
    inside: str = ""
    origin: str = ""
    read_by: str = ""
    within: str = ""
    also: list = field(default_factory=list)
    more: int = 0
    shared: bool = False
    see: int = 0
    remedy: Remedy | None = None

    @property
    def step(self) -> int | None:
        """The step of the innermost loop around, or None."""
        return self.steps[-1][1] if self.steps else None

    def facts(self) -> list[tuple[str, str]]:
        """(what, said) for each thing that is known."""
        found = [("operation", f"`{self.primitive}`"), ("what happened", self.kind)]
        if self.elsewhere:
            found.append(("at other elements", "; ".join(self.elsewhere)))
        if self.within:
            found.append(("within", ir.brief(self.within)))
        known = [number(v) for v in self.operands if v is not None]
        if known:
            found.append(("operands", ", ".join(known)))
        if self.spoilt:
            found.append(("that value", self.spoilt))
        if self.value is not None:
            found.append(("value", number(self.value)))
        if self.cotangent is not None:
            said = number(self.cotangent)
            other = "" if np.isfinite(self.cotangent) else ", as it comes in"
            found.append((self.carried, said + other))
        if self.slope is not None:
            found.append(("slope", number(self.slope)))
        if self.index:
            of = f" of shape {self.shape}" if self.shape else ""
            more = f"; {self.count} elements" if self.count > 1 else ""
            found.append(("element", f"{self.index}{of}{more}"))
        if self.batch:
            axes = "axes" if len(self.batch) > 1 else "axis"
            said = f"{', '.join(map(str, self.batch))} (leading {axes}, of vmap)"
            found.append(("batch element", said))
        found += self._steps()
        if self.mask:
            select = ir.brief(self.mask)
            found.append(("dropped", f"the value, by the select at {select}"))
        if self.inside:
            found.append(("backward rule", ir.brief(self.inside)))
        if self.read_by:
            found.append(("met by", self.read_by))
        if self.origin:
            found.append(("made before by", self.origin))
        together = ", with the other births of this step" if self.shared else ""
        found.append(
            ("elements behind it", f"{self.entries:,} of the derivative{together}")
        )
        if self.times > 1:
            found.append(("places", f"{self.times} operations of this line"))
        return found

    def _steps(self) -> list[tuple[str, str]]:
        found = []
        for kind, step, length in self.steps:
            found.append(("step", f"{step} of {length} of a {kind}, counted from 0"))
        if self.also:
            each = [" > ".join(str(n) for _, n, _ in steps) for steps in self.also]
            found.append(("also at step", ", ".join(each)))
        if self.more:
            steps = f"{self.more:,} more step{'s' * (self.more > 1)}"
            found.append(("and", f"something is born at {steps}"))
        return found


@dataclass(repr=False)
class NanReport(Shown):
    """Where the NaN or Inf of a derivative is born; false if the derivative is finite.

    Attributes:
      name: of the function.
      births: list of Birth, the one behind most elements first.
      later: why nothing is told yet, or "".
      derivative: "gradient" or "tangent".
      spoilt: (name, elements that are not finite, of how many) by leaf.
      value_bad: whether the value of the function is not finite either.
      forward_finite: whether forward mode along the first bad element is finite; None
        where it was not looked at.
      overlap: an element of the derivative has several births behind it.
    """

    row_type = Birth
    name: str
    births: list[Birth]
    later: str = ""
    derivative: str = "gradient"
    spoilt: list = field(default_factory=list)
    value_bad: bool = False
    forward_finite: bool | None = None
    overlap: bool = False

    def __bool__(self) -> bool:
        return bool(self.spoilt)

    @property
    def rows(self) -> list[Birth]:
        return self.births

    def page(self) -> Page:
        """What is known, each birth as a table of facts with its remedy below."""
        if self.later:
            return Page(f"`{self.name}`: {self.later}.")
        if not self:
            value = ", though its value is not"
            value += ": `jaxbp.trace` shows where that turns"
            value = value if self.value_bad else ""
            return Page(f"The {self.derivative} of `{self.name}` is finite{value}.")
        parts: list = [Words(self._headline(), "bad")]
        for number, birth in enumerate(self.births, 1):
            place = ir.brief(birth.line) or "a line that is not known"
            title = f"{number}. {place}"
            columns = Column("fact", left=True), Column("found", left=True, fold=True)
            lines = tuple(Line(fact) for fact in birth.facts())
            parts.append(Table(columns, lines, title))
            if birth.remedy:
                at = ir.brief(birth.within or birth.inside)
                at = f", at {at}" if at else ""
                parts.append(f"Instead{at}: {birth.remedy}")
            elif birth.see:
                parts.append(
                    f"What is written instead at {birth.see} is for this, too."
                )
        if self.overlap:
            parts.append(
                "An element that several births are behind is counted at each of them."
            )
        if not self.births:
            parts.append("It came in with the arguments or with what they are seeded.")
        if self.forward_finite is not None and self.births:
            said = "finite" if self.forward_finite else "not finite either"
            parts.append(f"Forward mode along the first bad element is {said}.")
        return Page(*parts)

    def _headline(self) -> str:
        leaves = ", ".join(
            f"{bad:,} of {n:,} in `{name}`" for name, bad, n in self.spoilt
        )
        value = "; its value is not finite" if self.value_bad else ""
        return f"The {self.derivative} of `{self.name}` is not finite: {leaves}{value}."


def number(value) -> str:
    """A number of any type as it is shown."""
    array = np.asarray(value)
    if array.dtype.kind in "biu":
        return str(array[()])
    if array.dtype.kind == "c":
        return f"{complex(array):.6g}"
    return f"{float(array) + 0.0:.6g}"  # no -0
