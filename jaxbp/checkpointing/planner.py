"""Plans of a program under budgets: predicted, compiled, corrected.

What can be chosen is ordered by time. The fastest choice is compiled first: what it
takes says how far the model is off for this program. Then the fastest that fits is
found by bisection. None is taken that was not compiled: no budget is exceeded, and a
larger one never gives a slower plan, nor a refusal where a smaller one was kept.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from .. import ir, settings
from ..costs import amount_of
from ..costs.tape_render import size
from ..errors import InvalidArgument
from ..transforms.products import vjp
from .chain import Chain, chain_of
from .live import live_bytes
from .nested import scheduled
from .plan import Choice, LoopRuns, Plan, Row
from .schedule import LEVELS, Schedules, Segment, outline, peak, taped
from .sizes import segments_of
from .ways import is_long, layout_of

_planners: OrderedDict = OrderedDict()
_MOST_PLANNERS = 64
_MOST_CHOICES = 12
_MOST_EXTRA = 5  # runs of the function more than once, at most
_MOST_DOUBTFUL = 6  # compiled more, before a budget is refused
_LIGHTER = ((1.0, 0.75), (0.5, 0.5), (0.25, 0.25), (1.0, 0.25))  # to run, to pull
_DOUBT = 0.85  # of what is predicted, or more, is taken


def planner_of(program, moving: Sequence[bool]) -> "Planner":
    """The plans of a closed program, remembered with what was compiled for others."""
    key = str(program), tuple(moving), jax.default_backend(), settings.current()
    if key not in _planners:
        _planners[key] = Planner(program, moving)
        while len(_planners) > _MOST_PLANNERS:
            _planners.popitem(last=False)
    _planners.move_to_end(key)
    return _planners[key]


class Planner:
    """The plans of one program."""

    def __init__(self, program, moving: Sequence[bool]):
        self.moving = list(moving)
        begun = time.process_time()  # one thread's, whatever else the machine does
        chain = chain_of(program, moving)
        # Without arrays: it is remembered, and they would be.
        self.chain: Chain = chain._replace(consts=())
        self.segments = segments_of(self.chain)
        self._once = amount_of(program).flops.high
        self.choices = _thinned(list(self._choices(self.segments)), self._total)
        self._deep = False
        self._tried: list[_Try | None] = [None] * len(self.choices)
        self._sought: set[int] = set()  # budgets
        self.planning_s = time.process_time() - begun

    def _choices(self, segments: Sequence[Segment]) -> Iterator[Choice]:
        """From the least bytes to the least time; each is faster than those before."""
        whole = sum(s.ways[0].tape_bytes for s in segments)
        whole += max(s.ways[0].pull_bytes for s in segments)
        whole += whole * (len(segments) + 2) // LEVELS  # what is rounded up
        schedules = Schedules(segments, whole)
        while not np.isfinite(schedules.seconds()[LEVELS]):  # states larger than tapes
            whole = 2 * whole + 1
            schedules = Schedules(segments, whole)
        seconds, once = schedules.seconds(), sum(s.seconds for s in segments)
        last = np.inf
        for level in range(LEVELS + 1):
            if seconds[level] < min(last - 1e-12 * once, _MOST_EXTRA * once + 1e-30):
                last, tree = seconds[level], schedules.tree(level)
                found = peak(segments, tree)
                extra = float(last / max(once, 1e-30))
                steps = sum(times for _, _, times in taped(tree))
                yield Choice(found, extra, steps, tree)

    def _deepen(self) -> None:
        """Adds choices that may take fewer bytes than all that are there: planned as
        if to run a segment, or to pull it back, took less room than it does, so that
        more is run again."""
        if self._deep:
            return
        self._deep = True
        least = min(self._try(place).predicted for place in range(len(self.choices)))
        added, known = [], [outline(choice.tree) for choice in self.choices]
        for shares in _LIGHTER:
            found = self._choices([_lighter(it, *shares) for it in self.segments])
            for choice in _thinned(list(found), self._total):
                if (tree := outline(choice.tree)) in known:
                    continue
                known.append(tree)
                it = self._tried_anew(choice)
                if _DOUBT * it.predicted < least:
                    added.append((choice, it))
        there = zip(self.choices, self._tried, strict=True)
        pairs = sorted([*added, *there], key=lambda pair: -pair[0].extra)
        self.choices = [choice for choice, _ in pairs]
        self._tried = [it for _, it in pairs]

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

    def plan(self, budget: int, name: str) -> Plan:
        """The fastest choice whose compiled program keeps within the budget.

        Args:
          budget: bytes.
          name: of the function, for what is shown.

        Raises:
          InvalidArgument: none does; the message has the least that one takes.
        """
        if budget not in self._sought:
            self._seek(budget)
            self._sought.add(budget)
        # Among all that were compiled, for whatever budget: so a larger one is never
        # the slower.
        fitting = [p for p, it in enumerate(self._tried) if it and it.within(budget)]
        if not fitting:
            raise InvalidArgument(self._refusal(budget, name))
        place = max(fitting)
        chosen = self.choices[place]
        return Plan(
            name=name,
            budget_bytes=budget,
            predicted_bytes=self._predicted(place),
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
            unknown=tuple(self._unknown()),
        )

    def _flops(self, choice: Choice) -> float:
        """Of the plain gradient, and of what is run again."""
        plain = amount_of(self._try(len(self.choices) - 1).traced.jaxpr).flops.high
        return plain + choice.extra * self._once if choice.extra else plain

    def rows(self, chosen: Choice) -> tuple[Row, ...]:
        """All choices, from the least bytes to the least time; traces them."""
        return tuple(
            [
                Row(
                    self._predicted(place),
                    self._try(place).measured,
                    choice.forward_steps,
                    1 + choice.extra,
                    choice is chosen,
                )
                for place, choice in enumerate(self.choices)
            ]
        )

    def _seek(self, budget: int) -> None:
        """Compiles choices until the fastest that fits is found, by bisection: fewer
        bytes are expected of a slower one, and what the model says is corrected by what
        was measured on both sides. Where that fails, what may fit is tried one by one.
        """
        fits = self._bisected(len(self.choices), budget)
        if fits < 0:
            self._deepen()
            self._seek_least(budget)

    def _bisected(self, beyond: int, budget: int) -> int:
        """The fastest before `beyond` that fits; -1: none is found to."""
        fits, probe = -1, beyond - 1
        while fits + 1 < beyond:
            if self._measured(probe) <= budget:
                fits = probe
            else:
                beyond = probe
            probe = self._next(fits, beyond, budget)
        return fits

    def _next(self, fits: int, beyond: int, budget: int) -> int:
        """The fastest between these that should fit, but no more than half of them are
        left to be tried after it."""
        quarter = (beyond - fits - 1) // 4
        first, last = fits + 1 + quarter, beyond - 1 - quarter
        between = range(last, first, -1)
        return next((p for p in between if self._predicted(p) <= budget), first)

    def _seek_least(self, budget: int) -> None:
        """Compiles the fastest that is expected to fit; then, the likeliest first, what
        may, or may take less than all that were, if the model is a little further off
        than it was at most; until one fits."""
        for _ in range(_MOST_DOUBTFUL):
            untried = [
                p for p, it in enumerate(self._tried) if not it or it.measured is None
            ]
            hopeful = [p for p in untried if self._predicted(p) <= budget]
            known = [
                (it.measured, it.predicted)
                for it in self._tried
                if it and it.measured is not None
            ]
            least = min(measured for measured, _ in known)
            off = _DOUBT * min(measured / max(size, 1) for measured, size in known)
            sizes = {p: off * self._try(p).predicted for p in untried}
            likeliest = [p for p in untried if sizes[p] < least]
            likeliest.sort(key=lambda p: sizes[p], reverse=True)
            tries = hopeful or likeliest
            if not tries:
                return
            place = tries[-1]
            if self._measured(place) <= budget:
                return

    def _try(self, place: int) -> "_Try":
        found = self._tried[place]
        if found is None:
            found = self._tried[place] = self._tried_anew(self.choices[place])
        return found

    def _tried_anew(self, choice: Choice) -> "_Try":
        ways = [way for _, way, _ in taped(choice.tree)]
        by_blocks = any(way.loop_bytes is not None for way in ways)
        return _Try(self._traced(choice), by_blocks)

    def _predicted(self, place: int) -> int:
        """By the model, corrected by what it was off for the nearest choice that was
        compiled before; a loop by blocks is another program than a whole one."""
        it = self._try(place)
        if it.foreseen is not None:
            return it.foreseen
        known = [
            (abs(place - p), other.measured / max(other.predicted, 1))
            for p, other in enumerate(self._tried)
            if other and other.measured and other.by_blocks == it.by_blocks
        ]
        return round(it.predicted * (min(known)[1] if known else 1.0))

    def _measured(self, place: int) -> int:
        it = self._try(place)
        if it.measured is None:
            it.foreseen = self._predicted(place)
            it.measured = it.compiled_bytes()
        return it.measured

    def consts_of(self, program) -> tuple:
        """The arrays that a program of these plans, traced anew, brings along."""
        return chain_of(program, self.moving).consts

    def ones(self) -> list:
        """Cotangents of all outputs."""
        avals = [ir.tangent_aval(v.aval) for v in self.chain.jaxpr.outvars]
        return [
            ir.one(a) if a.dtype != jax.dtypes.float0 else ir.zeros(a) for a in avals
        ]

    def programs(self, chosen: Choice) -> tuple:
        """The plain gradient and the planned one, traced: functions of constants,
        inputs and cotangents."""
        plain, planned = self.choices[-1], chosen
        return tuple(
            [self._try(self.choices.index(it)).traced for it in (plain, planned)]
        )

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

    def _unknown(self) -> Iterator[str]:
        """Lines of loops of unknown length that carry cotangents."""
        for eqn in self.chain.jaxpr.eqns:
            if eqn.primitive.name == "while" and any(self.chain.moves(eqn.outvars)):
                yield ir.line_of(eqn.source_info)

    def _refusal(self, budget: int, name: str) -> str:
        least = min(it.measured for it in self._tried if it and it.measured is not None)
        kept = sum(map(ir.nbytes, self._outputs()))
        return (
            f"the gradient of `{name}` cannot be had within {budget} bytes: the "
            f"least that a schedule takes here is {least} bytes ({size(least)}), of "
            f"which {size(kept)} are the outputs and gradients themselves. Give a "
            "larger budget, or differentiate by fewer arguments (`argnums`)."
        )


def _lighter(segment: Segment, run: float, pull: float) -> Segment:
    """A segment that takes such shares of its room while it is run and pulled back."""
    ways = [w._replace(pull_bytes=int(pull * w.pull_bytes)) for w in segment.ways]
    run_bytes = int(run * segment.run_bytes)
    return segment._replace(run_bytes=run_bytes, ways=tuple(ways))


class _Try:
    """A choice traced, and what it takes: by the model, as foreseen before it was
    compiled, and compiled."""

    def __init__(self, traced, by_blocks: bool):
        self.traced, self.by_blocks = traced, by_blocks
        self.predicted = live_bytes(traced.jaxpr)
        self.foreseen: int | None = None
        self.measured: int | None = None

    def within(self, budget: int) -> bool:
        """Whether it was compiled, and fits."""
        return self.measured is not None and self.measured <= budget

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
