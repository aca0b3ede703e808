"""python -m tests.fuzz: compares many random programs with JAX, in parallel.

Each chunk of programs has a seed of its own, `seed`, `seed + 1`, ...; a failing chunk
prints its seed and the smallest program that shows the failure, as a test.
"""

import collections
import multiprocessing
import os
import time

import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from tests.fuzz.chunk import CHUNK, chunk

CHUNKS_A_PROCESS = 6  # then a fresh one: what JAX compiled fills memory


def main(
    programs: int = 20000,
    minutes: float = 0.0,
    seed: int = 0,
    workers: int = os.cpu_count() or 1,
):
    """Compare random programs with JAX.

    Args:
      programs: how many; rounded up to whole chunks of 250.
      minutes: stop after so many, if not 0, with the programs done by then.
      seed: of the first chunk; chunk i draws from seed + i.
      workers: processes.
    """
    total, start = collections.Counter(), time.monotonic()
    seeds = range(seed, seed + -(-programs // CHUNK))
    failures = 0
    columns = "{task.description}", BarColumn(), MofNCompleteColumn()
    spawn = multiprocessing.get_context("spawn")
    pool = spawn.Pool(workers, maxtasksperchild=CHUNKS_A_PROCESS)
    with Progress(*columns, TimeRemainingColumn()) as progress, pool:
        task = progress.add_task("programs", total=len(seeds) * CHUNK)
        for which, counts, failure in pool.imap_unordered(chunk, seeds):
            total.update(counts)
            failures += bool(failure)
            progress.update(task, completed=total["programs"])
            print(f"seed {which}: {counts['programs']} programs {failure}", flush=True)
            if minutes and time.monotonic() - start > 60 * minutes:
                break
    print(f"seeds {seeds.start} to {seeds.stop - 1}, {time.monotonic() - start:.0f} s")
    for name, count in total.most_common():
        print(f"{count:8}  {name}")
    print(f"{failures:8}  seeds with a disagreement")
    raise SystemExit(failures > 0)


if __name__ == "__main__":
    tyro.cli(main)
