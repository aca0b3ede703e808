"""What a function and its derivatives cost, as data."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..display import Page, Shown
from .amount import QUANTITIES, Amount
from .memory import Tape

LABELS = {  # what each amount is called in the table
    "f": "f",
    "linearize": "f, writing the tape",
    "pushforward": "pushforward, tape given",
    "pullback": "pullback, tape given",
    "jvp": "f and pushforward",
    "vjp": "f and pullback",
    "jacobian_forward": "Jacobian by pushforwards (n)",
    "jacobian_reverse": "Jacobian by pullbacks (m)",
}


class CostRow(NamedTuple):
    """One amount of a report: what was counted, by its attribute's name, and what it
    comes to; None where it cannot be had."""

    what: str
    amount: Amount | None


@dataclass(frozen=True, repr=False)
class CostReport(Shown):
    """Counted costs of a function and its derivatives at arguments of some types.

    An `Amount` holds flops, transcendentals, read_bytes and written_bytes, each a
    range. None where a derivative cannot be had; `remarks` says why.

    Beside `jax.jit(f).lower(...).compile().cost_analysis()` on a CPU, flops of dense
    networks and attention agree within 2 %, of f and of the pullback, and those of a
    convolution exactly. Where the two differ:
    - XLA counts the body of a loop once; here it counts once a step, as XLA counts the
      same loop unrolled.
    - Of branches XLA counts the dearest; here it is a range.
    - XLA also counts integers, conversions of dtype, and what its own expansions do:
      erfc takes 60 flops there, the gradient of max pooling 34 a window, cumulative
      sums quadratic work. Here these are one transcendental function, one comparison
      or sum an element of a window, and one sum an element.
    - XLA computes a value again in each fusion that needs it and shares what a program
      repeats; here each equation of the traced program counts once.
    - Inside `shard_map` one device is counted, with its part of the arrays. Where
      arguments lie on a mesh otherwise, all devices' work together is counted, and of
      collectives the bytes that one device sends (`collective_bytes`): those that
      follow from where the arguments lie, by the rules of `jaxbp.costs.partition`. The
      compiler may find others; `jaxbp.costs.compiled_collectives` reads its program.
    - XLA multiplies the stages of a Fourier transform over several axes, which add; for
      a sort it takes the logarithm of all elements, not of a row's; factorizations by
      libraries it does not count.

    Attributes:
      name: of the function.
      inputs, outputs: n and m, numbers of elements of the Jacobian's sides.
      f: the function alone.
      linearize: the function with its tape written.
      pushforward, pullback: one of each at a fixed point, the tape given.
      jvp: value and one pushforward in one sweep, without a tape.
      jacobian_forward: n pushforwards batched, as `jacfwd` does.
      jacobian_reverse: one evaluation and m pullbacks batched, as `jacrev` does.
      tape: the residuals.
      remarks: what could not be counted, and why.
    """

    name: str
    inputs: int
    outputs: int
    f: Amount
    linearize: Amount | None
    pushforward: Amount | None
    pullback: Amount | None
    jvp: Amount | None
    jacobian_forward: Amount | None
    jacobian_reverse: Amount | None
    tape: Tape | None
    remarks: tuple[str, ...] = ()

    @property
    def vjp(self) -> Amount | None:
        """Value and one pullback: of a scalar function, value and gradient."""
        if self.linearize is None or self.pullback is None:
            return None
        return self.linearize + self.pullback

    @property
    def cheaper_mode(self) -> str | None:
        """ "forward" or "reverse", by flops of the whole Jacobian; None if unknown.

        "forward" where f has no pullback.
        """
        forward, reverse = self.jacobian_forward, self.jacobian_reverse
        if forward is None or reverse is None:
            return "forward" if forward and self.pullback is None else None
        if forward.flops.high < reverse.flops.low:
            return "forward"
        return "reverse" if reverse.flops.high < forward.flops.low else None

    @property
    def rows(self) -> list[CostRow]:
        """Everything counted, in the table's order."""
        names = ("f", "linearize", "pushforward", "pullback", "jvp", "vjp")
        names += ("jacobian_forward", "jacobian_reverse")
        return [CostRow(name, getattr(self, name)) for name in names]

    def as_dicts(self) -> list[dict[str, Any]]:
        """One dict per line of the table: `what` as it is called there, `name` of the
        attribute, n and m, tape bytes; `<quantity>_min` and `<quantity>_max`, None for
        what cannot be had or was not asked (times without roofs); `remarks`, among
        them why something cannot be had."""
        asked = self.asked
        tape = self.tape
        whole = {
            "tape_bytes": tape.total_bytes if tape else None,
            "tape_computed_bytes": tape.computed_bytes if tape else None,
            "remarks": " ".join(self.remarks),
        }
        return [
            {"what": LABELS[name], "name": name, "n": self.inputs, "m": self.outputs}
            | _columns(amount, asked)
            | whole
            for name, amount in self.rows
        ]

    @property
    def asked(self) -> set[str]:
        """What was counted: times where there were roofs, collectives where there are
        several devices."""
        rows = [amount for _, amount in self.rows if amount is not None]
        found = {"time_s"} if self.f.time_s.high > 0 else set()
        moved = any(amount.collective_bytes.high for amount in rows)
        return found | ({"collective_bytes"} if moved else set())

    def page(self) -> Page:
        """Headline, table, tape, remarks."""
        from .render import page

        return page(self)


def _columns(amount: Amount | None, asked: set[str]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name in QUANTITIES:
        if name == "collective_bytes" and name not in asked:
            continue
        known = amount is not None and (name in asked or name != "time_s")
        found[f"{name}_min"] = getattr(amount, name).low if known else None
        found[f"{name}_max"] = getattr(amount, name).high if known else None
    return found
