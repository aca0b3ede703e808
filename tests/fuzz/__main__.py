"""python -m tests.fuzz: compares many random programs with JAX, in parallel.

Each chunk of programs has a seed of its own, `seed`, `seed + 1`, ...; the seeds that
failed stand at the end, each with the smallest program that shows it, as a test.
"""

import collections
import os
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from tests.fuzz.chunk import CHUNK, run


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
    start = time.monotonic()
    done = []
    seeds = range(seed, seed + -(-programs // CHUNK))
    columns = "{task.description}", BarColumn(), MofNCompleteColumn()
    pool = ThreadPoolExecutor(workers)
    chunks = [pool.submit(run, seed) for seed in seeds]
    with Progress(*columns, TimeRemainingColumn()) as progress:
        task = progress.add_task("programs", total=len(seeds) * CHUNK)
        try:
            for future in as_completed(chunks):
                done.append(future.result())
                progress.advance(task, CHUNK)
                print(line(done[-1]), flush=True)
                if minutes and time.monotonic() - start > 60 * minutes:
                    break
        finally:
            pool.shutdown(cancel_futures=True)
    raise SystemExit(summary(done, time.monotonic() - start))


def line(chunk) -> str:
    """What came of a chunk, in a line."""
    failed = ", FAILED" if chunk.failure else ""
    return f"seed {chunk.seed}: {chunk.counts.get('programs', 0)} programs{failed}"


def summary(done, seconds: float) -> bool:
    """Prints what failed and the counts; gives whether anything failed."""
    failures = sorted(chunk for chunk in done if chunk.failure)
    for chunk in failures:
        print(f"\n# seed {chunk.seed} {'-' * 70}\n{chunk.failure}")
    total = sum(
        (collections.Counter(chunk.counts) for chunk in done),
        start=collections.Counter(),
    )
    for name, count in total.most_common():
        print(f"{count:8}  {name}")
    print(
        f"{total['programs']:,} programs in {seconds:.0f} s "
        f"({total['programs'] / seconds:.1f}/s): {total['questions']:,} questions "
        f"answered alike, {total['refused by JAX']:,} refused by JAX, "
        f"{len(failures)} seeds with a disagreement"
    )
    return bool(failures)


if __name__ == "__main__":
    tyro.cli(main)
