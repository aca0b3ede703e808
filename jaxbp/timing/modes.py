"""How long do my function and its derivatives take, ours beside JAX's?

Right first, timed second: what differs from JAX's result gets no time. All contenders
are sampled in turn; those whose quartiles lie far apart are measured once more, and
marked if they still do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from jaxbp import tree
from jaxbp.display import Column, Line, Page, Shown, Table, Words
from jaxbp.errors import InvalidArgument, JaxbpError
from jaxbp.timing.clock import ROUNDS, UNSTABLE, Timing, paired, seconds, time_calls
from jaxbp.timing.compilation import Stages, stages
from jaxbp.timing.contenders import (
    OURS,
    THEIRS,
    Contender,
    Subject,
    load_engines,
)

MARK = "~"  # stands behind a time that is not to be relied on
PAIRED = "Ratios: medians of paired runs, round by round; not quotients of these times."
REMEDY = (
    "Repeat it when the machine has nothing else to do, or with more samples: more "
    "`rounds` within a greater `budget_s`."
)
REFUSALS = (JaxbpError, NotImplementedError, TypeError, ValueError)


@dataclass(frozen=True)
class TimeRow:
    """One program.

    Attributes:
      what: "f", "gradient" (of a scalar f, with its value), "pushforward" or "pullback"
        (both with the value, along ones).
      by: "jaxbp" or "jax"; "" of f itself.
      trace_s, compile_s: of the first call; lowering counts as compiling. What a
        process loads for its first derivative is left out.
      time_s, time_q25_s, time_q75_s: of a call: median and quartiles.
      over_f: paired ratio to f's time, median.
      beside_jax: of a row of ours, paired ratio to JAX's.
      unstable: whether the quartiles are more than 1.5 apart, measured twice.
      remark: why there is no time.
    """

    what: str
    by: str
    trace_s: float | None = None
    compile_s: float | None = None
    time_s: float | None = None
    time_q25_s: float | None = None
    time_q75_s: float | None = None
    over_f: float | None = None
    beside_jax: float | None = None
    unstable: bool = False
    remark: str = ""


@dataclass(frozen=True, repr=False)
class TimeReport(Shown):
    """Times of a function and its derivatives; prints as a table.

    Attributes:
      name: of the function.
      device: that they were measured on.
      rows: a `TimeRow` per program.
    """

    name: str
    device: str
    rows: tuple[TimeRow, ...]

    def page(self) -> Page:
        """Headline, table, and what its marks mean."""
        headline = Words(f"{self.name}: times on {self.device}", "bold")
        remarks = [
            Words(f"· {row.what} by {row.by}: {row.remark}", "warn")
            for row in self.rows if row.remark
        ]  # fmt: skip
        if any(row.unstable for row in self.rows):
            apart = f"{MARK} quartiles more than {UNSTABLE:g} apart"
            said = "this row proves nothing, nor does a ratio to it"
            remarks.append(Words(f"{apart}, measured twice: {said}."))
            remarks.append(Words(REMEDY))
        if any(row.over_f is not None for row in self.rows):
            remarks.append(Words(PAIRED, "dim"))
        return Page(
            headline,
            Table(COLUMNS, tuple(_line(row, self.rows) for row in self.rows)),
            *remarks,
        )


COLUMNS = (
    Column("", left=True),
    Column("by", left=True),
    Column("time"),
    Column("quartiles", spare=3),
    Column("over f"),
    Column("beside jax"),
    Column("trace", spare=1),
    Column("compile", spare=2),
)


def _line(row: TimeRow, rows: Sequence[TimeRow]) -> Line:
    mark = f" {MARK}" if row.unstable else ""
    time = "" if row.time_s is None else seconds(row.time_s) + mark
    quartiles = ""
    if row.time_q25_s is not None and row.time_q75_s is not None:
        quartiles = f"{seconds(row.time_q25_s)} – {seconds(row.time_q75_s)}"
    base, theirs = (
        next((r for r in rows if (r.what, r.by) == which), row)
        for which in (("f", ""), (row.what, THEIRS))
    )
    pairs = ((row.over_f, base), (row.beside_jax, theirs))
    ratios = (_ratio(found, row.unstable or to.unstable) for found, to in pairs)
    first = ("" if s is None else seconds(s) for s in (row.trace_s, row.compile_s))
    tone = "dim" if row.remark else "bold" if row.what == "f" else ""
    return Line((row.what, row.by, time, quartiles, *ratios, *first), tone)


def _ratio(ratio: float | None, doubtful: bool) -> str:
    """A ratio; marked where either of the two times is not to be relied on."""
    return "" if ratio is None else f"{ratio:.2f}" + f" {MARK}" * doubtful


def table(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | Sequence[int] | None = 0,
    has_aux: bool = False,
    rounds: int = ROUNDS,
    budget_s: float = 5.0,
) -> TimeReport:
    """Time `f` and its derivatives at `args`, compiled, ours beside JAX's.

    Args:
      f: a function of arrays or pytrees of them.
      *args: as for a call; sizes and flags of Python stay what they are.
      argnums: which positional arguments to differentiate; None for all.
      has_aux: `f` returns (output, aux); aux is left out.
      rounds: samples of each program.
      budget_s: of sampling them all, above 0; three rounds in any case.

    Returns:
      TimeReport: `print` shows the table, `.rows` holds the numbers.

    Raises:
      InvalidArgument: nothing to differentiate by, wrong `argnums`, too few `rounds`,
        no budget, `f` needs the values of its arguments.

    Cost: seven compilations, and `rounds` samples of each program.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxbp import timing
      >>> report = timing.table(lambda x: jnp.sum(jnp.sin(x)), jnp.ones(8), rounds=3)
      >>> [row.what for row in report.rows if row.by != "jax"]
      ['f', 'gradient', 'pushforward', 'pullback']
    """
    if not budget_s > 0:
        raise InvalidArgument(f"`budget_s` must be above 0, but is {budget_s}.")
    subject = Subject(f, args, argnums, has_aux)
    load_engines()
    given = subject.given
    built: dict[Contender, Stages] = {}
    rows: dict[Contender, TimeRow] = {}
    for contender in subject.contenders():
        rows[contender] = TimeRow(contender.what, contender.by)
        try:
            built[contender] = stages(contender.call, *given)
        except REFUSALS as error:
            if contender.what == "f":
                raise
            said = str(error).strip().split("\n")[0]
            rows[contender] = replace(rows[contender], remark=f"refused: {said}")
    _judge(rows, built)
    right = {c: b for c, b in built.items() if not rows[c].remark}
    times, unstable = _timed(right, given, rounds, budget_s)
    done = (_filled(c, row, built, times, unstable) for c, row in rows.items())
    return TimeReport(tree.name_of(f), jax.devices()[0].device_kind, tuple(done))


def _judge(rows: dict, built: dict) -> None:
    """A result of ours that is not JAX's gets a remark, and so no time."""
    for contender in [c for c in built if c.by == OURS]:
        other = _beside(contender, built)
        if other is None:
            continue
        off = _difference(built[contender].output, built[other].output)
        if off:
            rows[contender] = replace(rows[contender], remark=off)


