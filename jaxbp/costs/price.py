"""`jaxbp.cost`: what do a function and its derivatives cost, before anything runs?"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax

from ..errors import InvalidArgument, JaxbpError
from ..timing import Roofs
from ..transforms.jacobians import jacfwd, jacrev
from .amount import Amount
from .count import Given, flat_amount, traced_amount
from .flat import flatten
from .report import CostReport
from .sharded import moving
from .subject import PricedFunction

UNAVAILABLE = (JaxbpError, NotImplementedError)  # no rule, no such mode, no batching


def cost(
    f: Callable,
    *args,
    argnums: int | Sequence[int] | None = 0,
    has_aux: bool = False,
    while_trips: int | None = None,
    roofs: Roofs | None = None,
) -> CostReport:
    """Count what `f` and its derivatives cost, from its program alone: nothing is run.

    Args:
      f: a function of arrays or pytrees of them, to arrays or pytrees.
      *args: pytrees of arrays, or of types (`jax.ShapeDtypeStruct`), so that a network
        can be priced that fits no memory. Python numbers outside `argnums` keep their
        values.
      argnums: which positional arguments to differentiate, as in `jax.grad`; None:
        all of them.
      has_aux: `f` returns (output, aux); what only aux needs is not counted.
      while_trips: how often the body of each `while` of f runs, if known; without it
        such a loop has no upper bound, and the report names it. What reverse mode makes
        of it has none in any case: how many blocks it runs is found while it does.
      roofs: of a device, as `jaxbp.timing.device_roofs()` measures them; with them the
        report predicts times.

    Returns:
      CostReport: flops, transcendental functions and memory traffic of f, of one
      pushforward and one pullback, of the whole Jacobian in each mode; tape bytes.
      With `roofs`, seconds. `print` shows the table.

    Raises:
      InvalidArgument: `f` needs values, nothing to differentiate, wrong `argnums`.

    Cost: f is traced seven times; nothing is compiled.
    """
    if while_trips is not None and while_trips < 0:
        raise InvalidArgument(f"`while_trips` must be 0 or more, but is {while_trips}.")
    subject = PricedFunction(f, args, argnums, has_aux)
    with subject.by_types("a cost"):
        return _report(subject, Given(while_trips, roofs))


def _report(subject: PricedFunction, given: Given) -> CostReport:
    out = subject.output_types()
    amounts, remarks = _amounts(subject, given)
    tape = amounts.pop("tape")
    return CostReport(
        name=subject.name,
        inputs=subject.inputs,
        outputs=sum(leaf.size for leaf in jax.tree.leaves(out)),
        tape=tape,
        remarks=(*remarks, *_doubts(**amounts)),
        **amounts,
    )


def _amounts(subject: PricedFunction, given: Given) -> tuple[dict[str, Any], list]:
    """Fields of the report, None where a derivative cannot be had; and why not."""
    missing: dict[str, list[str]] = {}  # per reason: what it prevents

    def attempt(what: str, count: Callable, *args):
        try:
            return count(*args)
        except (*UNAVAILABLE, ValueError) as error:  # JAX maps not all that uses refs
            missing.setdefault(str(error).splitlines()[0], []).append(what)

    def traced(f):
        return traced_amount(f, *subject.types, **given._asdict())

    plain = flatten(jax.make_jaxpr(subject.plain)(*subject.types))
    columns, rows = (partial(subject.jacobian, mode) for mode in (jacfwd, jacrev))
    found: dict[str, Any] = {
        "f": flat_amount(plain, given),
        "jvp": attempt("f and pushforward", traced, subject.pushed),
        "jacobian_forward": attempt("Jacobian by pushforwards", traced, columns),
        "jacobian_reverse": attempt("Jacobian by pullbacks", traced, rows),
        **dict.fromkeys(("linearize", "pushforward", "pullback", "tape")),
    }
    linear = attempt("linear program", subject.linearized)
    if linear is not None:
        found["tape"], found["linearize"] = linear.tape(), linear.recorded(given)
        found["pushforward"] = attempt("pushforward", linear.pushed, given)
        found["pullback"] = attempt("pullback", linear.pulled, given)
    between, said = moving(subject, plain, found, linear)
    remarks = [f"no {', no '.join(w)}: {reason}" for reason, w in missing.items()]
    return found | between, [*remarks, *said]


def _doubts(f: Amount, **amounts: Amount | None) -> list[str]:
    """What was not known about the programs counted."""
    whole = sum((a for a in amounts.values() if a is not None), f)
    # Derivatives run a loop again; backwards, in blocks that are not counted.
    which = "the while loop" if f.unknown_loops else "the blocks of the while loop"
    remedy = " Tell it by `while_trips`." if f.unknown_loops else ""
    loops = sorted(f.unknown_loops or whole.unknown_loops)
    places = [f" at {where}" for where in loops if where] or [""] * bool(loops)
    lines = [
        f"the number of trips of {which}{place} is unknown: counted as 0 to "
        f"unbounded.{remedy}"
        for place in places
    ]
    if whole.assumed:
        names = ", ".join(f"`{name}`" for name in sorted(whole.assumed))
        lines.append(f"no entry for {names}: counted as one flop an element.")
    return lines


def counted(f: Callable, *args, argnums: int | Sequence[int] = 0) -> dict[str, float]:
    """The counts that a study puts in a row, of branches the dearest.

    Args:
      f, args, argnums: as in `cost`.

    Returns:
      Columns `f_flops`; `pushforward_flops` and `pullback_flops`, of the linear part
      alone; `tape_bytes`, all residuals each once; `tape_computed_bytes`, those that
      are neither inputs nor constants.

    Raises:
      JaxbpError: a derivative cannot be had.
    """
    subject = PricedFunction(f, args, argnums, has_aux=False)
    linear = subject.linearized()
    return {
        "f_flops": traced_amount(subject.plain, *subject.types).flops.high,
        "pushforward_flops": linear.pushed().flops.high,
        "pullback_flops": linear.pulled().flops.high,
        "tape_bytes": linear.tape().total_bytes,
        "tape_computed_bytes": linear.tape().computed_bytes,
    }
