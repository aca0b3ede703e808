"""What is done between two calls of the program: the same in every process.

How long a call may be, whether to save, whether to stop: each process has its own clock
and gets its own signals, and they must not part ways. Before every call they tell one
another, and do what follows from all.
"""

from typing import NamedTuple

from jaxbp.scale import Processes
from jaxbp.scale.signals import Wish
from jaxbp.training.run import Run, Stopped


class Plan(NamedTuple):
    """What comes next: epochs to run, whether to save before, or why to stop."""

    ahead: int
    saves: bool = False
    stopped: Stopped | None = None


class Rounds:
    """Plans for a run.

    Args:
      save_every_s: seconds of training between two saves; None saves none.
    """

    def __init__(
        self, run: Run, processes: Processes, wish: Wish, save_every_s: float | None
    ):
        self.run, self.processes, self.wish = run, processes, wish
        self.save_every_s, self._saved_at_s = save_every_s, 0.0

    def plan(self, one_epoch: bool) -> Plan:
        """What every process does next."""
        plans = self.processes.gather(self._own(one_epoch))
        stops = [plan.stopped for plan in plans if plan.stopped]
        plan = Plan(
            min(p.ahead for p in plans), plans[0].saves, min(stops, default=None)
        )
        if plan.saves:
            self._saved_at_s = self.run.run_s
        return plan

    def _own(self, one_epoch) -> Plan:
        waited_s = self.run.run_s - self._saved_at_s
        saves = self.save_every_s is not None and waited_s >= self.save_every_s
        stopped = None
        if self.wish.interrupt:
            stopped = "interrupted"
        elif self.wish.terminate:
            stopped = "terminated"
        ahead = 1 if one_epoch else self.run.epochs_a_call()
        return Plan(ahead, saves and waited_s > 0, stopped)
