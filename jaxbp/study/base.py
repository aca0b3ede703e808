"""What a study is: a question, its cases, how one is measured, how they are drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Case = dict[str, Any]  # what varies and what is fixed: JSON scalars by name
Row = dict[str, Any]  # a case and what was measured of it

# What most studies fix: seed and arithmetic, and how long a row is timed.
SETTINGS: Case = dict(
    dtype="float32",
    precision="highest",  # of products; what correctness is judged at
    seed=0,
    rounds=9,  # odd, and enough for quartiles
    budget_s=0.6,  # of timing a row; three rounds in any case
)
QUICK_SETTINGS: Case = SETTINGS | dict(rounds=3, budget_s=0.05)

GAP = "gap"  # the column that says why a row has no number


@dataclass(frozen=True)
class Study:
    """One question and everything that answers it.

    Attributes:
      file: the script's `__file__`; its stem is the study's name.
      question: the script's `__doc__`; its first line is shown in lists.
      cases: the full run. All that may change a row is in its case (sizes, dtype,
        seed, rounds, budgets), so that a changed setting is another row.
      quick: the cases of `--quick`, seconds on a CPU.
      measure: case -> columns. `{GAP: reason}` states a gap.
      columns: names of the columns of the full table, in `table.md`.
      plot: (rows, axes) -> None; draws on a list of `panels` matplotlib axes.
      panels: how many axes the figure has; (rows, columns) of them if not in a row.
      gather: (results folder, device folder, quick) -> rows, for a study of other
        studies' rows: it measures nothing and has no cases.
      summary: rows -> {title: rows} of the tables that answer the question, shown
        on the screen; None shows the full table.
      claim: rows -> the answer in a sentence, its numbers taken from the rows; it is
        given the steady ones.
      counts: the claim has counted numbers, too, which need no steady row: it is given
        all rows, and takes `steady` of them for times.
    """

    file: str
    question: str
    cases: Sequence[Case]
    quick: Sequence[Case]
    measure: Callable[[Case], Row]
    columns: Sequence[str]
    plot: Callable[[list[Row], list], None]
    panels: int | tuple[int, int] = 1
    gather: Callable[[Path, str, bool], list[Row]] | None = None
    summary: Callable[[list[Row]], dict[str, list[Row]]] | None = None
    claim: Callable[[list[Row]], str] | None = None
    counts: bool = False

    @property
    def name(self) -> str:
        """The script's name, which is the results folder's."""
        return Path(self.file).stem

    @property
    def headline(self) -> str:
        """The question in one line."""
        return self.question.strip().splitlines()[0]


@dataclass(frozen=True)
class Options:
    """How a study is run; its command line."""

    quick: bool = False
    """Measure the few small cases only (seconds to a minute), in a folder apart."""
    device: Literal["cpu", "gpu", "tpu"] | None = None
    """Device to measure; JAX's default if left out."""
    results: Path | None = None
    """Folder to write to; `results/` of the repository if left out."""
    fresh: bool = False
    """Measure every row again instead of keeping those already there."""
    redraw: bool = False
    """Measure nothing: write tables and figures again from rows.csv."""


def is_gap(row: Row) -> bool:
    """Does the row state a reason instead of numbers?"""
    return bool(row.get(GAP))
