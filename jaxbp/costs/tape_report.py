"""What reverse mode keeps, as data."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..display import Page, Shown
from ..errors import InvalidArgument
from ..timing import Memory
from .reasons import Reader
from .timeline import TapeStep


@dataclass(frozen=True)
class TapeRow:
    """One array that reverse mode keeps.

    Attributes:
      tape_bytes: of all steps.
      times: for how many steps of scans it has an entry; 1 outside.
      type: dtype and shape, as "float32[64,10]".
      origin: the primitive that computed it; "input", "constant" or "literal".
      name: of an argument.
      line: `file:line (function)` of the user's code that computes it, inside a scan
        that of the body; of what is not computed, the first line that reads it.
      held: "argument", "constant" or "output" of what is alive in any case, else "".
      readers: who reads it, and why it is kept.
      recompute_flops, recompute_transcendentals: of its equation alone, for all steps,
        operands given; None where that is a loop or a branch, or no equation.
    """

    tape_bytes: int
    times: int
    type: str
    origin: str
    name: str
    line: str
    held: str
    readers: tuple[Reader, ...]
    recompute_flops: float | None = None
    recompute_transcendentals: float | None = None

    @property
    def why(self) -> str:
        """All reasons, each once."""
        return "; ".join(dict.fromkeys(reader.why for reader in self.readers))

    @property
    def made_by(self) -> str:
        """The argument's name, or the primitive."""
        return f"argument `{self.name}`" if self.name else self.origin


@dataclass(frozen=True, repr=False)
class TapeReport(Shown):
    """What reverse mode of a function keeps; `print` shows it.

    Attributes:
      name: of the function.
      rows: list of TapeRow, one per array, the largest first.
      steps: list of TapeStep: live bytes over the backward pass, last equation first.
      compiled: XLA's plan of value and pullback (`.temp_bytes`, `.output_bytes`, ...);
        None if not asked, or not told.
    """

    name: str
    rows: list[TapeRow]
    steps: list[TapeStep]
    compiled: Memory | None = None

    @property
    def total_bytes(self) -> int:
        """All arrays, each once: the tape that `jaxbp.cost` counts."""
        return sum(row.tape_bytes for row in self.rows)

    @property
    def held_bytes(self) -> int:
        """Of those, what is alive in any case: arguments, constants, outputs."""
        return sum(row.tape_bytes for row in self.rows if row.held)

    @property
    def extra_bytes(self) -> int:
        """What is alive for reverse mode's sake."""
        return self.total_bytes - self.held_bytes

    @property
    def peak(self) -> TapeStep | None:
        """The step of the backward pass with the most live bytes."""
        return max(self.steps, key=lambda step: step.live_bytes, default=None)

    @property
    def by_line(self) -> dict[str, int]:
        """Bytes per line of the user's code, the most first; they sum to the total."""
        found: Counter[str] = Counter()
        for row in self.rows:
            found[row.line] += row.tape_bytes
        return dict(found.most_common())

    def diff(self, other: "TapeReport") -> "TapeDiff":
        """What `other` keeps more and less, by line, primitive and reason.

        Raises:
          InvalidArgument: `other` is no TapeReport.
        """
        if not isinstance(other, TapeReport):
            raise InvalidArgument(
                "`diff` compares with another report of `jaxbp.tape`, but got "
                f"{type(other).__name__} {other!r:.60}. Give it "
                "`jaxbp.tape(f, *args)` of the other function or option."
            )
        mine, others = _sums(self), _sums(other)
        rows = [
            TapeChange(*key, mine.get(key, 0), others.get(key, 0))
            for key in {**mine, **others}
        ]
        changed = [row for row in rows if row.change]
        return TapeDiff(
            self.name,
            sorted(changed, key=lambda row: -abs(row.change)),
            self.total_bytes,
            other.total_bytes,
        )

    def as_dicts(self) -> list[dict[str, Any]]:
        """One dict per array: the fields of `TapeRow`, its reason, and its readers as
        "primitive at line"."""
        return [
            {
                "tape_bytes": row.tape_bytes,
                "times": row.times,
                "type": row.type,
                "origin": row.origin,
                "name": row.name,
                "line": row.line,
                "held": row.held,
                "why": row.why,
                "read_by": [f"{r.primitive} at {r.line}" for r in row.readers],
                "recompute_flops": row.recompute_flops,
                "recompute_transcendentals": row.recompute_transcendentals,
            }
            for row in self.rows
        ]

    def page(self) -> Page:
        """Headline, table, peak."""
        from .tape_render import page

        return page(self)

    def picture(self):
        """A matplotlib Figure: live bytes over the backward pass, the peak marked."""
        from .tape_render import picture

        return picture(self)


def _sums(report: TapeReport) -> dict[tuple[str, str, str], int]:
    found: Counter[tuple[str, str, str]] = Counter()
    for row in report.rows:
        line = "" if row.name else row.line  # an argument may be read elsewhere
        found[line, row.made_by, row.held] += row.tape_bytes
    return dict(found)


class TapeChange(NamedTuple):
    """What one line keeps in two reports.

    Fields:
      line, made_by, held: as of `TapeRow`.
      before_bytes, after_bytes: in the first report, and in the other.
    """

    line: str
    made_by: str
    held: str
    before_bytes: int
    after_bytes: int

    @property
    def change(self) -> int:
        """Bytes more in the other report."""
        return self.after_bytes - self.before_bytes


@dataclass(frozen=True, repr=False)
class TapeDiff(Shown):
    """Two tapes side by side: only what differs; false if nothing does.

    Attributes:
      name: of the first function.
      rows: list of TapeChange, the largest change first.
      before_bytes, after_bytes: of the whole tapes.
    """

    name: str
    rows: list[TapeChange]
    before_bytes: int
    after_bytes: int

    def __bool__(self) -> bool:
        return bool(self.rows)

    def page(self) -> Page:
        """Headline and table."""
        from .tape_render import diff_page

        return diff_page(self)
