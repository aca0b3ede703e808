"""Run a study: measure what is missing, write tables and figures, show the answer.

A script ends in `if __name__ == "__main__": run(study)`; `jaxbp study NAME` comes in
through `run_named`.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import jax

from jaxbp import display, timing
from jaxbp.display import Page, Words
from jaxbp.errors import DataError, JaxbpError
from jaxbp.interrupts import interruptible, last_words
from jaxbp.outputs import check_folder, writing
from jaxbp.scale import Place, launched
from jaxbp.study import answers, plots, provenance, tables
from jaxbp.study.base import GAP, Case, Options, Row, Study, is_gap
from jaxbp.study.catalogue import describe, load_study, results_folder, study_files
from jaxbp.study.shared import SharedJournal, remove_all
from jaxbp.study.unstable import NOTE, has_doubts, is_unstable, widest

KEPT = "Finished rows are kept; the same command goes on."
BUSY = 0.5  # running processes a core, above which times are called noisy


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    rows: list[Row]
    folder: Path
    files: list[Path]
    measured: int  # rows measured now; the others were there


def run(study: Study, argv: list[str] | None = None) -> Outcome:
    """A study script's command line, from its arguments to the table on the screen.

    Raises:
      SystemExit: 2 after wrong input, 130 when interrupted; finished rows are kept.
    """
    import tyro  # heavy: only when a command line is read

    # A script's own command line ends as `jaxbp` does; in a program, run just raises.
    with interruptible() if argv is None else nullcontext():
        options = tyro.cli(
            Options, args=argv, prog=f"{study.name}.py", description=study.question
        )
        return guarded(study, options)


def run_named(name: str, **options) -> list[Outcome]:
    """Run a study by its name, or every study by `all`.

    Args:
      name: of a script in `studies/`, without `.py`.
      **options: the fields of `Options`.

    Raises:
      UnknownName: there is no such study.
      SystemExit: as `run`.
    """
    names = study_files() if name == "all" else [name]
    studies = [load_study(each) for each in names]
    studies.sort(key=lambda study: study.gather is not None)  # those read the others
    return [guarded(study, Options(**options)) for study in studies]


def list_studies() -> list[Row]:
    """Name, question, state of the results and expected minutes of every study."""
    return [describe(name) for name in study_files()]


def guarded(study: Study, options: Options) -> Outcome:
    """`execute`, with errors and Ctrl-C as a line on the screen and an exit status."""
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True)
    try:
        with last_words(KEPT):
            return execute(study, options)
    except KeyboardInterrupt:
        console.print(f"Stopped. {KEPT}")
        raise SystemExit(130) from None
    except JaxbpError as error:
        console.print(f"{type(error).__name__}: {error}", markup=False)
        raise SystemExit(2) from error


def execute(study: Study, options: Options) -> Outcome:
    """Measure the missing rows, then write and show all results.

    Raises:
      InvalidArgument: JAX does not see the device asked for.
      DataError: `redraw` without rows, or a journal that is damaged or in use.
    """
    here = launched()
    device = own_device(options.device, here)
    with jax.default_device(device):
        facts = timing.device_facts(device)
        folder = place(study, options, facts.folder)
        check_folder("--results", folder)
        if study.gather:
            rows, told, measured = gathered(study, options, facts)
        elif options.redraw:
            rows, told, measured = *published(folder), 0
        else:
            rows, told, measured = measure_missing(study, options, facts, folder, here)
        if here.index:
            return Outcome(rows, folder, [], measured)
        # All that is shown comes from rows.csv's own digits, so that a redraw from
        # that file gives the same bytes.
        rows = tables.read_csv(tables.csv_text(rows))
        files = publish(study, rows, told, folder)
        if not options.quick:
            files.append(answers.write_index(folder.parents[1]))
        show(study, rows, files, measured, here)
    return Outcome(rows, folder, files, measured)


def place(study: Study, options: Options, device_folder: str) -> Path:
    """The folder of a run: `results/<study>/<device>`, quick runs one deeper."""
    folder = (options.results or results_folder()) / study.name / device_folder
    return folder / "quick" if options.quick else folder


def gathered(study, options, facts) -> tuple[list[Row], dict, int]:
    """Rows read from the results of other studies, with a provenance record."""
    root = options.results or results_folder()
    rows = study.gather(root, facts.folder, options.quick)
    if not rows:
        raise DataError(
            f"no rows of other studies for `{facts.folder}` to read. Run some first: "
            "`jaxbp study --list` has their names."
        )
    before = provenance.repository_state(Path(study.file).parent)
    return rows, provenance.record(study, options, facts, rows, before), 0


def own_device(kind: str | None, here: Place):
    """The device to measure on; of several on a machine each process has its own."""
    found = timing.find_device(kind)
    if not here.local:
        return found
    others = jax.local_devices(backend=found.platform)
    return others[here.local % len(others)]


def measure_missing(
    study, options, facts, folder, here: Place
) -> tuple[list[Row], dict, int]:
    """Rows, provenance record, and how many rows were measured now, by this process."""
    cases = study.quick if options.quick else study.cases
    before = provenance.repository_state(Path(study.file).parent)
    before["load"] = warned_load() if here.index == 0 else None
    if options.fresh:
        remove_all(folder, here)
    mark = provenance.study_fingerprint(study, facts)
    with SharedJournal(folder, mark, here) as journal:
        with progress_bar(shown=here.index == 0) as bar:
            task = bar.add_task(study.name, total=len(cases), case="")

            def measure(case):
                done = len(cases) - len(journal.missing(cases))
                bar.update(task, completed=done, case=label(case, cases))
                journal.append(case, *measured_row(study, case))
                bar.advance(task)

            measured = journal.fill(cases, measure)
        told = provenance.record(study, options, facts, cases, before)
        told |= {"fingerprint": journal.fingerprint, "measured_s": journal.measured_s}
        if here.count > 1:
            told["processes"] = here.count
        told["roofs"] = provenance.roofs_of(cases) if here.index == 0 else {}
        return journal.ordered(cases), told, measured


def measured_row(study: Study, case: Case) -> tuple[Row, float]:
    """A case with its measured columns, and the seconds that took."""
    start = time.perf_counter()
    try:
        with arithmetic(case):
            row = case | study.measure(case)
            if is_unstable(row):  # something else ran: once more, the calmer counts
                row = min(row, case | study.measure(case), key=widest)
    except Exception as error:
        if not out_of_memory(error):
            error.add_note(f"in case {case} of study {study.name}")
            raise
        row = case | {GAP: "the device ran out of memory"}
    return row, time.perf_counter() - start


@contextmanager
def arithmetic(case: Case) -> Iterator[None]:
    """JAX set up for the `dtype` and the `precision` of a case, where it names them."""
    with ExitStack() as stack:
        if "dtype" in case:
            stack.enter_context(jax.enable_x64(case["dtype"] == "float64"))
        if "precision" in case:
            stack.enter_context(jax.default_matmul_precision(case["precision"]))
        yield


def out_of_memory(error: Exception) -> bool:
    """Is this how JAX says that an array did not fit?"""
    told = isinstance(error, jax.errors.JaxRuntimeError)
    return told and "RESOURCE_EXHAUSTED" in str(error)


def warned_load() -> float | None:
    """The machine's load before the run, with a word on the screen if it is high."""
    load = timing.load()
    if load and load > BUSY:
        print(f"This machine is busy ({load} running processes a core): times will be")
        print("noisy, paired ratios less so.")
    return load


