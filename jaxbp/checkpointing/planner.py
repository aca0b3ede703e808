"""Plans of a program under budgets: predicted, compiled, corrected.

What can be chosen is ordered by time. The fastest choice is compiled first: what it
takes says how far the model is off for this program. Then, from the fastest on, each
that may fit is compiled, and the first that fits is taken. So a larger budget never
gives a slower plan, and none is exceeded.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from .. import ir
from ..costs import amount_of
from ..costs.tape_render import size
from ..errors import InvalidArgument
from ..transforms.products import vjp
from .chain import Chain, chain_of
from .live import live_bytes
from .nested import scheduled
from .plan import Choice, LoopRuns, Plan, Row
from .schedule import LEVELS, Schedules, peak, runs, taped
from .sizes import segments_of
from .ways import is_long, layout_of

_MOST_CHOICES = 12
_MOST_EXTRA = 5  # runs of the function more than once, at most
_MAY_FIT = 1.15  # what is predicted to need more than so many budgets does not
_MAY_BE_OFF = 1.6  # what the sizes of segments say, over what will be predicted
_BETTER = 1.02  # of what is measured of one that did not fit


class Planner:
    """The plans of one program."""

    def __init__(self, name: str, program, moving: Sequence[bool]):
        self.name, self.moving = name, list(moving)
        begun = time.perf_counter()
        self.chain: Chain = chain_of(program, moving)
        self.segments = segments_of(self.chain)
        self.choices = _thinned(list(self._choices()), self._total)
        self._tried: list[_Try | None] = [None] * len(self.choices)
        self._found: dict[int, int | None] = {}  # per budget the choice taken
        self.planning_s = time.perf_counter() - begun

    def _choices(self) -> Iterator[Choice]:
        """From the least bytes to the least time; each is faster than those before."""
        whole = sum(s.ways[0].tape_bytes for s in self.segments)
        whole += max(s.ways[0].pull_bytes for s in self.segments)
        whole += whole * (len(self.segments) + 2) // LEVELS  # what is rounded up
        schedules = Schedules(self.segments, whole)
        while not np.isfinite(schedules.seconds()[LEVELS]):  # states larger than tapes
            whole = 2 * whole + 1
            schedules = Schedules(self.segments, whole)
        seconds, once = schedules.seconds(), sum(s.seconds for s in self.segments)
        last = np.inf
        for level in range(LEVELS + 1):
            if seconds[level] < min(last - 1e-12 * once, _MOST_EXTRA * once + 1e-30):
                last, tree = seconds[level], schedules.tree(level)
                found = peak(self.segments, tree)
                extra = float(last / max(once, 1e-30))
                yield Choice(found, extra, len(runs(tree)), tree)

    def _total(self, choice: Choice) -> int:
        """With the outputs, in whose places the states live that fit there."""
        largest = max(1, *[it.state_bytes for it in self.segments])
        rooms = [size for size in map(ir.nbytes, self._outputs()) if size >= largest]
        hosted = largest * len(rooms)
        ends = sum(map(ir.nbytes, self._outputs()))
        return 1 + ends + max(0, choice.model_bytes - hosted)

    def _outputs(self) -> list:
        """Types of values and gradients."""
        jaxpr = self.chain.jaxpr
        ends = [v for v, m in zip(jaxpr.invars, self.moving, strict=True) if m]
        return [v.aval for v in [*ends, *jaxpr.outvars]]

    def plan(self, budget: int) -> Plan:
        """The fastest choice whose compiled program keeps within the budget.

        Raises:
          InvalidArgument: none does; the message has the least that one takes.
        """
        if budget not in self._found:
            self._found[budget] = self._fitting(budget)
        place = self._found[budget]
        if place is None:
            raise InvalidArgument(self._refusal(budget))
        chosen, tried = self.choices[place], self._try(place)
        return Plan(
            name=self.name,
            budget_bytes=budget,
            predicted_bytes=self._predicted(tried),
            measured_bytes=self._measured(place),
            segments=len(self.segments),
            forward_steps=chosen.forward_steps,
            extra=chosen.extra,
            flops=self._flops(chosen),
            loops=tuple(self._loops(chosen)),
            planning_s=self.planning_s,
            compiled=sum(
                it is not None and it.measured is not None for it in self._tried
            ),
            chosen=chosen,
            tell=self.rows,
        )

    def _flops(self, choice: Choice) -> float:
        """Of the plain gradient, and of what is run again."""
        plain = amount_of(self._try(len(self.choices) - 1).traced.jaxpr).flops.high
        chain = self.chain
        whole = amount_of(ir.closed(chain.jaxpr, chain.consts)).flops.high
        return plain + choice.extra * whole if choice.extra else plain

    def rows(self) -> tuple[Row, ...]:
        """All choices, from the least bytes to the least time; traces them."""
        tries = [self._try(place) for place in range(len(self.choices))]
        pairs = zip(self.choices, tries, strict=True)
        return tuple([Row(c, self._predicted(it), it.measured) for c, it in pairs])

    def _fitting(self, budget: int) -> int | None:
        """The fastest choice that is found to fit."""
        fastest = len(self.choices) - 1
        limit = _MAY_FIT * budget
        for place in range(fastest, -1, -1):
            far = self._total(self.choices[place]) > _MAY_BE_OFF * budget
            if place != fastest and (far or self._predicted(self._try(place)) > limit):
                continue
            if self._measured(place) <= budget:
                return place if place == fastest else self._faster(place, budget)
            limit = min(limit, _BETTER * self._measured(place))
        tries = [(place, self._try(place)) for place in range(fastest + 1)]
        untried = [place for place, it in tries if it.measured is None]
        if untried:  # none, or the least is named too high
            least = min(untried, key=lambda place: self._predicted(self._try(place)))
            if self._measured(least) <= budget:
                return self._faster(least, budget)
        fitting = [p for p, it in tries if it.measured and it.measured <= budget]
        return max(fitting, default=None)

    def _faster(self, place: int, budget: int) -> int:
        """From a choice that fits, on to faster ones that were predicted not to."""
        while self._measured(place + 1) <= budget:  # the fastest was found not to fit
            place += 1
        return place

    def _try(self, place: int) -> "_Try":
        found = self._tried[place]
        if found is None:
            begun = time.perf_counter()
            choice = self.choices[place]
            ways = [way for _, way, _ in taped(choice.tree)]
            by_blocks = any(way.loop_bytes is not None for way in ways)
            found = self._tried[place] = _Try(self._traced(choice), by_blocks)
            self.planning_s += time.perf_counter() - begun
        return found

    def _predicted(self, it: "_Try") -> int:
        """By the model; where the loops are the plain program's, corrected by what the
        model was off there, a quarter at most."""
        plain = self._try(len(self.choices) - 1)
        if it is plain or plain.measured is None or it.by_blocks:
            return it.predicted
        off = plain.measured / max(plain.predicted, 1)
        return round(it.predicted * min(max(off, 0.8), 1.25))

    def _measured(self, place: int) -> int:
        it = self._try(place)
        if it.measured is None:
            it.measured = it.compiled_bytes()
        return it.measured

    def _traced(self, choice: Choice):
        """The program of values and gradients."""
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
        return jax.jit(gradient).trace(*types, bars)

    def _loops(self, choice: Choice) -> Iterator[LoopRuns]:
        for number, way, times in taped(choice.tree):
            for eqn in self.chain.equations(number):
                if is_long(eqn):
                    length = eqn.params["length"]
                    found = layout_of(self.chain, eqn, way.loop_bytes)
                    total = (times - 1) * length + found.runs
                    line = ir.line_of(eqn.source_info)
                    block = max(found.steps, found.last)
                    yield LoopRuns(line, length, total, found.slots, block)

    def _refusal(self, budget: int) -> str:
        least = min(it.measured for it in self._tried if it and it.measured is not None)
        kept = sum(map(ir.nbytes, self._outputs()))
        return (
            f"the gradient of `{self.name}` cannot be had within {budget} bytes: the "
            f"least that a schedule takes here is {least} bytes ({size(least)}), of "
            f"which {size(kept)} are the outputs and gradients themselves. Give a "
            "larger budget, or differentiate by fewer arguments (`argnums`)."
        )


class _Try:
    """A choice traced, and what it takes: by the model, and compiled."""

    def __init__(self, traced, by_blocks: bool):
        self.traced, self.by_blocks = traced, by_blocks
        self.predicted = live_bytes(traced.jaxpr)
        self.measured: int | None = None

    def compiled_bytes(self) -> int:
        """XLA's temporaries and outputs, less what they share with arguments."""
        used = self.traced.lower().compile().memory_analysis()
        assert used is not None
        return (
            used.temp_size_in_bytes
            + used.output_size_in_bytes
            - used.alias_size_in_bytes
        )


def _thinned(choices: Sequence[Choice], total: Callable) -> list[Choice]:
    """So many that each takes clearly more bytes than those before it."""
    sizes = [total(choice) for choice in choices]
    step = max(1.02, (max(sizes) / min(sizes)) ** (1 / _MOST_CHOICES))
    found, last = [choices[-1]], sizes[-1]
    for choice, room in zip(choices[-2::-1], sizes[-2::-1], strict=True):
        if room * step < last:
            found.append(choice)
            last = room
    return found[::-1]
