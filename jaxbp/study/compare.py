"""Two runs of a study, or two devices, side by side: what changed beyond the noise?

Rows are paired by their case. A ratio has changed where the quartiles of the two runs
do not meet; of a time, of which no quartiles are kept, only the ratio of the two is
told. A row whose own quartiles lie far apart is marked, and changes nothing.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxbp.display import Column, Line, Page, Shown, Table, Words
from jaxbp.errors import DataError
from jaxbp.study import tables
from jaxbp.study.base import Row
from jaxbp.study.catalogue import load_study, results_folder
from jaxbp.study.unstable import MARK, NOTE, is_unstable

SETTINGS = ("budget_s", "rounds")  # how a row was timed, not which row it is


@dataclass(frozen=True)
class Pair:
    """One case in both runs; None where there is no number.

    Attributes:
      case: what sets it apart from the others.
      a, b: the ratio to the baseline in either run; a_s, b_s: the time.
      ratio: b / a. time_ratio: b_s / a_s.
      changed: whether the quartiles of the two ratios do not meet.
      unstable: whether either row's quartiles lie far apart.
    """

    case: str
    a: float | None
    b: float | None
    ratio: float | None
    a_s: float | None
    b_s: float | None
    time_ratio: float | None
    changed: bool
    unstable: bool


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """Two runs side by side.

    Attributes:
      study: that both are of.
      a, b: names of the two, and what they ran on.
      rows: a `Pair` per case that both have, with a ratio or a time.
      only_a, only_b: how many cases only one of them has.
      untimed: how many both have, with neither.
    """

    study: str
    a: str
    b: str
    rows: tuple[Pair, ...]
    only_a: int = 0
    only_b: int = 0
    untimed: int = 0

    @property
    def name(self) -> str:
        return f"{self.study}: {self.a} and {self.b}"

    def summary(self) -> str:
        """What changed, in a sentence or two."""
        changed = [row for row in self.rows if row.changed]
        times = [row.time_ratio for row in self.rows if row.time_ratio]
        said = (
            f"{len(self.rows)} cases in both; {len(changed)} changed beyond the noise."
        )
        if self.untimed:
            said += (
                f" {self.untimed} more have no ratio and no time: what they tell, as "
                "errors, stands in rows.csv."
            )
        if times:
            mean = math.exp(sum(map(math.log, times)) / len(times))
            said += f" b takes {mean:.3g} times as long as a (geometric mean)."
        for count, which in ((self.only_a, "a"), (self.only_b, "b")):
            said += f" {count} only in {which}." if count else ""
        return said

    def page(self) -> Page:
        """Which two, the table, the summary, and what the mark means."""
        head = [Words(f"{self.study}", "bold"), f"a: {self.a}", f"b: {self.b}"]
        lines = tuple(_line(row) for row in self.rows)
        marks = [Words(NOTE, "dim")] if any(row.unstable for row in self.rows) else []
        return Page(*head, Table(COLUMNS, lines), *marks, self.summary())


COLUMNS = (
    Column("case", left=True, fold=True),
    Column("ratio a"),
    Column("ratio b"),
    Column("ratio b / a"),
    Column("time a", spare=2),
    Column("time b", spare=1),
    Column("time b / a"),
    Column("", left=True),
)


def _line(row: Pair) -> Line:
    mark = f" {MARK}" if row.unstable else ""
    ratios = (tables.shown(value, "ratio") for value in (row.a, row.b))
    of_ratios = tables.shown(row.ratio, "ratio") + (mark if row.ratio else "")
    times = (tables.shown(value, "time_s") for value in (row.a_s, row.b_s))
    of_times = tables.shown(row.time_ratio, "ratio")
    word = "changed" if row.changed else ""
    cells = (row.case, *ratios, of_ratios, *times, of_times, word)
    return Line(cells, "bold" if row.changed else "dim" if row.unstable else "")


def compare(a: Path, b: Path) -> Comparison:
    """Two result folders of one study, case by case.

    Args:
      a, b: folders with rows.csv and provenance.json; a name like
        `engine_speed/cpu-2-cores` is looked for in `results/`, too.

    Raises:
      DataError: no such results, or of two different studies.
    """
    (rows_a, told_a), (rows_b, told_b) = _read(a), _read(b)
    if told_a["study"] != told_b["study"]:
        raise DataError(
            f"{a} is of the study `{told_a['study']}`, {b} of `{told_b['study']}`: "
            "only runs of one study have cases to pair."
        )
    names = _case_names(told_a["study"], [*rows_a, *rows_b])
    first, second = (
        {_key(row, names): row for row in rows} for rows in (rows_a, rows_b)
    )
    shared = [key for key in first if key in second]
    both = [k for k in shared if _is_timed(first[k]) or _is_timed(second[k])]
    varying = [
        i for i in range(len(names)) if len({key[i] for key in both}) > 1
    ] or range(len(names))
    pairs = (
        _pair(" ".join(str(key[i]) for i in varying if key[i] is not None), first[key],
              second[key])
        for key in both
    )  # fmt: skip
    return Comparison(
        told_a["study"], _named(a, told_a), _named(b, told_b), tuple(pairs),
        len(first) - len(shared), len(second) - len(shared), len(shared) - len(both),
    )  # fmt: skip


def _read(folder: Path) -> tuple[list[Row], dict[str, Any]]:
    places = [folder] if folder.is_absolute() else [folder, results_folder() / folder]
    for place in places:
        rows, told = place / "rows.csv", place / "provenance.json"
        if rows.exists() and told.exists():
            text = rows.read_text(encoding="utf-8")
            return tables.read_csv(text), json.loads(told.read_text(encoding="utf-8"))
    raise DataError(
        f"no rows.csv with its provenance.json in `{folder}`. Give a folder such as "
        "`results/engine_speed/cpu-2-cores`; `jaxbp study` lists what there is."
    )


def _case_names(study: str, rows: list[Row]) -> list[str]:
    """The columns that say which case a row is of."""
    known = load_study(study)
    names = dict.fromkeys(n for case in (*known.cases, *known.quick) for n in case)
    if not names:  # of a study that gathers others' rows
        names = dict.fromkeys(
            n for row in rows for n, v in row.items() if isinstance(v, str | bool)
        )
        names.pop("gap", None)
    return [name for name in names if name not in SETTINGS]


def _key(row: Row, names: list[str]) -> tuple:
    return tuple(row.get(name) for name in names)


def _named(folder: Path, told: dict) -> str:
    device, date = told["device"]["name"], str(told["date"])[:10]
    return f"{folder} ({device}, {date}, JAX {told['versions']['jax']})"


def _is_timed(row: Row) -> bool:
    return row.get("ratio") is not None or row.get("time_s") is not None


def _pair(case: str, a: Row, b: Row) -> Pair:
    unstable = is_unstable(a) or is_unstable(b)
    apart = _apart(a, b) if not unstable else False
    return Pair(
        case, a.get("ratio"), b.get("ratio"), _over(b.get("ratio"), a.get("ratio")),
        a.get("time_s"), b.get("time_s"), _over(b.get("time_s"), a.get("time_s")),
        apart, unstable,
    )  # fmt: skip


def _apart(a: Row, b: Row) -> bool:
    """Whether the quartiles of two rows do not meet."""
    names = ("ratio_q25", "ratio_q75")
    if not all(name in row for row in (a, b) for name in names):
        return False
    return a["ratio_q75"] < b["ratio_q25"] or b["ratio_q75"] < a["ratio_q25"]


def _over(above, below) -> float | None:
    return above / below if above and below else None