def published(folder: Path) -> tuple[list[Row], dict]:
    """Rows and provenance of an earlier run, as it wrote them."""
    rows, told = folder / "rows.csv", folder / "provenance.json"
    if not (rows.exists() and told.exists()):
        raise DataError(
            f"no rows.csv with its provenance.json in `{'/'.join(folder.parts[-3:])}` "
            "to draw from. Run the study without --redraw first."
        )
    return tables.read_csv(rows.read_text()), json.loads(told.read_text())


def publish(study: Study, rows: list[Row], told: dict, folder: Path) -> list[Path]:
    """Write rows.csv, table.md, the figures and provenance.json; return their paths."""
    told = told | {"rows": len(rows), "gaps": sum(map(is_gap, rows))}
    written = {
        "rows.csv": tables.csv_text(rows),
        "table.md": report(study, rows, told),
        "provenance.json": json.dumps(told, indent=2) + "\n",
    }
    for name, content in written.items():
        with writing("results", folder / name):
            (folder / name).write_text(content)
    figure = plots.draw(study.plot, rows, study.panels, study.headline)
    return [*(folder / name for name in written), *plots.save(figure, folder)]


def report(study: Study, rows: list[Row], told: dict) -> str:
    """`table.md`: the question, the summary, every row, and where it comes from."""
    device, versions = told["device"], told["versions"]
    parts = [f"# {study.headline}", *filter(None, [answers.answer(study, rows)])]
    for title, shown in (summary(study, rows) | {"All rows": rows}).items():
        columns = study.columns if shown is rows else tables.column_names(shown)[:-1]
        parts += [f"## {title}", tables.markdown(shown, columns).rstrip()]
        parts += [NOTE] * has_doubts(shown)
    parts += [
        f"{device['name']}, {told['date']}, JAX {versions['jax']}, commit "
        f"{told['commit']}{' with changes' if told['dirty'] else ''}; "
        f"`{told['command']}`. Drawn from rows.csv."
    ]
    return "\n\n".join(parts) + "\n"


def summary(study: Study, rows: list[Row]) -> dict[str, list[Row]]:
    """The tables that answer the question, by their titles."""
    return study.summary(rows) if study.summary else {}


def show(
    study: Study, rows: list[Row], files: list[Path], measured: int, here: Place
) -> None:
    """The answer and the file names on the screen."""
    parts: list = ["", Words(study.headline, "bold"), answers.answer(study, rows)]
    for title, shown in (summary(study, rows) or {"All rows": rows}).items():
        columns = study.columns if shown is rows else tables.column_names(shown)[:-1]
        parts.append(tables.table(shown, columns, title))
        parts += [NOTE] * has_doubts(shown)
    kept = len(rows) - measured
    others = "by other processes or" if here.count > 1 else "kept from"
    parts.append(f"{measured} rows measured, {kept} {others} earlier runs. Wrote:")
    parts += [Words(str(tables.shortest(file)), indent=2) for file in files]
    display.show(Page(*parts))


def label(case: Case, cases: Sequence[Case]) -> str:
    """What sets a case apart from the others, in one short line."""
    varying = [k for k, v in case.items() if any(c.get(k) != v for c in cases)]
    return " ".join(str(case[k]) for k in varying)


def progress_bar(shown: bool = True):
    """Bar, count, time gone and left, and the case at hand."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[case]}", style="dim"),
        disable=not shown,
    )
