"""What is shown of a plan: the ways to a Jacobian, the choice, and why."""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from ..display import Column, Line, Page, Shown, Table, Words


class Way(NamedTuple):
    """One way to the Jacobian.

    Fields:
      name: "forward", "reverse", or how the order was found.
      order: the vertices as they are eliminated; () of a mode.
      flops: of products, and one an element elsewhere.
      time_s: predicted, of a usual device; it compares ways.
      kernels: matrix products, and sweeps through operators.
      largest: elements of the largest array in the middle; 0 of a mode, which has as
        many columns or rows of every value as the Jacobian.
      measured_s: median time of a call, if it was measured.
      heaviest: flops of the largest product of a mode.
      joins: whether diagonals are added to the blocks that hold them.
    """

    name: str
    order: tuple[int, ...]
    flops: float
    time_s: float
    kernels: int
    largest: int
    measured_s: float | None = None
    heaviest: float = 0.0
    joins: bool = False

    @property
    def key(self):
        """Equal of ways that compute the same."""
        return (self.order, self.joins) if self.order else self.name


COLUMNS = (
    Column("way", left=True, fold=True),
    Column("flops"),
    Column("kernels", spare=1),
    Column("largest array", spare=2),
    Column("predicted"),
    Column("over chosen"),
)
MEASURED = (Column("measured"), Column("over fastest"))


@dataclass(frozen=True, repr=False)
class Plan(Shown):
    """All ways to a Jacobian, from types alone; nothing was run.

    Attributes:
      ways: the modes, and orders of elimination where any can be tried.
      chosen: the one that is taken.
      reason: why.
      inputs, outputs: elements of either side.
      name: of the function.
      edges: how many edges its linear program has.
      operators: those known by their two directions alone, with their lines.
      what: "Jacobian" or "Hessian".
      notes: what is to be known of measured times; empty of a plan that ran nothing.
      mode: the better of the modes.
    """

    ways: tuple[Way, ...]
    chosen: Way
    reason: str
    inputs: int = 0
    outputs: int = 0
    name: str = ""
    edges: int = 0
    operators: tuple[str, ...] = ()
    what: str = "Jacobian"
    notes: tuple[str, ...] = ()
    mode: str = ""

    @property
    def measured(self) -> bool:
        """Whether any way was timed."""
        return any(way.measured_s is not None for way in self.ways)

    @property
    def rows(self) -> list[Way]:
        """The ways, in the table's order."""
        return list(self.ways)

    def page(self) -> Page:
        """Headline, table, reason, operators."""
        ran = "and measured" if self.measured else "from types, nothing run"
        headline = (
            f"{self.what} of {self.name}: {self.outputs:,} by {self.inputs:,}; "
            f"predicted {ran}"
        )
        words = [Words(f"Taken: {self.reason}.")]
        if self.operators:
            known = (
                f"{self.edges - len(self.operators)} of {self.edges} edges have labels"
            )
            words.append(Words(f"{known}; operators:", "dim"))
            counted = Counter(self.operators).most_common()
            words += [
                Words(name + (f", {count} times" if count > 1 else ""), "dim", indent=2)
                for name, count in counted[:5]
            ]
        words += [Words(note) for note in self.notes]
        return Page(Words(headline, "bold"), self._table(), *words)

    def _table(self) -> Table:
        times = [way.measured_s for way in self.ways if way.measured_s is not None]
        fastest = min(times, default=None)
        lines = [
            Line(
                _cells(way, self.chosen, fastest), "good" if way is self.chosen else ""
            )
            for way in self.ways
        ]
        return Table((*COLUMNS, *MEASURED) if times else COLUMNS, tuple(lines))


def _cells(way: Way, chosen: Way, fastest: float | None) -> tuple[str, ...]:
    from ..timing.clock import seconds

    ratio = f"{way.time_s / chosen.time_s:,.3g}" if chosen.time_s else ""
    largest = f"{way.largest:,}" if way.largest else "-"
    marked = f"{way.name} (taken)" if way is chosen else way.name
    cells = marked, f"{way.flops:.3g}", str(way.kernels), largest
    cells = *cells, seconds(way.time_s), ratio
    if fastest is None:
        return cells
    if way.measured_s is None:
        return *cells, "-", ""
    return *cells, seconds(way.measured_s), f"{way.measured_s / fastest:.3g}"
