"""A study's cases divided among the processes that a launcher started.

They need not talk: they see one folder. Each appends its rows to a file of its own, and
measures a case only while it holds that case's lock, which the system lets go when the
process ends, however it ends. A case is looked up in all files once its lock is held
and measured only if no row is there: none is measured twice, and what a lost process
left is free for the others, in this run or in a later one, by any number of processes.
Locks are `flock`: the folder's file system must have them between the machines (NFS
has, Lustre with the mount option `flock`).
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from jaxbp.errors import InvalidArgument
from jaxbp.scale import Place
from jaxbp.study.base import Case
from jaxbp.study.grid import case_key
from jaxbp.study.rows import Journal, parse

JOURNALS = "journal*.jsonl"
LOCKS = "claims"
LOOK_S = 0.2  # between two looks at what the others have measured


class SharedJournal(Journal):
    """The rows of all processes of a run, and of earlier ones.

    Args:
      folder: of the results.
      place: this process among the others.

    Raises:
      InvalidArgument: several processes where files cannot be locked.
      DataError: as `Journal`.
    """

    def __init__(self, folder: Path, fingerprint: str, place: Place):
        self.folder, self.place = folder, place
        alone = place.count == 1
        if not alone:
            _check_locks()
            (folder / LOCKS).mkdir(parents=True, exist_ok=True)
        name = "journal.jsonl" if alone else f"journal.{place.index}.jsonl"
        super().__init__(folder / name, fingerprint)
        self.look()

    def __enter__(self) -> "SharedJournal":
        return self

    def look(self) -> None:
        """Take in what the other files have by now."""
        for path in sorted(self.folder.glob(JOURNALS)):
            if path == self.path:
                continue
            for entry in _whole_lines(path):
                fits = entry["fingerprint"] == self.fingerprint
                if fits and entry["key"] not in self.rows:
                    self.rows[entry["key"]] = entry["row"]
                    self.measured_s += entry["measured_s"]

    @contextlib.contextmanager
    def claimed(self, case: Case) -> Iterator[bool]:
        """Whether this process may measure the case, which nobody else does meanwhile
        and nobody has done."""
        if self.place.count == 1:
            yield True
            return
        import fcntl

        name = hashlib.sha256(case_key(case).encode()).hexdigest()[:32]
        with open(self.folder / LOCKS / f"{name}.lock", "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            self.look()
            yield case_key(case) not in self.rows

    def fill(self, cases: Sequence[Case], measure: Callable[[Case], None]) -> int:
        """Measure what is missing and not being measured; how many were measured here.

        Args:
          measure: measures a case and appends its row.

        The first process stays until all rows are there: what another one lost while
        measuring, it takes over.
        """
        measured = 0
        while missing := self.missing(cases):
            before = measured
            for case in _turned(missing, self.place):
                with self.claimed(case) as mine:
                    if mine:
                        measure(case)
                        measured += 1
            self.look()
            if measured == before and self.missing(cases):
                if self.place.index:
                    break  # others are at the rest
                time.sleep(LOOK_S)
        return measured


def remove_all(folder: Path, place: Place) -> None:
    """Forget the rows of all files, for `--fresh`.

    Raises:
      InvalidArgument: there are several processes: one would remove another's rows.
    """
    if place.count > 1:
        raise InvalidArgument(
            "`--fresh` is for one process: of several, one would remove what another "
            f"measures. Remove {folder.name}/{JOURNALS} first, or give another "
            "--results folder."
        )
    for path in folder.glob(JOURNALS):
        path.unlink()


def _turned(cases: Sequence[Case], place: Place) -> Sequence[Case]:
    """The cases from another beginning in each process, so that few meet."""
    first = len(cases) * place.index // place.count
    return [*cases[first:], *cases[:first]]


def _whole_lines(path: Path) -> list[dict]:
    """The rows of a file that another process may be writing: of its last line, the
    end may be missing still."""
    lines = path.read_text().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    return [parse(line, number, path) for number, line in enumerate(whole, 1)]


def _check_locks() -> None:
    try:
        import fcntl  # noqa: F401
    except ImportError as error:
        raise InvalidArgument(
            "a study is divided among processes by file locks, which this system does "
            "not have. Run it in one process."
        ) from error