def _beside(contender: Contender, known) -> Contender | None:
    """JAX's program for the same."""
    return next((c for c in known if (c.what, c.by) == (contender.what, THEIRS)), None)


def _difference(found: Any, wanted: Any) -> str:
    """How far two results are apart, where rounding does not explain it."""
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        if not np.issubdtype(np.asarray(y).dtype, np.inexact):
            continue
        x, y = np.asarray(x), np.asarray(y)
        if np.array_equal(x, y, equal_nan=True):
            continue
        off, size = np.abs(x - y).max(initial=0), np.abs(y).max(initial=0)
        allowed = 2 * np.finfo(y.dtype).eps ** (2 / 3) * size
        if not off <= allowed:
            return (
                f"differs from jax's by {off:.1e} of {size:.1e}: not timed. "
                "`jaxbp.check` says which is right."
            )
    return ""


def _timed(
    built: dict[Contender, Stages], given: tuple, rounds: int, budget_s: float
) -> tuple[dict, set]:
    """The samples of every program; those still unstable when measured again."""
    times = _samples(built, given, rounds, budget_s)
    if not any(_is_unstable(timing) for timing in times.values()):
        return times, set()
    # Again with all, so that ratios stay those of neighbours in time; of each program
    # the calmer samples are kept, of all from one and the same measurement.
    again = _samples(built, given, rounds, budget_s)
    count = {id(t): sum(map(_is_unstable, t.values())) for t in (times, again)}
    times = again if count[id(again)] <= count[id(times)] else times
    return times, {c for c, timing in times.items() if _is_unstable(timing)}


def _samples(built, given, rounds, budget_s) -> dict[Contender, Timing]:
    calls = {str(i): (b.compiled, given) for i, b in enumerate(built.values())}
    found = time_calls(calls, rounds=rounds, budget_s=budget_s)
    return dict(zip(built, found.values(), strict=True))


def _is_unstable(timing: Timing) -> bool:
    return timing.quantile_s(0.75) > UNSTABLE * timing.quantile_s(0.25)


def _filled(contender, row, built, times, unstable) -> TimeRow:
    """A row with its numbers, as far as there are any."""
    if contender in built:
        found = built[contender]
        compile_s = found.lower_s + found.compile_s
        row = replace(row, trace_s=found.trace_s, compile_s=compile_s)
    if contender not in times:
        return row
    timing = times[contender]
    base, other = next(iter(times.values())), _beside(contender, times)
    ours = contender.by == OURS and other is not None
    return replace(
        row,
        time_s=timing.median_s,
        time_q25_s=timing.quantile_s(0.25),
        time_q75_s=timing.quantile_s(0.75),
        over_f=paired(timing, base).median,
        beside_jax=paired(timing, times[other]).median if ours else None,
        unstable=contender in unstable,
    )
