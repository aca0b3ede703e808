"""The programs of one seed, in a process of its own: python -m tests.fuzz.chunk SEED.

What JAX compiled fills memory, and a crash of the compiler ends the process: neither
outlives its chunk.
"""

import collections
import json
import subprocess
import sys
import traceback
from typing import NamedTuple

CHUNK = 250  # programs of one seed
LONGEST_S = 1800  # then the process counts as one that hangs


class Chunk(NamedTuple):
    """What came of one seed.

    Fields:
      seed: it.
      counts: of programs, questions and refusals.
      failure: "", or the error with the smallest program that shows it.
    """

    seed: int
    counts: dict
    failure: str


def run(seed: int) -> Chunk:
    """The chunk of a seed, from a process of its own."""
    command = [sys.executable, "-m", "tests.fuzz.chunk", str(seed)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LONGEST_S
        )
    except subprocess.TimeoutExpired:
        return Chunk(seed, {}, f"no answer within {LONGEST_S} s")
    if done.returncode:
        last = done.stderr[-2000:]
        return Chunk(seed, {}, f"ended with status {done.returncode}\n{last}")
    return Chunk(*json.loads(done.stdout.splitlines()[-1]))


def compared(seed: int) -> Chunk:
    """The chunk of a seed, in this process."""
    import jax

    import tests.conftest  # noqa: F401 (64-bit, strict promotion)
    from tests.fuzz.trial import trial

    # A third of the time is XLA's: each small program is compiled to run once.
    jax.config.update("jax_disable_most_optimizations", True)
    counts = collections.Counter()
    try:
        trial(CHUNK, seed, counts)
    except Exception:
        return Chunk(seed, counts, traceback.format_exc(limit=-3))
    return Chunk(seed, counts, "")


if __name__ == "__main__":
    print(json.dumps(compared(int(sys.argv[1]))))
