"""`jaxbp.growth`: how a cotangent grows or shrinks on its way back.

The gradient is walked back on its values, and the 2-norm of what comes to each equation
is set beside that of what it gives on; in a loop, of what comes to each step. So an
exploding or a vanishing gradient is seen where it explodes or vanishes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .. import ir
from ..display import Column, Line, Page, Shown, Table
from ..errors import InvalidArgument
from ..linear.base import add
from .births import Walk
from .explain import walked_back
from .loops import LOOPS, name_of
from .recording import Equation
from .sweep import norms_back

SHOWN = 12  # rows of the table: those that amplify or damp most


class GrowthRow(NamedTuple):
    """One equation, met on the way back.

    Fields:
      line, primitive: where it stands, and what it is.
      arrives: the 2-norm of the cotangents of its outputs.
      leaves: that of the cotangents that it brings to its operands.
      steps: of a loop, per step in the order in which they run, the 2-norm of the
        cotangent that comes to the step's carries; else empty.
    """

    line: str
    primitive: str
    arrives: float
    leaves: float
    steps: tuple[float, ...] = ()

    @property
    def factor(self) -> float:
        """What leaves over what arrives."""
        return self.leaves / self.arrives if self.arrives else float("nan")


@dataclass(repr=False)
class GrowthReport(Shown):
    """The norms of a gradient's cotangents on their way back.

    Attributes:
      name: of the function.
      rows: of each equation that a cotangent meets, the last one of the function first.
    """

    name: str
    rows: list[GrowthRow] = field(default_factory=list)

    @property
    def largest(self) -> GrowthRow | None:
        """The equation that amplifies most; None where nothing is met."""
        known = [row for row in self.rows if np.isfinite(row.factor)]
        return max(known, key=lambda row: row.factor, default=None)

    def first_step(self, factor: float) -> tuple[GrowthRow, int] | None:
        """The first step of a loop, coming back, to which comes a cotangent more than
        `factor` times that which came to the loop's end, or less than 1 / `factor`.

        Returns:
          Its row, and the step, counted from 0 in the order in which steps run; None if
          there is none.

        Raises:
          InvalidArgument: `factor` is not above 1.
        """
        if not factor > 1:
            raise InvalidArgument(f"`factor` must be above 1, but is {factor!r}.")
        for row in self.rows:
            norms = np.asarray(row.steps)
            if not norms.size or not norms[-1] > 0:
                continue
            ratio = norms / norms[-1]
            far = np.flatnonzero(~((ratio <= factor) & (ratio >= 1 / factor)))
            if far.size:
                return row, int(far[-1])
        return None

    def page(self) -> Page:
        """The equations that amplify or damp most, and each loop's ends."""
        if not self.rows:
            return Page(f"No cotangent is met on the way back through `{self.name}`.")
        columns = (
            Column("operation", left=True),
            Column("arrives"),
            Column("leaves"),
            Column("factor"),
            Column("at", left=True, fold=True, tone="dim"),
        )
        chosen = [row for row in self.rows if row.steps or row.factor != 1]
        size = {id(row): _distance(row) for row in chosen}
        kept = sorted(chosen, key=lambda row: -size[id(row)])[:SHOWN]
        shown = [row for row in self.rows if any(row is k for k in kept)]
        lines = tuple(
            Line((r.primitive, *map(_g, (r.arrives, r.leaves, r.factor)), where))
            for r, where in ((r, ir.brief(r.line)) for r in shown)
        )
        title = f"Cotangents on their way back through {self.name}"
        loops = [_loop_sentence(row) for row in self.rows if row.steps]
        return Page(Table(columns, lines, title), *loops)

    def picture(self):
        """A matplotlib Figure: the norm at each equation, and at each step of loops."""
        from matplotlib.figure import Figure

        loops = [row for row in self.rows if len(row.steps) > 1]
        figure = Figure(figsize=(7, 2.6 * (1 + len(loops))), layout="constrained")
        axes = figure.subplots(1 + len(loops), squeeze=False)[:, 0]
        arrives = [row.arrives for row in self.rows][::-1]
        axes[0].semilogy(range(len(arrives)), _positive(arrives), "o-", markersize=3)
        axes[0].set_xlabel("equation, in the order of the function")
        for axis, row in zip(axes[1:], loops, strict=True):
            axis.semilogy(range(len(row.steps)), _positive(row.steps), "-")
            axis.set_xlabel(f"step of the {row.primitive} at {ir.brief(row.line)}")
        for axis in axes:
            axis.set_ylabel("‖cotangent‖")
        figure.suptitle(f"Cotangents on their way back through {self.name}")
        return figure


