"""Plans of a function under a budget: predicted, compiled, corrected."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from .. import ir
from ..display import Column, Line, Page, Shown, Table
from ..errors import InvalidArgument
from ..transforms.products import vjp
from .chain import Chain, chain_of
from .nested import scheduled
from .schedule import LEVELS, Schedules, peak, runs
from .sizes import segments_of

_TRIES = 6  # programs compiled, where one of them fits


class Choice(NamedTuple):
    """One line of the table of budgets: a schedule.

    Fields:
      predicted_bytes: of temporaries and outputs, by the model.
      extra: forward work done again, over that of one run.
      forward_steps: segments run forward, all in all.
      tree: the schedule.
    """

    predicted_bytes: int
    extra: float
    forward_steps: int
    tree: Any


@dataclass(frozen=True, repr=False)
class Plan(Shown):
    """How a gradient keeps within a budget.

    Fields:
      name: of the function.
      budget_bytes: what was asked for.
      predicted_bytes: temporaries and gradients, by the model.
      measured_bytes: the same, of XLA's compiled program: its temporaries and outputs,
        less what they share with arguments.
      segments: of the chain.
      forward_steps: segments run forward for one gradient.
      extra: forward work done again, over that of one run.
      rows: choices from the least bytes to the least time.
      chosen: the choice taken.
    """

    name: str
    budget_bytes: int
    predicted_bytes: int
    measured_bytes: int
    segments: int
    forward_steps: int
    extra: float
    rows: tuple[Choice, ...]
    chosen: Choice

    def table(self) -> Table:
        """A line per choice of bytes against time; the plan's own is marked."""
        columns = [Column("predicted MB"), Column("forward steps"), Column("times f")]
        lines = [
            Line(
                (
                    f"{row.predicted_bytes / 1e6:.1f}",
                    str(row.forward_steps),
                    f"{1 + row.extra:.2f}",
                ),
                "good" if row is self.chosen else "",
            )
            for row in self.rows
        ]
        return Table(tuple(columns), tuple(lines))

    def page(self) -> Page:
        """The choice in words, then the table."""
        return Page(
            f"{self.name}: within {self.budget_bytes / 1e6:.1f} MB by "
            f"{self.measured_bytes / 1e6:.1f} MB (predicted "
            f"{self.predicted_bytes / 1e6:.1f}): forward steps {self.forward_steps} of "
            f"{self.segments} segments, {1 + self.extra:.2f} times f.",
            self.table(),
        )


class Planner:
    """The plans of one program."""

    def __init__(self, name: str, program, moving: Sequence[bool]):
        self.name = name
        self.chain: Chain = chain_of(program)
        self.moving = list(moving)
        jaxpr = self.chain.jaxpr
        on = {v for v, m in zip(jaxpr.invars, moving, strict=True) if m}
        self.segments = segments_of(self.chain, lambda var: var in on)
        outputs = [ir.nbytes(var.aval) for var in [*on, *jaxpr.outvars]]
        self.kept_bytes = sum(outputs)
        # A large output's buffer serves others before; small ones come on top.
        largest = max(it.state_bytes for it in self.segments)
        self.small_bytes = sum(size for size in outputs if size < largest)
        self._measured: dict = {}

    def choices(self) -> list[Choice]:
        """From the least bytes to the least time; each is faster than those before."""
        whole = sum(s.tape_bytes for s in self.segments)
        whole += max(s.pull_bytes for s in self.segments)
        schedules = Schedules(self.segments, whole)
        while not np.isfinite(schedules.seconds()[LEVELS]):  # states larger than tapes
            whole = 2 * whole + 1
            schedules = Schedules(self.segments, whole)
        seconds, once = schedules.seconds(), sum(s.seconds for s in self.segments)
        found: list[Choice] = []
        for level in range(LEVELS + 1):
            faster = not found or seconds[level] < found[-1].extra * once - 1e-15
            if np.isfinite(seconds[level]) and faster:
                tree = schedules.tree(level)
                size = peak(self.segments, tree) + self.small_bytes
                extra = float(seconds[level] / max(once, 1e-30))
                found.append(Choice(size, extra, len(runs(tree)), tree))
        return found

    def measured(self, choice: Choice) -> int:
        """Bytes of XLA's program of values and gradients."""
        if choice not in self._measured:
            self._measured[choice] = self._compiled_bytes(choice)
        return self._measured[choice]

    def _compiled_bytes(self, choice: Choice) -> int:
        run = scheduled(self.chain, choice.tree)
        jaxpr = self.chain.jaxpr

        def gradient(consts, inputs, y_bars):
            def f(*moved):
                rest = iter(moved)
                pairs = zip(inputs, self.moving, strict=True)
                return run(consts, [next(rest) if m else x for x, m in pairs])

            pairs = zip(inputs, self.moving, strict=True)
            outs, pullback = vjp(f, *[x for x, m in pairs if m])[:2]
            return outs, pullback(y_bars)

        types = [
            [ir.struct(v.aval) for v in variables]
            for variables in (jaxpr.constvars, jaxpr.invars)
        ]
        bars = [ir.struct(ir.tangent_aval(v.aval)) for v in jaxpr.outvars]
        lowered = jax.jit(gradient).lower(*types, bars)
        used = lowered.compile().memory_analysis()
        assert used is not None
        return (
            used.temp_size_in_bytes
            + used.output_size_in_bytes
            - used.alias_size_in_bytes
        )

    def plan(self, budget: int) -> Plan:
        """The fastest choice whose compiled program keeps within the budget.

        Raises:
          InvalidArgument: none does; the message has the least that one takes.
        """
        choices = self.choices()
        place = self._fitting(choices, budget)
        chosen = choices[place]
        return Plan(
            self.name,
            budget,
            chosen.predicted_bytes,
            self.measured(chosen),
            len(self.segments),
            chosen.forward_steps,
            chosen.extra,
            tuple(choices),
            chosen,
        )

    def _fitting(self, choices: Sequence[Choice], budget: int) -> int:
        """The last choice that is found to fit, from where the model says that it
        does: between what fits and what does not."""
        low, high = -1, len(choices)  # low fits, high does not
        sizes = [choice.predicted_bytes for choice in choices]
        guess = max(0, int(np.searchsorted(sizes, budget, "right")) - 1)
        while high - low > 1 and (low < 0 or len(self._measured) < _TRIES):
            guess = min(max(guess, low + 1), high - 1)
            left = budget - self.measured(choices[guess])
            low, high = (guess, high) if left >= 0 else (low, guess)
            wanted = sizes[guess] + left  # the model is as much off elsewhere
            guess = max(0, int(np.searchsorted(sizes, wanted, "right")) - 1)
        if low < 0:
            least = min(self._measured.values())
            raise InvalidArgument(
                f"the gradient of `{self.name}` cannot be had within {budget} bytes: "
                f"the least that a schedule takes here is {least} bytes "
                f"({least / 1e6:.1f} MB), of which {self.kept_bytes} are the outputs "
                "and gradients themselves. Give a larger budget, or differentiate by "
                "fewer arguments (`argnums`)."
            )
        return low
