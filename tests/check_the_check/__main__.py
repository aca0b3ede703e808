"""python -m tests.check_the_check: false alarms and misses of `jaxbp.check`, counted.

Each seed is a chunk of cases in a process of its own. What fails is printed as it
occurs, with the command that shows it again. With `--keep FILE` every case is written
there as it is judged, and a run that was ended goes on from it.
"""

import collections
import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

import tyro

from tests.check_the_check.run import ASIDE, CHUNK, Told

SILENT_S = 600  # then a case counts as one that hangs
SHOWN = 6000  # characters of a failure
BAD = ("differ", "MISSED", "CRASHED")


class Run:
    """The counts as they grow; the workers share it.

    Args:
      jobs: list of (what, seed).
      deadline: of time.monotonic; None for none.
      keep: file to write cases to, and to go on from; None for none.
    """

    def __init__(self, jobs, deadline=None, keep=None):
        self.totals = collections.defaultdict(collections.Counter)
        self.deadline, self.keep, self.lock = deadline, keep, threading.Lock()
        self.total, self.start = CHUNK * len(jobs), time.monotonic()
        self.seen, self.judged = set(), collections.Counter()
        self.functions = collections.defaultdict(set)
        for told in self._kept():
            self.add(told, fresh=False)
        self.before = self.judged.total()
        self.jobs: queue.SimpleQueue = queue.SimpleQueue()
        for job in jobs:
            if self.judged[job] < CHUNK:
                self.jobs.put(job)

    def _kept(self):
        if not (self.keep and self.keep.exists()):
            return []
        return [Told(*json.loads(line)) for line in self.keep.read_text().splitlines()]

    def add(self, told, fresh=True):
        """Count one case, print it if it failed."""
        with self.lock:
            if (told.what, told.seed, told.place) in self.seen:
                return
            self.seen.add((told.what, told.seed, told.place))
            self.totals[told.what][told.kind, told.verdict] += 1
            if told.verdict not in ASIDE:
                self.judged[told.what, told.seed] += 1
                self.functions[told.what].add((told.seed, told.function))
            if told.verdict in BAD:
                show = f"tests.check_the_check.run {told.what} {told.seed} {told.place}"
                print(f"\n# {told.verdict}: python -m {show}\n{told.failure[:SHOWN]}\n")
            if fresh and self.keep:
                with self.keep.open("a") as file:
                    file.write(json.dumps(told) + "\n")
            if fresh and len(self.seen) % (2 * CHUNK) == 0:
                self._say()
            sys.stdout.flush()

    def _say(self):
        """One line of progress: it goes to a log as well as to a terminal."""
        done, spent = self.judged.total(), time.monotonic() - self.start
        short = {what: dict(verdicts(counts)) for what, counts in self.totals.items()}
        each = spent / max(done - self.before, 1)
        print(f"{done} of {self.total}, {each:.2f} s each: {short}")

    @property
    def left_s(self):
        return SILENT_S if self.deadline is None else self.deadline - time.monotonic()

    def work(self):
        """Judge chunks until none is left, or no time."""
        while self.left_s > 0:
            try:
                what, seed = self.jobs.get_nowait()
            except queue.Empty:
                return
            self._chunk(what, seed)

    def _chunk(self, what, seed):
        command = [sys.executable, "-m", "tests.check_the_check.run", what, str(seed)]
        process = subprocess.Popen(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        said: list = []
        threads = [
            threading.Thread(target=self._read, args=(process.stdout,)),
            threading.Thread(target=said.extend, args=(process.stderr,)),
        ]
        for thread in threads:
            thread.start()
        limit = min(SILENT_S * CHUNK, self.left_s) if self.deadline else None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(limit)
        out_of_time = process.poll() is None
        if out_of_time:
            process.kill()
        for thread in threads:
            thread.join()
        if process.returncode and not out_of_time:
            own = [p for w, s, p in self.seen if (w, s) == (what, seed)]
            place = max(own, default=-1) + 1
            failure = "".join(said)[-SHOWN:]
            self.add(Told(what, seed, place, "CRASHED", "process", failure=failure))

    def _read(self, lines):
        for line in lines:
            self.add(Told(*json.loads(line)))


def main(
    right: int = 10000,
    wrong: int = 1000,
    seed: int = 0,
    workers: int = 1,
    minutes: float = 0.0,
    keep: Path | None = None,
):
    """Count the false alarms and the misses of jaxbp.check.

    Args:
      right: right gradients to check.
      wrong: planted errors to find.
      seed: of the first chunk of each.
      workers: processes.
      minutes: stop after so many, if not 0, with what is done by then.
      keep: file that every case is written to; a later run goes on from it.
    """
    kinds = {"right": -(-right // CHUNK), "planted": -(-wrong // CHUNK)}
    jobs = [(what, seed + i) for what, n in kinds.items() for i in range(n)]
    share = {what: max(n, 1) for what, n in kinds.items()}
    jobs.sort(key=lambda job: (job[1] - seed + 0.5) / share[job[0]])  # both grow
    run = Run(jobs, time.monotonic() + 60 * minutes if minutes else None, keep)
    threads = [threading.Thread(target=run.work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    raise SystemExit(summary(run))


def verdicts(counts) -> collections.Counter:
    """verdict -> number of cases, of all kinds."""
    found = collections.Counter()
    for (_, verdict), n in counts.items():
        found[verdict] += n
    return found


def summary(run) -> bool:
    """Prints a table for each set; gives whether check erred."""
    for what, counts in run.totals.items():
        total = verdicts(counts)
        judged = sum(n for verdict, n in total.items() if verdict not in ASIDE)
        print(f"\n{what}: {judged} cases of {len(run.functions[what])} functions")
        names = [verdict for verdict, _ in total.most_common()]
        kinds = sorted({kind for kind, _ in counts})
        width = max(map(len, kinds))
        print(" " * width, *(f"{name:>12.12}" for name in names))
        for kind in kinds:
            cells = [counts[kind, name] for name in names]
            print(f"{kind:{width}}", *(f"{n or '':>12}" for n in cells))
        print(f"{'all':{width}}", *(f"{total[name]:>12}" for name in names))
    return any(verdicts(c)[bad] for c in run.totals.values() for bad in BAD)


if __name__ == "__main__":
    tyro.cli(main)
