"""What a function and its derivatives cost, as data."""

from collections.abc import Iterator
from dataclasses import dataclass

from .amount import QUANTITIES, Amount
from .memory import Tape


@dataclass(frozen=True)
class CostReport:
    """Counted costs of a function and its derivatives at arguments of some types.

    An `Amount` holds flops, transcendentals, read_bytes and written_bytes, each a range.
    None where a derivative cannot be had; `remarks` says why.

    Compared with `jax.jit(f).lower(...).compile().cost_analysis()` on a CPU: flops of
    dense networks and convolutions agree within 2 %, but
    - XLA counts the body of a loop once, here it counts once a step;
    - of branches XLA counts the dearest, here a range is told;
    - XLA counts arithmetic on integers, conversions and sums of no term; and writes
      sqrt-, log- and erf-like functions of its own out (erfc takes 60 flops), which
      count here as one transcendental function;
    - XLA computes cumulative sums by windows of quadratic work on a CPU, multiplies the
      stages of a Fourier transform over several axes, takes log2 of all elements for a
      sort along one axis, and leaves factorizations by libraries uncounted.
    XLA also shares work that a program repeats (a slope of two maps); here it counts
    each time it stands in the traced program.

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
        """ "forward" or "reverse", by flops of the whole Jacobian; None if unknown."""
        forward, reverse = self.jacobian_forward, self.jacobian_reverse
        if forward is None or reverse is None:
            return "forward" if forward else "reverse" if reverse else None
        if forward.flops.high < reverse.flops.low:
            return "forward"
        return "reverse" if reverse.flops.high < forward.flops.low else None

    def amounts(self) -> Iterator[tuple[str, Amount | None]]:
        """(name, amount) of everything counted, in the table's order."""
        names = ("f", "linearize", "pushforward", "pullback", "jvp", "vjp")
        for name in (*names, "jacobian_forward", "jacobian_reverse"):
            yield name, getattr(self, name)

    def rows(self) -> list[dict[str, object]]:
        """One row per amount; columns `<quantity>_min` and `<quantity>_max`."""
        return [
            {"what": name} | _columns(amount)
            for name, amount in self.amounts()
            if amount is not None
        ]

    def __str__(self) -> str:
        from .render import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from .render import as_html

        return as_html(self)

    def __rich__(self):
        from .render import as_rich

        return as_rich(self)


def _columns(amount: Amount) -> dict[str, float]:
    found = {}
    for name in QUANTITIES:
        quantity = getattr(amount, name)
        found[f"{name}_min"], found[f"{name}_max"] = quantity.low, quantity.high
    return found
