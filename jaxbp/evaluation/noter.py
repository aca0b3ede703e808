"""A function run once on its values, every equation noted down as it happens.

The derivative is recorded beside it by the engine's own recorder, equation by equation;
loops and branches are one row, or, opened, the rows of what they run.
"""

import functools
from collections.abc import Callable

import jax.numpy as jnp

from .. import ir
from ..checks.eager import NEEDS_VALUES
from ..costs.count import traced_amount
from ..walkers.linearize import Recorder
from ..walkers.live import run_live
from ..walkers.walker import Walker
from .control import OPENED, run_while
from .row import Ref, TraceRow, constant, in_words


class Noter(Walker):
    """A walker whose dots are `Ref`s: every value that depends on an input has one.

    Attributes:
      rows: in order of evaluation.
      recorder: holds the edges of the derivative.
    """

    def __init__(self, depth: int, steps: int):
        self.rows: list[TraceRow] = []
        self.recorder = Recorder()
        self.depth, self.steps = depth, steps
        self.level = self.count = 0
        self.also_read: list = []  # refs that what was opened last has stacked
        self.costs: list[tuple] = []  # (row, its program, types, trips)

    # Rows -------------------------------------------------------------------

    def input(self, name: str, value, moves: bool = True) -> Ref:
        """A row for an argument's leaf; one that does not move has no derivative."""
        floating = moves and ir.differentiable(ir.typeof(value))
        slot = self.recorder.slot(value) if floating else None
        row = self.begin("input", "", "", ())
        return self.end(row, [value], [slot], [name])[0]

    def output(self, name: str, value, ref: Ref | None) -> None:
        """A row for a leaf of what the function returns."""
        row = self.begin("output", "", ref.name if ref else constant(value), (ref,))
        self.end(row, [value], [ref.slot if ref else None], [name])

    def begin(self, kind: str, operation: str, equation: str, reads) -> TraceRow:
        """A new row at the end, its outcome still open."""
        names = tuple(ref.name for ref in reads if ref is not None)
        first = len(self.recorder.edges)
        row = TraceRow(
            kind, operation, equation, operands=names, level=self.level,
            reads=tuple(reads), edges=(first, first), place=len(self.rows),
        )  # fmt: skip
        if kind in ("equation", "opened"):
            row.source = self._source()
        self.rows.append(row)
        return row

    def end(self, row: TraceRow, outs, slots, names=None) -> list[Ref]:
        """What the row gives; new names, unless told, in order of evaluation."""
        if names is None:
            names = [f"v{self.count + i + 1}" for i in range(len(outs))]
            self.count += len(outs)
        row.names, row.primals = tuple(names), tuple(outs)
        row.slots = tuple(slots)
        row.differentiable = tuple(ir.differentiable(ir.typeof(v)) for v in outs)
        row.edges = row.edges[0], len(self.recorder.edges)
        return [Ref(n, s, row.place) for n, s in zip(names, slots, strict=True)]

    def _source(self) -> str:
        known = self.where.source if self.where is not None else ""
        return _short(known or ir.line_of(ir.here()))

    # Equations --------------------------------------------------------------

    def apply(self, primitive, values, dots, params):
        name = primitive.name
        if _is_nothing(name, values, params):  # a weak type made strong: no step
            return ir.evaluate(primitive, values, params), dots
        opened = self.level < self.depth and params.get("length") != 0
        if name in ir.CALLS or (opened and name in ir.CHECKPOINTS):
            return self.run(ir.called(params), values, dots)
        if opened and name in OPENED:
            return self._opened(name, values, dots, params)
        live = "subfuns" in params  # a custom derivative, called from Python
        bound = params if live else ir.call_params(primitive, params)
        operation = _called(bound) or name
        avals = [ir.typeof(value) for value in values]
        options = {} if operation != name else params
        words = in_words(operation, _operands(values, dots), options, avals)
        row = self.begin("equation", operation, words, dots)
        run, trips = functools.partial(_evaluated, primitive, bound), None
        slots = [ref.slot if ref else None for ref in dots]
        if name == "while":
            outs, slots, trips = run_while(self.recorder, values, slots, params)
        elif all(slot is None for slot in slots):
            outs = run(*values)
            slots = [None] * len(outs)
        else:
            self.recorder.where = self.where
            read = slots
            outs, slots = self.recorder.apply(primitive, values, slots, params)
            slots = self._own_slots(outs, slots, read)
        if not any(map(ir.is_ref, (*values, *outs))):  # what moves by refs has no flops
            self.costs.append((row, run, avals, trips))
        return outs, self.end(row, outs, slots)

    def count_flops(self) -> None:
        """Counts what each equation costs, in its own program, when all have run: JAX
        lets a function with a derivative of its own be called once until then."""
        for row, run, avals, trips in self.costs:
            structs = map(ir.struct, avals)
            try:
                row.flops = traced_amount(run, *structs, while_trips=trips).flops
            except NEEDS_VALUES:
                pass  # a custom rule that looks at values

    def _opened(self, name, values, dots, params):
        """A loop or branch as a row, then the rows of what it runs."""
        words = in_words(name, _operands(values, dots), {})
        row = self.begin("opened", name, words, dots)
        self.level += 1
        outs, refs = OPENED[name](self, values, dots, params)
        self.level -= 1
        row.reads = (*refs, *self.also_read)
        self.also_read = []
        slots = [ref.slot if ref else None for ref in refs]
        return outs, self.end(row, outs, self._own_slots(outs, slots, slots))

    def _own_slots(self, outs, slots, shared) -> list:
        """The same slots, those that are shared copied: else what another reader makes
        of a value would count as brought to this row's output."""
        known = {slot for slot in shared if slot is not None}
        taken = [i for i, slot in enumerate(slots) if slot in known]
        if not taken:
            return list(slots)
        refs = [Ref("", slots[i], 0) for i in taken]
        _, copies = self.silently(
            lambda *given: list(map(jnp.copy, given)), [outs[i] for i in taken], refs
        )
        own = dict(zip(taken, copies, strict=True))
        return [own.get(i, slot) for i, slot in enumerate(slots)]

    def silently(self, function: Callable, values, dots) -> tuple[list, list]:
        """Outputs and slots of `function(*values)`, a list: recorded without a row."""
        slots = [ref.slot if ref else None for ref in dots]
        outs, out_slots, _ = run_live(
            self.recorder, lambda *given: (function(*given), []), values, slots
        )
        return outs, out_slots


def _operands(values, dots) -> list[str]:
    pairs = zip(values, dots, strict=True)
    return [ref.name if ref else constant(value) for value, ref in pairs]


def _evaluated(primitive, bound, *values):
    return ir.evaluate(primitive, values, bound)


def _is_nothing(name: str, values, params: dict) -> bool:
    """Whether an equation converts a value to the type that it has."""
    if name != "convert_element_type" or params.get("sharding") is not None:
        return False
    return ir.typeof(values[0]).dtype == params["new_dtype"]


def _called(params: dict) -> str:
    """The name of a function that brings its own derivative, "" of all else."""
    if "subfuns" not in params:
        return ""
    fun = params["subfuns"][0]
    info = getattr(fun, "debug_info", None)
    return getattr(info, "func_name", None) or fun.__name__


def _short(place: str) -> str:
    return place.partition(" (")[0].replace("\\", "/").rpartition("/")[2]
