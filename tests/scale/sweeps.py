"""A study whose processes are lost: `python -m tests.scale.sweeps 2 4`.

One process is killed while it measures; the others take its cases over. Then a run of
which all are killed is resumed by another number of processes.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jaxbp.study.tables import read_csv

ROOT = Path(__file__).parents[2]
LIMIT_S = 60
RUN = """
import sys
from pathlib import Path
from jaxbp.study import Options
from jaxbp.study.command import execute
from tests.study.toy import study
execute(study, Options(results=Path(sys.argv[1])))
"""


def start(results, count, index, calls):
    environment = os.environ | {
        "OMPI_COMM_WORLD_RANK": str(index), "OMPI_COMM_WORLD_SIZE": str(count),
        "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu",
        "TOY_CALLS": str(calls), "TOY_PAUSE_S": "0.2",
    }  # fmt: skip
    command = [sys.executable, "-c", RUN, str(results)]
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def journals(results):
    return sorted(results.glob("toy/*/journal*.jsonl"))


def measured(results):
    """(key of the case, file) of every row that is on the disk."""
    found = []
    for path in journals(results):
        lines = path.read_text().splitlines(keepends=True)
        found += [(json.loads(x)["key"], path.name) for x in lines if x[-1:] == "\n"]
    return found


def until(condition):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, "nothing happens"
        time.sleep(0.02)


def check(results, calls, lost):
    """All rows, each once, and at most the lost ones measured again."""
    (written,) = results.glob("toy/*/rows.csv")
    assert [row["n"] for row in read_csv(written.read_text())] == list(range(1, 21))
    keys = [key for key, _ in measured(results)]
    assert len(keys) == len(set(keys)) == 20, keys
    assert 20 <= len(calls.read_bytes()) <= 20 + lost


def one_lost(folder, count):
    """The last process is killed after its first row; the others end the run."""
    results, calls = Path(folder) / "results", Path(folder) / "calls"
    runs = [start(results, count, i, calls) for i in range(count)]
    mine = f"journal.{count - 1}.jsonl"
    until(lambda: any(name == mine for _, name in measured(results)))
    runs[-1].send_signal(signal.SIGKILL)
    said = [run.communicate(timeout=LIMIT_S)[0] for run in runs]
    assert [run.returncode for run in runs[:-1]] == [0] * (count - 1)
    assert said[0].count("Wrote:") == 1 and not any(said[1:]), said
    check(results, calls, lost=1)


def all_lost(folder, count, later):
    """All are killed; another number of processes goes on."""
    results, calls = Path(folder) / "results", Path(folder) / "calls"
    runs = [start(results, count, i, calls) for i in range(count)]
    until(lambda: len(measured(results)) >= 5)
    for run in runs:
        run.send_signal(signal.SIGKILL)
    for run in runs:
        run.communicate(timeout=LIMIT_S)
    runs = [start(results, later, i, calls) for i in range(later)]
    for run in runs:
        run.communicate(timeout=LIMIT_S)
        assert run.returncode == 0
    check(results, calls, lost=count)


def main(*counts):
    for count in map(int, counts):
        with tempfile.TemporaryDirectory() as folder:
            one_lost(folder, count)
        with tempfile.TemporaryDirectory() as folder:
            later = 1 if count == 2 else 2
            all_lost(folder, count, later)
        print(
            f"{count} processes: one killed, the others measured its cases; all killed "
            f"and resumed by {later}: 20 rows, none lost, none twice",
            flush=True,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
