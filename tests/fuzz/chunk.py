"""The programs of one seed, in a process of its own."""

import collections
import traceback

import tests.conftest  # noqa: F401 (64-bit, strict promotion)
from tests.fuzz.trial import trial

CHUNK = 250  # programs of one seed


def chunk(seed: int) -> tuple[int, collections.Counter, str]:
    """The seed, its counts, and its failure with the smallest program, or ""."""
    counts = collections.Counter()
    try:
        trial(CHUNK, seed, counts)
    except Exception:
        return seed, counts, traceback.format_exc(limit=-3)
    return seed, counts, ""
