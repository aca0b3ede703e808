"""What a plan says: a choice of bytes against time, and the table of all choices."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..costs.tape_render import short, size
from ..display import Column, Line, Page, Shown, Table, Words


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
      choice: the schedule.
      predicted_bytes: of temporaries and outputs, from the program's equations.
      measured_bytes: of XLA's program; None: it was not compiled.
    """

    choice: Choice
    predicted_bytes: int
    measured_bytes: int | None


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
      planning_s: time to trace and choose, in seconds; compiling comes on top.
      compiled: how many programs were compiled to see what XLA needs.
      chosen: the choice taken.
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
    tell: Callable[[], tuple[Row, ...]] = field(compare=False)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All choices, from the least bytes to the least time."""
        return self.tell()

    @property
    def times_f(self) -> float:
        """Forward work of a gradient, over that of one run of the function."""
        return 1 + self.extra

    def table(self) -> Table:
        """A line per choice of bytes against time; the plan's own is marked."""
        columns = [
            Column("predicted"), Column("measured"), Column("forward steps"),
            Column("times f"),
        ]  # fmt: skip
        lines = [
            Line(
                (
                    size(row.predicted_bytes),
                    "" if row.measured_bytes is None else size(row.measured_bytes),
                    str(row.choice.forward_steps),
                    f"{1 + row.choice.extra:.2f}",
                ),
                "good" if row.choice is self.chosen else "",
            )
            for row in self.rows
        ]
        return Table(tuple(columns), tuple(lines))

    def page(self) -> Page:
        """The choice in words, then the table."""
        off = self.predicted_bytes / max(self.measured_bytes, 1) - 1
        head = (
            f"{self.name}: within {size(self.budget_bytes)} by "
            f"{size(self.measured_bytes)} (predicted {size(self.predicted_bytes)}, "
            f"{100 * off:+.0f} %): forward steps {self.forward_steps} of "
            f"{self.segments} segments, {self.times_f:.2f} times f."
        )
        loops = [
            Words(
                f"{short(it.line)}: forward steps {it.runs}, "
                f"{it.runs / it.length:.2f} times {it.length}; {it.slots} starts kept, "
                f"{it.block} steps taped at a time."
            )
            for it in self.loops
            if it.slots
        ]
        return Page(head, *loops, self.table())

    def picture(self):
        """Budget against time, as a matplotlib figure: measured bytes, or predicted
        ones where a choice was not compiled; the plan's own is marked."""
        from .draw import picture

        return picture(self)
