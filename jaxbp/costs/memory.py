"""How many bytes does the tape of a pullback hold, and what for?

Each residual once, views with the array they show. Inputs and constants that the tape
refers to are held by the caller anyway; only what was computed takes memory for the
pullback's sake.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .. import ir
from .flat import Flat, Value, where
from .traffic import root, views_of


@dataclass(frozen=True)
class Residual:
    """One array on the tape.

    Attributes:
      tape_bytes: its size.
      type: its dtype and shape, as "float32[64,10]".
      origin: "input", "constant", "literal" or the primitive that computed it.
      where: source line that computed it, or "".
    """

    tape_bytes: int
    type: str
    origin: str
    where: str


@dataclass(frozen=True)
class Tape:
    """The residuals of a linear program, largest first."""

    residuals: tuple[Residual, ...] = ()

    def of(self, *origins: str) -> int:
        """Bytes of the residuals that come from there."""
        return sum(r.tape_bytes for r in self.residuals if r.origin in origins)

    @property
    def total_bytes(self) -> int:
        """All residuals, each once."""
        return sum(r.tape_bytes for r in self.residuals)

    @property
    def input_bytes(self) -> int:
        """Arguments of the function: held by the caller, at no extra cost."""
        return self.of("input")

    @property
    def constant_bytes(self) -> int:
        """Arrays that the function closes over, and numbers in its program."""
        return self.of("constant", "literal")

    @property
    def computed_bytes(self) -> int:
        """What is kept in memory for the pullback's sake."""
        return self.total_bytes - self.input_bytes - self.constant_bytes


def tape_of(flat: Flat, kept: Sequence[Value]) -> Tape:
    """The tape made of some values of a program."""
    residuals = sorted(map(residual, distinct(flat, kept)), key=lambda r: -r.tape_bytes)
    return Tape(tuple(residuals))


def distinct(flat: Flat, kept: Sequence[Value]) -> dict[Value, list[int]]:
    """Each array once, views with the array they show: its places among `kept`."""
    views = views_of(flat.steps)
    found: dict[Value, list[int]] = {}
    for place, value in enumerate(kept):
        found.setdefault(root(value, views), []).append(place)
    return found


def maker(value: Value) -> Value:
    """The value itself; of a scan's or a branch's, that of the equation inside."""
    while value.inside is not None and value.inside.equation is not None:
        value = value.inside
    return value


def residual(value: Value) -> Residual:
    """A value as a row of the tape."""
    made = maker(value)
    line = where(made.equation) if made.equation is not None else ""
    sizes = ",".join(map(str, value.aval.shape))
    kind = f"{value.aval.dtype.name}[{sizes}]"
    return Residual(ir.nbytes(value.aval), kind, made.origin, line)
