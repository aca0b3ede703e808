"""What a plan says: a choice of bytes against time, and the table of all choices."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..costs.amount import exactly
from ..costs.render import show
from ..costs.tape_render import short, size
from ..display import Column, Line, Page, Shown, Table, Words
from ..timing.clock import seconds


class Choice(NamedTuple):
    """One line of the table of budgets: a schedule.

    Fields:
      model_bytes: by the sizes of segments alone; it orders the lines.
      extra: forward work done again, over that of one run.
      forward_steps: segments run forward, all in all.
      tree: the schedule.
    """

    model_bytes: int
    extra: float
    forward_steps: int
    tree: Any


class LoopRuns(NamedTuple):
    """A loop of known length under a plan.

    Fields:
      line: of the program that it stands in.
      length: its steps.
      runs: how often a gradient runs its step forward, all in all.
      slots: states kept that it starts from again; 0: its tape is whole.
      block: steps whose tape is made at a time.
    """

    line: str
    length: int
    runs: int
    slots: int
    block: int


class Row(NamedTuple):
    """A choice, and what is known of it.

    Fields:
      predicted_bytes: of temporaries and outputs, from the program's equations.
      measured_bytes: of XLA's program; None: it was not compiled.
      forward_steps: segments run forward for one gradient.
      times_f: forward work of a gradient, over that of one run of the function.
      taken: whether the plan is this one.
    """

    predicted_bytes: int
    measured_bytes: int | None
    forward_steps: int
    times_f: float
    taken: bool


class Seconds(NamedTuple):
    """Of a gradient, values with it.

    Fields:
      predicted: of the plain gradient from its equations and this device's measured
        roofs, and of what runs again; infinite where a loop has no known end.
      measured: median of runs, taken in turn.
    """

    predicted: float
    measured: float


@dataclass(frozen=True, repr=False)
class Plan(Shown):
    """How a gradient keeps within a budget.

    Fields:
      name: of the function.
      budget_bytes: what was asked for.
      predicted_bytes: temporaries, values and gradients, before they were compiled:
        from the equations of the gradient, and what XLA made of the plain one.
      measured_bytes: the same, of XLA's compiled program: its temporaries and outputs,
        less what they share with arguments.
      segments: of the chain.
      forward_steps: segments run forward for one gradient.
      extra: forward work done again, over that of one run.
      flops: of the plain gradient and of what runs again, counted; infinite where a
        loop has no known end.
      loops: of known length.
      planning_s: time of the processor to cut the program and to find all schedules,
        in seconds; to trace and to compile those that are tried comes on top.
      compiled: how many programs were compiled to see what XLA needs.
      chosen: the choice taken.
      seconds, plain_seconds: of the planned gradient and of the plain one; None unless
        the plan was measured.
      unknown: lines of the loops of unknown length that are differentiated.
    """

    name: str
    budget_bytes: int
    predicted_bytes: int
    measured_bytes: int
    segments: int
    forward_steps: int
    extra: float
    flops: float
    loops: tuple[LoopRuns, ...]
    planning_s: float
    compiled: int
    chosen: Choice
    tell: Callable[[Choice], tuple[Row, ...]] = field(compare=False)
    seconds: Seconds | None = None
    plain_seconds: Seconds | None = None
    unknown: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """All choices, from the least bytes to the least time."""
        return self.tell(self.chosen)

    @property
    def times_f(self) -> float:
        """Forward work of a gradient, over that of one run of the function."""
        return 1 + self.extra

    def table(self) -> Table:
        """A line per choice of bytes against time; the plan's own is marked."""
        columns = [
            Column("predicted bytes"),
            Column("XLA's bytes"),
            Column("forward work,\ntimes f"),
            Column("forward\nsteps"),
        ]
        lines = [
            Line(
                (
                    size(row.predicted_bytes),
                    "-" if row.measured_bytes is None else size(row.measured_bytes),
                    f"{row.times_f:.2f}",
                    f"{row.forward_steps:,}" + (" (taken)" if row.taken else ""),
                ),
                "good" if row.taken else "",
            )
            for row in self.rows
        ]
        return Table(tuple(columns), tuple(lines))

    def page(self) -> Page:
        """The choice in words, then the table."""
        off = self.predicted_bytes / max(self.measured_bytes, 1) - 1
        head = (
            f"Gradient of {self.name} within {size(self.budget_bytes)}: "
            f"{size(self.measured_bytes)} beside its arguments, by XLA's plan "
            f"(predicted {size(self.predicted_bytes)}, {100 * off:+.0f} %)."
        )
        looped = (
            " with what loops run again" if any(it.slots for it in self.loops) else ""
        )
        work = (
            f"Forward steps {self.forward_steps:,}, {self.times_f:.2f} times f"
            f"{looped}, where a step is one of {self.segments:,} segments; "
            f"{show(exactly(self.flops))} flops in all."
        )
        loops = [
            Words(
                f"Loop at {short(it.line)}: forward steps {it.runs:,}, "
                f"{it.runs / it.length:.2f} times {it.length:,}; {it.slots} starts "
                f"kept, {it.block:,} steps taped at a time."
            )
            for it in self.loops
            if it.slots
        ]
        loops += [
            Words(
                f"Loop at {short(line)}: of unknown length. Its step runs three times "
                "or so for a gradient, oftener within few bytes; that is not counted."
            )
            for line in self.unknown
        ]
        return Page(
            Words(head, "bold"), Words(work), *loops, *self._times(), self.table()
        )

    def _times(self) -> Iterator[Words]:
        if self.seconds is None or self.plain_seconds is None:
            return
        mine, plain = self.seconds, self.plain_seconds
        ratio = mine.measured / plain.measured
        guess = mine.predicted / plain.predicted if plain.predicted else 1.0
        told = f", predicted {guess:.2f}" if guess < float("inf") else ""
        yield Words(
            f"Measured: {seconds(mine.measured)} (predicted {_told(mine.predicted)}); "
            f"without a budget {seconds(plain.measured)} "
            f"({_told(plain.predicted)}): {ratio:.2f} times{told}."
        )

    def picture(self):
        """Budget against time, as a matplotlib figure: measured bytes, or predicted
        ones where a choice was not compiled; the plan's own is marked."""
        from .draw import picture

        return picture(self)


def _told(predicted: float) -> str:
    return seconds(predicted) if predicted < float("inf") else "unknown"
