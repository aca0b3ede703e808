"""`jaxbp.check_rules`: which rule of a user's is wrong, where, and in what way."""

import numbers
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from .. import ir, tree
from ..display import Column, Line, Page, Shown, Table, Words
from ..errors import InvalidArgument
from ..transforms import arguments
from .calls import RuleCall, rule_calls
from .held import without_held
from .judging import fault_of

CALLS_OF_ONE = 8  # at one line: first and last of more, and some between
AGREE, DIFFER, UNSURE, EXPECTED = "agree", "differ", "cannot tell", "meant to differ"


@dataclass(frozen=True)
class RuleRow:
    """One function with a rule of its own, at one line.

    Attributes:
      name, kind, line: of the function: "custom_vjp", "custom_jvp" or "primitive".
      calls: how many calls were looked at.
      verdict: "agree", "differ", "cannot tell", "meant to differ".
      what: "value", "not linear", "derivative", "refused"; "" if it agrees.
      argument, index: the operand and its element at which it differs.
      says, right: what the rule gives there, and what is right.
      pattern: of the error, in words.
      along: the cotangent that both were pulled back along, in words; "" of a scalar.
      steps: (kind, step, length) of the loops around the call that differs.
    """

    name: str
    kind: str
    line: str
    calls: int
    verdict: str
    what: str = ""
    argument: int | None = None
    index: tuple[int, ...] | None = None
    says: float | complex | None = None
    right: float | complex | None = None
    pattern: str = ""
    steps: tuple[tuple[str, int, int], ...] = ()
    along: str = ""


@dataclass(repr=False)
class RuleReport(Shown):
    """Which rules agree with the functions they are of; true if all do.

    Attributes:
      name: of the function that was run.
      rows: one for each function with a rule, per line that calls it.
    """

    row_type = RuleRow
    name: str
    rows: list[RuleRow]

    def __bool__(self) -> bool:
        return self.verdict == AGREE

    @property
    def verdict(self) -> str:
        """ "agree", "differ" or "cannot tell"."""
        if self.failures:
            return DIFFER
        return UNSURE if any(row.verdict == UNSURE for row in self.rows) else AGREE

    @property
    def failures(self) -> list[RuleRow]:
        """The rows that differ."""
        return [row for row in self.rows if row.verdict == DIFFER]

    def page(self) -> Page:
        """The table, and a sentence for each rule that does not agree."""
        if not self.rows:
            return Page(f"`{self.name}` calls no function with a rule of its own.")
        columns = (
            Column("rule", left=True, fold=True),
            Column("kind", left=True, spare=2),
            Column("called at", left=True, fold=True, tone="dim"),
            Column("calls", spare=1),
            Column("verdict", left=True),
        )
        tones = {AGREE: "good", DIFFER: "bad", UNSURE: "warn", EXPECTED: "dim"}
        lines = tuple(
            Line(
                (
                    r.name,
                    r.kind,
                    ir.brief(r.line),
                    str(r.calls),
                    Words(r.verdict, tones[r.verdict]),
                )
            )
            for r in self.rows
        )
        told = [Words(_sentence(r), tones[r.verdict]) for r in self.rows if r.what]
        return Page(Table(columns, lines, f"Rules in {self.name}"), *told)