def growth(
    f: Callable, *args, argnums: int | Sequence[int] = 0, cotangent=None,
    has_aux: bool = False,
) -> GrowthReport:  # fmt: skip
    """How the cotangents of `f` at `args` grow or shrink on their way back.

    Args:
      f: scalar-valued, unless `cotangent` is given; pytrees in.
      *args: pytrees; functions, sizes and integers inside a model stay as they are.
      argnums: which positional arguments to differentiate by.
      cotangent: what reverse mode starts from, like the output of `f`; 1 if left out.
      has_aux: `f` returns (output, aux).

    Returns:
      GrowthReport: `.rows`, `.largest`, `.first_step(factor)`, `.picture()`; it prints.

    Raises:
      InvalidArgument, DtypeMismatch, StructureMismatch, ShapeMismatch: as of
        `jaxbp.explain_nan`; also where called under a transformation.

    Cost: `f` and each of its edges once, uncompiled; of each loop a run and one of its
    derivative, compiled.
    """
    name, recording, walk = walked_back(f, args, argnums, cotangent, has_aux, "growth")
    rows = []
    for equation in reversed(recording.recorder.equations):
        outs = [walk.env.get(s) if s is not None else None for s in equation.slots]
        if all(bar is None for bar in outs):
            continue
        rows.append(_row(equation, outs, walk))
    return GrowthReport(name, rows)


def _row(equation: Equation, outs: list, walk: Walk) -> GrowthRow:
    brought: dict = {}
    for place in reversed(range(*equation.edges)):
        ins = walk.program.structure.edges[place].ins
        for slot, bar in zip(ins, walk.brought.get(place, ()), strict=False):
            if slot in equation.dots:
                brought[slot] = add(brought.get(slot), bar)
    steps, name = (), equation.name
    if name in LOOPS:
        name = name_of(name, equation.params)
        steps = tuple(map(float, norms_back(equation, outs)))
    return GrowthRow(equation.line, name, _norm(outs), _norm(brought.values()), steps)


def _norm(values) -> float:
    arrays = [np.abs(np.asarray(v)).ravel() for v in values if v is not None]
    if not arrays:
        return 0.0
    whole = np.concatenate([a.astype(float) for a in arrays])
    largest = float(whole.max(initial=0))
    if not np.isfinite(largest) or not largest:
        return largest
    return largest * float(np.linalg.norm(whole / largest))


def _distance(row: GrowthRow) -> float:
    """How far its factor is from 1, in either direction."""
    if row.steps or not row.factor > 0:
        return float("inf")
    return abs(float(np.log(row.factor)))


def _loop_sentence(row: GrowthRow) -> str:
    first, last = row.steps[0], row.steps[-1]
    line = ir.brief(row.line) or "an unknown line"
    return (
        f"In the {row.primitive} at {line} the carry's "
        f"cotangent has the norm {_g(last)} at the last of {len(row.steps):,} steps "
        f"and {_g(first)} at the first."
    )


def _positive(norms):
    """Zeros left out: a logarithm has no place for them."""
    return [n if n > 0 and np.isfinite(n) else np.nan for n in norms]


def _g(value: float) -> str:
    return f"{value:.3g}"
