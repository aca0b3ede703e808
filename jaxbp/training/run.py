"""A run in progress, seen from the host: calls of the program, history, clock."""

import time
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from jaxbp.errors import JaxbpError
from jaxbp.scale import ALONE, Processes
from jaxbp.training.data import Batches
from jaxbp.training.epochs import Program, capacity
from jaxbp.training.state import EarlyStopping, TrainingState, is_exhausted

# A call of the program is to take about this long: below it the host's share shows,
# above it the bar stutters and Ctrl-C waits.
_CALL_S = 0.2

Stopped = Literal[
    "finished", "early", "callback", "interrupted", "terminated", "non-finite"
]


class TrainingResult(NamedTuple):
    """What `fit` returns.

    Attributes:
      params: the last epoch's, or the best epoch's under early stopping.
      state: after the last epoch; what is saved.
      history: `loss` (epochs,), the mean over each epoch's examples while they were
        trained on; `validation_...` (epochs,), after each epoch; `step_loss`
        (updates,), every update's loss before it.
      stopped: why the run ended.
      compile_s: tracing and compiling, seconds.
      run_s: the epochs themselves, seconds.
      examples_per_s: trained examples a second of `run_s`, validation time included.
    """

    params: Any
    state: TrainingState
    history: dict[str, np.ndarray]
    stopped: Stopped
    compile_s: float
    run_s: float
    examples_per_s: float

    def __repr__(self) -> str:
        losses = list(self.history.get("loss", []))
        last = f", last loss {losses[-1]:.4g}" if losses else ""
        return (
            f"TrainingResult({self.stopped} after epoch {int(self.state.epoch)}{last}; "
            f"{self.run_s:.3g} s, {self.examples_per_s:,.0f} examples/s)"
        )


class NonFiniteLoss(JaxbpError, FloatingPointError):
    """A loss or a parameter became NaN or Inf.

    Attributes:
      epoch, step: where, counted from 1.
      result: the `TrainingResult` up to the last good epoch.
    """

    def __init__(self, message: str, epoch: int, step: int):
        super().__init__(message)
        self.epoch = epoch
        self.step = step
        self.result: TrainingResult | None = None


class _Reached(NamedTuple):
    """Where a run stands, in one object: Ctrl-C finds the old one or the new."""

    state: TrainingState
    epoch: int
    parts: int  # of each history column


class Run:
    """Training from `state` on, call by call."""

    def __init__(
        self,
        program: Program,
        data: Any,
        validation: Any,
        batches: Batches,
        stopping: EarlyStopping | None,
        state: TrainingState,
        history: Mapping[str, np.ndarray],
        processes: Processes = ALONE,
    ):
        self._program = program
        self._data = data
        self._validation = validation
        self._batches = batches
        self._stopping = stopping
        self._processes = processes
        self._columns = {name: [column] for name, column in history.items()}
        self._reached = _Reached(state, int(state.epoch), 1 if history else 0)
        self._epochs_run = 0
        self.compile_s = 0.0
        self.run_s = 0.0

    def compile(self) -> None:
        """Trace and compile, by running no epoch."""
        started_s = time.perf_counter()
        self._call(until=self.epoch)
        self.compile_s = time.perf_counter() - started_s

    def advance(self, epochs: int, ahead: int) -> dict[str, float]:
        """Run `ahead` epochs, `epochs` in all at most; the last one's record.

        Raises:
          NonFiniteLoss: `state` is then that after the last good epoch.
          ProcessLost: another process has died.
        """
        started_s = time.perf_counter()
        outcome = self._call(until=min(epochs, self.epoch + ahead))
        self.run_s += time.perf_counter() - started_s
        run = int(outcome.run)
        good = run if outcome.good else run - 1
        losses, records = jax.device_get((outcome.losses, outcome.records))
        self._absorb(outcome.state, good, losses, records)
        if not outcome.good:
            raise _non_finite(self.epoch + 1, losses[run - 1])
        return {name: float(column[run - 1]) for name, column in records.items()}

    def _call(self, until):
        until = np.int32(until)

        def call():
            return jax.block_until_ready(
                self._program(self.state, self._data, self._validation, until)
            )

        return self._processes.run(call)

    def epochs_a_call(self) -> int:
        """How many epochs take about as long as a call is to take."""
        if not self._epochs_run:
            return 1
        epoch_s = self.run_s / self._epochs_run
        return max(1, min(capacity(self._batches), int(_CALL_S / epoch_s)))

    def _absorb(self, state, count, losses, records):
        new = {name: column[:count] for name, column in records.items()}
        new["step_loss"] = losses[:count].reshape(-1)
        for name, column in new.items():
            self._columns.setdefault(name, []).append(column)
        self._epochs_run += count
        self._reached = _Reached(state, self.epoch + count, self._reached.parts + 1)

    @property
    def state(self) -> TrainingState:
        """After the last good epoch."""
        return self._reached.state

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return self._reached.epoch

    def is_exhausted(self) -> bool:
        """Whether early stopping has run out of patience."""
        return bool(is_exhausted(self.state, self._stopping))

    def examples_per_s(self) -> float:
        """Examples trained on a second since this run began."""
        if not self._epochs_run:
            return 0.0
        return self._epochs_run * self._batches.examples / self.run_s

    def history(self) -> dict[str, np.ndarray]:
        """The columns so far, those from before a resume included."""
        count = self._reached.parts
        if not count:
            return {}
        return {name: np.concatenate(c[:count]) for name, c in self._columns.items()}

    def result(self, stopped: Stopped) -> TrainingResult:
        """The outcome if the run ends here."""
        best = self.state.best
        return TrainingResult(
            self.state.params if best is None else best.params,
            self.state,
            self.history(),
            stopped,
            self.compile_s,
            self.run_s,
            self.examples_per_s(),
        )


def _non_finite(epoch, losses):
    """The error for an epoch with losses (steps,)."""
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        step = int(bad[0]) + 1
        what = f"the loss is {losses[bad[0]]} at step {step} of epoch {epoch}"
    else:
        step = len(losses)
        what = (
            f"a parameter is not finite after the last step, {step}, of epoch {epoch}"
        )
    return NonFiniteLoss(
        f"{what}. The state after epoch {epoch - 1} is kept. Lower the learning rate, "
        f"clip the gradients (optax.clip_by_global_norm), or look for a division by 0.",
        epoch,
        step,
    )