def check_rules(
    f: Callable, *args, expected: Sequence[str] = (), seed: int = 0
) -> RuleReport:
    """Whether the derivative rules that `f` calls belong to their functions.

    Every `jax.custom_vjp`, `jax.custom_jvp` and primitive registered here is looked at
    at the values it really sees, within jit, branches and checkpoints too; of a loop at
    the first step, the last, one at random, and that with the largest number. The rule
    must give its function's value, be linear, and have the Jacobian of the function's
    own body; differences decide where that has none or is inexact.

    Args:
      f: pytrees to pytrees; it runs on its values.
      *args: pytrees; functions and sizes inside a model stay as they are.
      expected: names of functions whose rules are meant to differ (straight-through,
        clipping, reversal); they are listed, and no failure.
      seed: of the cotangents and of the step at random.

    Returns:
      RuleReport: true if all agree; it prints.

    Raises:
      InvalidArgument: called under a transformation; a name in `expected` that no
        function looked at has.

    Cost: `f` once, uncompiled; of each call the Jacobian of rule and body up to 4,096
    entries, else 16 pullbacks of each.
    """
    arguments.check_callable(f)
    if not isinstance(seed, numbers.Integral) or seed < 0:
        raise InvalidArgument(f"`seed` must be a whole number from 0, but is {seed!r}.")
    if isinstance(expected, str):
        expected = (expected,)
    if not isinstance(expected, Iterable):
        raise InvalidArgument(
            f"`expected` must be names of functions with rules, but is {expected!r}."
        )
    expected = tuple(expected)
    f, args = without_held(f, args)
    leaves, structure = jax.tree.flatten(args)
    name = tree.name_of(f)
    if any(map(ir.is_tracer, leaves)):
        raise InvalidArgument(
            f"rules are checked on values, but `{name}` was given arguments under "
            "transformation by JAX. Call `check_rules` outside jit, vmap and grad."
        )
    arguments.check_arrays("args", args, name)
    values = [ir.array(leaf) for leaf in leaves]
    calls = rule_calls(lambda *given: f(*structure.unflatten(given)), values, seed)
    known = {call.name for call in calls}
    unknown = [repr(n) for n in expected if n not in known]
    if unknown:
        raise InvalidArgument(
            f"`expected` must name functions with rules that `{name}` calls "
            f"({', '.join(sorted(known)) or 'it calls none'}), but has "
            f"{', '.join(unknown)}."
        )
    groups: dict = {}
    for call in calls:
        groups.setdefault((call.name, call.kind, call.line), []).append(call)
    rng = np.random.default_rng(seed)
    rows = [_row(key, found, expected, rng) for key, found in groups.items()]
    return RuleReport(name, rows)


def _row(key, calls: list[RuleCall], expected, rng) -> RuleRow:
    name, kind, line = key
    looked = _spread(calls)
    unsure = None
    for call in looked:
        fault = fault_of(call, rng)
        if fault is None:
            continue
        verdict = EXPECTED if name in expected else DIFFER if fault.sure else UNSURE
        row = RuleRow(
            name, kind, line, len(looked), verdict, fault.what, fault.argument,
            fault.index, fault.says, fault.right, fault.said, call.steps,
            fault.along,
        )  # fmt: skip
        if verdict != UNSURE:
            return row
        unsure = row
    return unsure or RuleRow(name, kind, line, len(looked), AGREE)


def _spread(calls: list[RuleCall]) -> list[RuleCall]:
    """Some of many calls, from the first to the last."""
    if len(calls) <= CALLS_OF_ONE:
        return calls
    places = np.linspace(0, len(calls) - 1, CALLS_OF_ONE).round().astype(int)
    return [calls[place] for place in places]


def _sentence(row: RuleRow) -> str:
    where = f" at {ir.brief(row.line)}" if row.line else ""
    said = f"`{row.name}`{where}: "
    if row.verdict == UNSURE:
        return said + row.pattern
    if row.what == "refused":
        return said + f"its rule raises {row.pattern}"
    if row.verdict == EXPECTED:
        said += "as expected, "
    what = {
        "value": "the rule's forward part does not give the function's value",
        "not linear": "the backward rule is not linear",
        "derivative": "the rule is not the derivative of the function",
    }[row.what]
    said += what
    if row.argument is not None:
        said += f", for argument {row.argument}"
    if row.index:
        said += f" at {list(row.index)}"
    for kind, step, length in row.steps:
        said += f", at step {step} of {length} of a {kind} (from 0)"
    if row.says is not None and row.right is not None:
        said += f", along {row.along}" * bool(row.along)
        said += f": it gives {row.says:.6g}, and right is {row.right:.6g}"
    return f"{said}. {row.pattern}".rstrip()
