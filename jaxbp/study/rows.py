"""Rows that survive: each is on the disk before the next is measured.

A journal is a file of one JSON line per finished row, appended and flushed to the
disk, so a kill at any moment loses no finished row. A row is found again by its case
and a fingerprint of everything else that could change it (code, versions, device);
rows of another fingerprint stay in the file and are never mixed in.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from jaxbp.errors import DataError
from jaxbp.outputs import writing
from jaxbp.study.base import Case, Row
from jaxbp.study.grid import case_key


class Journal:
    """The finished rows of one study in one folder.

    Attributes:
      rows: case key -> row, of this fingerprint only.
      others: how many rows of other fingerprints the file holds.
      measured_s: seconds that measuring `rows` took.

    Raises:
      DataError: a line other than the last is not a row, or another process is
        writing this journal.
    """

    def __init__(self, path: Path, fingerprint: str):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.fingerprint = path, fingerprint
        self.file = open(path, "ab")
        try:
            lock(self.file, path)
            drop_torn_line(path)
            entries = read_entries(path)
        except BaseException:
            self.file.close()
            raise
        mine = [e for e in entries if e["fingerprint"] == fingerprint]
        self.rows = {e["key"]: e["row"] for e in mine}
        self.measured_s = sum(e["measured_s"] for e in mine)
        self.others = len(entries) - len(mine)

    def append(self, case: Case, row: Row, measured_s: float) -> None:
        """Keep a finished row; on return it is on the disk."""
        entry = {
            "key": case_key(case),
            "fingerprint": self.fingerprint,
            "measured_s": measured_s,
            "row": row,
        }
        line = json.dumps(entry, default=plain) + "\n"
        with writing("results", self.path):
            self.file.write(line.encode())
            self.file.flush()
            os.fsync(self.file.fileno())
        self.rows[entry["key"]] = json.loads(line)["row"]
        self.measured_s += measured_s

    def missing(self, cases: Iterable[Case]) -> list[Case]:
        """The cases that have no row yet."""
        return [case for case in cases if case_key(case) not in self.rows]

    def ordered(self, cases: Iterable[Case]) -> list[Row]:
        """The finished rows in the order of their cases."""
        keys = map(case_key, cases)
        return [self.rows[key] for key in keys if key in self.rows]

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exception) -> None:
        self.file.close()  # releases the lock


def read_entries(path: Path) -> list[dict]:
    """All lines of a journal, whatever their fingerprint."""
    return [
        parse(line, number, path)
        for number, line in enumerate(path.read_text().splitlines(), 1)
    ]


def parse(line: str, number: int, path: Path) -> dict:
    """One line of a journal."""
    try:
        entry = json.loads(line)
        return {k: entry[k] for k in ("key", "fingerprint", "measured_s", "row")}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"line {number} of {path.name} must be a finished row, but is "
            f"`{line[:60]}`. Run with --fresh to measure everything again."
        ) from error


def drop_torn_line(path: Path) -> None:
    """Cut off a last line that a kill left without its end."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def lock(file, path: Path) -> None:
    """Hold the journal for this process; the system lets go when it ends."""
    try:
        import fcntl  # POSIX only
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise DataError(
            f"{path.name} in `{path.parent.name}` is being written by another run of "
            "this study. Wait for it, or give this one another --results folder."
        ) from error


def fingerprint(files: Iterable[Path], facts: dict) -> str:
    """Sixteen hex digits that change when a file's content or a fact does."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def plain(value):
    """A NumPy or JAX scalar as Python's own."""
    return value.item()
