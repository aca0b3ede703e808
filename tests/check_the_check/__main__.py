"""python -m tests.check_the_check: false alarms and misses of `jaxbp.check`, counted.

Each seed is a chunk of cases in a process of its own; what failed stands at the end,
with its seed. To go on where a run ended, begin with the seed after its last.
"""

import collections
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from tests.check_the_check.run import CHUNK

LONGEST_S = 1800  # then a chunk counts as one that hangs
SHOWN = 6000  # characters of a failure


def chunk(what, seed):
    """(what, seed, counts, failures) of one seed."""
    command = [sys.executable, "-m", "tests.check_the_check.run", what, str(seed)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LONGEST_S
        )
        return json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return what, seed, {"CRASHED": CHUNK}, [f"no answer within {LONGEST_S} s"]
    except (IndexError, json.JSONDecodeError):
        return what, seed, {"CRASHED": CHUNK}, [done.stderr[-SHOWN:]]


def main(
    right: int = 10000,
    wrong: int = 1000,
    seed: int = 0,
    workers: int = 1,
    minutes: float = 0.0,
):
    """Count the false alarms and the misses of jaxbp.check.

    Args:
      right: right gradients to check.
      wrong: planted errors to find.
      seed: of the first chunk of each.
      workers: processes.
      minutes: stop after so many, if not 0, with what is done by then.
    """
    start = time.monotonic()
    jobs = [("planted", seed + i) for i in range(-(-wrong // CHUNK))]
    jobs += [("right", seed + i) for i in range(-(-right // CHUNK))]
    totals, failed = collections.defaultdict(collections.Counter), []
    pool = ThreadPoolExecutor(workers)
    columns = "{task.description}", BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeRemainingColumn()) as progress:
        task = progress.add_task("cases", total=CHUNK * len(jobs))
        try:
            for future in as_completed([pool.submit(chunk, *job) for job in jobs]):
                what, at, counts, failures = future.result()
                totals[what].update(counts)
                failed += [(what, at, failure) for failure in failures]
                progress.advance(task, CHUNK)
                if minutes and time.monotonic() - start > 60 * minutes:
                    break
        finally:
            pool.shutdown(cancel_futures=True)
    raise SystemExit(summary(totals, failed))


def summary(totals, failed) -> bool:
    """Prints counts and failures; gives whether check erred."""
    for what, at, failure in sorted(failed):
        print(f"\n# {what}, seed {at} {'-' * 60}\n{failure[:SHOWN]}")
    for what, counts in totals.items():
        print(f"\n{what}:")
        for name, count in sorted(counts.items(), key=lambda pair: -pair[1]):
            print(f"{count:8}  {name}")
    erred = totals["right"]["differ"] + totals["planted"]["MISSED"]
    return bool(erred + sum(counts["CRASHED"] for counts in totals.values()))


if __name__ == "__main__":
    tyro.cli(main)
