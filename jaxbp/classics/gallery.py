"""All classics: find them, run them, and write their gallery."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxbp.classics.classic import Classic, Outcome, execute, show
from jaxbp.errors import UnknownName, nearest
from jaxbp.interrupts import last_words
from jaxbp.outputs import writing
from jaxbp.study import tables
from jaxbp.study.base import Row
from jaxbp.study.catalogue import (
    load_script,
    parsed,
    results_folder,
    studies_folder,
    top_level_names,
)
from jaxbp.study.command import progress_bar

KEPT = "{} of {} classics were written; the others keep the results that they had."
ITS_OWN = "Nothing was written; earlier results stay as they were."
HEAD = """\
# The classic backpropagation systems

Each is one short script of pure functions on the lab's pieces; it says its question,
its mathematics and its source at the top, and sets every number beside the known one.
`make classics` runs all of them and writes this page; `jaxbp classics NAME` runs one,
as does the script itself. Numbers, table, picture and provenance are in
`results/classics/<name>/`.
"""


def classic_files() -> dict[str, Path]:
    """name -> script, of every one in `studies/classics/` with a `classic`."""
    scripts = sorted((studies_folder() / "classics").glob("*.py"))
    return {s.stem: s for s in scripts if "classic" in top_level_names(s)}


def load_classic(name: str) -> Classic:
    """A classic by its name, its script imported but not run.

    Raises:
      UnknownName: there is no such classic; the message has the nearest names.
    """
    files = classic_files()
    if name not in files:
        raise UnknownName(f"no classic is called `{name}`. {nearest(name, files)}")
    return load_script(files[name], "studies.classics").classic


def all_classics() -> list[Classic]:
    """Every classic, by the first system it rebuilds."""
    classics = [load_classic(name) for name in classic_files()]
    return sorted(classics, key=lambda classic: min(classic.systems))


def list_classics() -> list[Row]:
    """Name, question and state of the results of every classic; none is run."""
    found = []
    for name, script in classic_files().items():
        question = (ast.get_docstring(parsed(script)) or "").partition("\n")[0]
        found.append({"name": name, "question": question, "results": _state(name)})
    return found


def _state(name: str) -> str:
    file = results_folder() / "classics" / name / "numbers.csv"
    if not file.exists():
        return "none yet"
    rows = tables.read_csv(file.read_text(encoding="utf-8"))
    met = [row["holds"] for row in rows if "holds" in row]
    return f"{sum(met)} of {len(met)} known numbers met"


def run_classics(name: str, quick: bool = False) -> int:
    """Run one classic and show it, or, by `all`, all of them and write the gallery.

    Returns:
      Exit status: 0, or 1 if a number does not meet the known one.

    Raises:
      UnknownName: there is no classic of that name.
    """
    if name != "all":
        outcome = _executed(load_classic(name), quick, ITS_OWN)
        show(outcome)
        return 1 if outcome.missed else 0
    outcomes = list(run_all(all_classics(), quick))
    if not quick:
        page = studies_folder() / "classics" / "README.md"
        with writing("results", page):
            page.write_text(gallery(outcomes))
    return told(outcomes)


def run_all(classics: Sequence[Classic], quick: bool) -> Iterator[Outcome]:
    """The outcomes of all, with a bar of those done."""
    with progress_bar() as bar:
        task = bar.add_task("classics", total=len(classics), case="")
        for done, classic in enumerate(classics):
            bar.update(task, case=classic.name)
            with last_words(KEPT.format(done, len(classics))):
                yield _executed(classic, quick, KEPT.format(done, len(classics)))
            bar.advance(task)


def _executed(classic: Classic, quick: bool, kept: str) -> Outcome:
    try:
        return execute(classic, quick)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(kept)
        raise


def told(outcomes: Sequence[Outcome]) -> int:
    """Say on the screen what was met and what was missed; the exit status."""
    numbers = sum("known" in row for outcome in outcomes for row in outcome.rows)
    missed = [(o.classic.name, row) for o in outcomes for row in o.missed]
    for name, row in missed:
        print(f"{name}: {row['number']} is {row['computed']:.12g}, not {row['known']}")
    print(f"{len(outcomes)} classics, {numbers} known numbers, {len(missed)} missed.")
    return 1 if missed else 0


def gallery(outcomes: Sequence[Outcome]) -> str:
    """The gallery as Markdown: a picture, an answer and a command for each, and which
    script rebuilds which system."""
    parts = [HEAD.rstrip(), *map(entry, outcomes), "## Which system is where"]
    rows = sorted(
        (number, name, outcome.classic)
        for outcome in outcomes
        for number, name in outcome.classic.systems.items()
    )
    lines = ["| system | rebuilt in |", "| --- | --- |"]
    lines += [f"| {name} | [{c.name}]({c.name}.py) |" for _, name, c in rows]
    return "\n\n".join([*parts, "\n".join(lines)]) + "\n"


def entry(outcome: Outcome) -> str:
    """One classic in the gallery."""
    classic = outcome.classic
    folder = f"../../results/classics/{classic.name}"
    met = [row["holds"] for row in outcome.rows if "holds" in row]
    return "\n\n".join(
        (
            f"## {classic.question}",
            f"![{classic.question}]({folder}/figure.png)",
            outcome.answer,
            f"[`{classic.name}.py`]({classic.name}.py): `jaxbp classics "
            f"{classic.name}`; [{sum(met)} of {len(met)} known numbers met]"
            f"({folder}/table.md).",
        )
    )
