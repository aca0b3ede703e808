"""What a process must know of the others: which it is, when all have come, what they
have; every wait with an end."""

import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from ..errors import JaxbpError

WAIT_S = 60.0  # the longest that one process waits for another


class ProcessLost(JaxbpError, RuntimeError):
    """Another process of the run has died, or does not answer."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them.

    Attributes:
      index: of this one.
      count: of all.
      wait_s: after how long a wait for the others is given up.
    """

    index: int = 0
    count: int = 1
    wait_s: float = WAIT_S

    @property
    def first(self) -> bool:
        """Whether this one speaks for all: shows, writes, merges."""
        return self.index == 0

    @classmethod
    def current(cls, wait_s: float = WAIT_S) -> "Processes":
        """Those that JAX knows of (`jax.distributed.initialize`)."""
        return cls(jax.process_index(), jax.process_count(), wait_s)

    def barrier(self, name: str, patience: float = 1.0) -> None:
        """Waits until all have come.

        Args:
          patience: how many `wait_s`, where the others may have work of their own.

        Raises:
          ProcessLost: one has not come by then.
        """
        if self.count > 1:
            from jax.experimental import multihost_utils

            longer = replace(self, wait_s=patience * self.wait_s)
            longer.within(name, multihost_utils.sync_global_devices, name)

    def gather(self, value: Any) -> list:
        """Each process's value, in order, on all of them; what pickle can hold.

        Raises:
          ProcessLost: one does not answer within `wait_s`.
        """
        if self.count == 1:
            return [value]
        return self.within("gather", _gather, value)

    def leaf(self, value: Any) -> np.ndarray:
        """An array of all processes as a whole one on this host.

        Raises:
          ProcessLost: one does not answer within `wait_s`.
        """
        if self.count == 1 or getattr(value, "is_fully_replicated", True):
            return np.asarray(value)
        from jax.experimental import multihost_utils

        return self.within("gather", _whole, multihost_utils, value)

    def within(self, name: str, wait: Callable, *args) -> Any:
        """`wait(*args)`, which returns when the other processes have come.

        Raises:
          ProcessLost: it has failed, or not returned within `wait_s`.
        """
        done: list = []

        def run():
            try:
                done.append((wait(*args), None))
            except Exception as error:
                done.append((None, error))

        # A call into the runtime cannot be broken off; this thread can be left behind.
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(self.wait_s)
        if not done:
            raise ProcessLost(self.lost(f"not at `{name}` within {self.wait_s:g} s"))
        found, error = done[0]
        if error is not None:
            raise ProcessLost(self.lost(_first_line(error))) from error
        return found

    def run(self, work: Callable, *args) -> Any:
        """`work(*args)`, which all processes do together and which may take long: it
        is the runtime's heartbeats that end it where one is lost.

        Raises:
          ProcessLost: it failed for another process.
        """
        try:
            return work(*args)
        except (RuntimeError, ValueError) as error:
            blamed = self.blame(error)
            if blamed is error:
                raise
            raise blamed from error

    def blame(self, error: Exception) -> Exception:
        """What to raise for an error of a program that runs on all processes."""
        said = _first_line(error)
        if self.count > 1 and any(word in said for word in _OF_THE_OTHERS):
            return ProcessLost(self.lost(said))
        return error

    def lost(self, why: str) -> str:
        """The sentence for a process that is gone."""
        return (
            f"process {self.index} of {self.count}: another process of this run has "
            f"died or does not answer ({why}). Start the run again with `resume`: it "
            "goes on from the state saved last, with any number of processes."
        )


ALONE = Processes()

# How runtimes say that a peer is gone: gloo, NCCL, the coordination service.
_OF_THE_OTHERS = ("Gloo", "gloo", "NCCL", "heartbeat", "oordination", "Connection")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _gather(value) -> list:
    from jax.experimental.multihost_utils import process_allgather

    told = np.frombuffer(pickle.dumps(value), np.uint8)
    sizes = process_allgather(np.asarray([told.size], np.int32))
    padded = np.zeros(int(np.max(sizes)), np.uint8)
    padded[: told.size] = told
    rows = np.asarray(process_allgather(padded)).reshape(len(sizes), -1)
    return [
        pickle.loads(row[: int(size)].tobytes())
        for row, size in zip(rows, np.ravel(sizes), strict=True)
    ]


def _whole(multihost_utils, value) -> np.ndarray:
    return np.asarray(multihost_utils.process_allgather(value, tiled=True))
