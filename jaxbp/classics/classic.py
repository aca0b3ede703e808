"""What a classic is: a known system rebuilt, its numbers beside the known ones.

A script in `studies/classics/` declares one as `classic` and ends in
`if __name__ == "__main__": run(classic)`.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax

from jaxbp import display, timing
from jaxbp.classics.known import Known
from jaxbp.interrupts import interruptible
from jaxbp.outputs import check_folder, writing
from jaxbp.study import plots, provenance, tables
from jaxbp.study.base import Row
from jaxbp.study.catalogue import results_folder

Numbers = dict[str, float]
FILES = ("numbers.csv", "table.md", "provenance.json")
SHOWN = 12  # significant digits of a computed number where people read it


@dataclass(frozen=True)
class Classic:
    """A known system, rebuilt from the lab's pieces.

    Attributes:
      file: the script's `__file__`; its stem is the name.
      text: the script's `__doc__`: question, mathematics, source.
      systems: number -> name of the classic systems it rebuilds.
      compute: quick -> (numbers, drawn): the computed numbers by name, in 64-bit, and
        whatever the picture needs. `quick` takes seconds: fewer epochs, other gates.
      known: name of a number -> what it is held against; a number without an entry is
        shown beside nothing, an entry without its number is an error.
      draw: (drawn, axes) -> None, on a flat list of matplotlib axes.
      answer: numbers -> the one line of the gallery.
      quick_known: entries that replace those of `known` in a quick run; None where a
        quick run does not compute the number.
      panels: rows and columns of axes in the figure.
      inches: width and height of one of them.
    """

    file: str
    text: str
    systems: Mapping[int, str]
    compute: Callable[[bool], tuple[Numbers, Any]]
    known: Mapping[str, Known]
    draw: Callable[[Any, list], None]
    answer: Callable[[Numbers], str]
    quick_known: Mapping[str, Known | None] = field(default_factory=dict)
    panels: tuple[int, int] = (1, 1)
    inches: tuple[float, float] = plots.PANEL_INCHES

    @property
    def name(self) -> str:
        """The script's name, which is the results folder's."""
        return Path(self.file).stem

    @property
    def question(self) -> str:
        """The question in one line."""
        return self.text.strip().partition("\n")[0]


@dataclass(frozen=True)
class Outcome:
    """What a run of a classic found, and where it is written."""

    classic: Classic
    rows: list[Row]
    answer: str
    folder: Path

    @property
    def missed(self) -> list[Row]:
        """The numbers that do not meet the known ones."""
        return [row for row in self.rows if row.get("holds") is False]


def compared(classic: Classic, numbers: Numbers, quick: bool) -> list[Row]:
    """Every computed number with the known one beside it; NaN for one not computed."""
    gates = classic.quick_known if quick else {}
    both = {**classic.known, **gates}
    known = {name: one for name, one in both.items() if one is not None}
    rows = []
    for name in (*numbers, *(name for name in known if name not in numbers)):
        row: Row = {"number": name, "computed": numbers.get(name, math.nan)}
        if name in known:
            one = known[name]
            row |= {
                "known": one.text,
                "holds": one.holds(row["computed"]),
                "source": one.source,
            }
        rows.append(row)
    return rows


def execute(
    classic: Classic, quick: bool = False, results: Path | None = None
) -> Outcome:
    """Compute, compare, draw, and write `results/classics/<name>/`; quick runs write
    one folder deeper."""
    folder = (results or results_folder()) / "classics" / classic.name
    folder = folder / "quick" if quick else folder
    check_folder("results", folder)
    told = provenance.repository_state(Path(classic.file).parent)
    start_s = time.perf_counter()
    with jax.enable_x64(True):
        found, drawn = classic.compute(quick)
        numbers = {name: float(value) for name, value in found.items()}
        rows = compared(classic, numbers, quick)
        outcome = Outcome(classic, rows, classic.answer(numbers), folder)
        told |= {"seconds": round(time.perf_counter() - start_s, 1), "quick": quick}
        publish(outcome, drawn, told)
    return outcome


def publish(outcome: Outcome, drawn: Any, told: dict) -> None:
    """Write numbers, table, picture and provenance."""
    classic, folder = outcome.classic, outcome.folder
    told = {
        "classic": classic.name,
        "command": f"jaxbp classics {classic.name}" + " --quick" * told["quick"],
        **told,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": provenance.versions(),
        "device": timing.device_facts(jax.devices()[0]).columns(),
    }
    rows = [row | {"computed": repr(row["computed"])} for row in outcome.rows]
    texts = (tables.csv_text(rows), report(outcome), json.dumps(told, indent=2) + "\n")
    for name, text in zip(FILES, texts, strict=True):
        with writing("results", folder / name):
            (folder / name).write_text(text)
    figure = plots.draw(
        classic.draw, drawn, classic.panels, classic.question, classic.inches
    )
    plots.save(figure, folder)


def report(outcome: Outcome) -> str:
    """`table.md`: question, answer, every number beside the known one."""
    columns = ("number", "computed", "known", "holds", "source")
    table = tables.markdown(readable(outcome.rows), columns)
    parts = (f"# {outcome.classic.question}", outcome.answer, table.rstrip())
    return "\n\n".join(parts) + "\n"


def readable(rows: list[Row]) -> list[Row]:
    """Rows with the numbers as text: rounded, and yes or NO for whether they hold."""
    words = {True: "yes", False: "NO", None: ""}
    return [
        {"known": "", "source": "", **row}
        | {
            "computed": f"{row['computed']:.{SHOWN}g}",
            "holds": words[row.get("holds")],
        }
        for row in rows
    ]


def run(classic: Classic, argv: list[str] | None = None) -> None:
    """A classic's own command line: compute, show, exit with 1 if a number is missed.

    Raises:
      SystemExit: always, with the exit status.
    """
    import tyro  # heavy: only when a command line is read

    def command(quick: bool = False) -> Outcome:
        """
        Args:
          quick: Seconds instead of up to a minute, in a folder apart.
        """
        return execute(classic, quick)

    flags = (tyro.conf.FlagCreatePairsOff,)
    prog, told = f"{classic.name}.py", classic.text
    with interruptible() if argv is None else nullcontext():
        outcome = tyro.cli(
            command, args=argv, prog=prog, description=told, config=flags
        )
        show(outcome)
        raise SystemExit(1 if outcome.missed else 0)


def show(outcome: Outcome) -> None:
    """Question, numbers, answer and folder on the screen."""
    columns = ("number", "computed", "known", "holds")
    question = outcome.classic.question
    table = tables.table(readable(outcome.rows), columns, question)
    wrote = f"Wrote {tables.shortest(outcome.folder)}"
    display.show(display.Page(table, outcome.answer, wrote))
