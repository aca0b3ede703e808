"""`jaxbp.tape`: what does reverse mode keep, why, and until when?"""

import inspect
from collections.abc import Callable, Sequence

import jax

from .. import ir, tree
from ..timing import Memory, memory
from ..transforms.products import vjp
from .flat import CONTROL, Flat, Step, Value
from .linearized import Linearized
from .memory import distinct, maker, residual
from .reasons import Reader, readers
from .subject import PricedFunction
from .tape_report import TapeReport, TapeRow
from .timeline import Kept, timeline
from .traffic import root, views_of
from .work import work

_HELD = {"constant": "constant", "literal": "constant"}


def tape(
    f: Callable,
    *args,
    argnums: int | Sequence[int] | None = 0,
    has_aux: bool = False,
    measure: bool = False,
) -> TapeReport:
    """What does reverse mode of `f` keep, why, and until when? Nothing is run.

    The options around (`with jaxbp.options(...)`) hold, so that what they change is
    seen by `.diff`.

    Args:
      f: a function of arrays or pytrees of them, to arrays or pytrees.
      *args: pytrees of arrays, or of types (`jax.ShapeDtypeStruct`). Python numbers
        outside `argnums` keep their values.
      argnums: which positional arguments to differentiate, as in `jax.grad`; None:
        all of them.
      has_aux: `f` returns (output, aux); what only aux needs is not counted.
      measure: compile value and pullback, too, and tell how many bytes of
        temporaries and outputs XLA plans.

    Returns:
      TapeReport: a row per array kept, whose bytes sum to the tape that `jaxbp.cost`
      counts; live bytes over the backward pass; `.diff(other)`, `.picture()`. `print`
      shows it.

    Raises:
      InvalidArgument: `f` needs values, nothing to differentiate, wrong `argnums`.
      JaxbpError: a derivative cannot be had.

    Cost: f is traced twice; with `measure` it is compiled once.
    """
    subject = PricedFunction(f, args, argnums, has_aux)
    with subject.by_types("a tape"):
        out = subject.output_types()
        linear = subject.linearized()
    found = _Tape(linear, _argument_names(f, args, subject))
    return TapeReport(
        name=subject.name,
        rows=sorted(found.rows(), key=lambda row: -row.tape_bytes),
        steps=timeline(linear.program.structure, found.arrays()),
        compiled=_measured(subject, out) if measure else None,
    )


class _Tape:
    """The arrays of a tape, each once, and what is known of each."""

    def __init__(self, linear: Linearized, names: Sequence[str]):
        flat, structure = linear.flat, linear.program.structure
        self.first = len(flat.outs) - len(linear.program.tape)
        kept = flat.outs[self.first :]
        self.flat, self.distinct = flat, distinct(flat, kept)
        self.names = dict(zip(flat.ins, names, strict=True))
        self.readers = readers(structure, len(kept))
        self.makers: dict[Value, Step] = dict(_makers(flat))
        views = views_of(flat.steps)
        self.outputs = {root(value, views) for value in flat.outs[: self.first]}

    def rows(self) -> list[TapeRow]:
        return [self._row(value, at) for value, at in self.distinct.items()]

    def arrays(self) -> list[Kept]:
        return [
            Kept(value.aval, tuple(at), bool(self._held(value)))
            for value, at in self.distinct.items()
        ]

    def _held(self, value: Value) -> str:
        if value in self.names:
            return "argument"
        if value in self.outputs:
            return "output"
        return _HELD.get(value.origin, "")

    def _row(self, value: Value, at: Sequence[int]) -> TapeRow:
        told = residual(value)
        uses = list(dict.fromkeys(use for place in at for use in self.readers[place]))
        flops, transcendentals = self._again(value)
        return TapeRow(
            tape_bytes=told.tape_bytes,
            times=self._times(value),
            type=told.type,
            origin=_origin(value),
            name=self.names.get(value, ""),
            line=_line(value, uses),
            held=self._held(value),
            readers=tuple(uses),
            recompute_flops=flops,
            recompute_transcendentals=transcendentals,
        )

    def _times(self, value: Value) -> int:
        """How many steps of scans, all in all, it has an entry for."""
        times = 1
        while (step := self.makers.get(value)) is not None:
            if step.name == "scan":
                _, carried = ir.scan_counts(step.params)
                if step.outs.index(value) >= carried:
                    times *= step.params["length"]
            if value.inside is None:
                break
            value = value.inside
        return times

    def _again(self, value: Value) -> tuple[float, float] | tuple[None, None]:
        """Flops and transcendental functions of the equation that makes it."""
        step = self.makers.get(maker(value))
        if step is None or step.name in CONTROL:
            return None, None
        flops, transcendentals, _ = work(step)
        times = self._times(value)
        return float(times * flops), float(times * transcendentals)


def _makers(flat: Flat):
    """(value, the step that makes it), those of loops and branches with them."""
    for step in flat.steps:
        yield from ((out, step) for out in step.outs)
        for inner in step.inner:
            yield from _makers(inner)


def _origin(value: Value) -> str:
    """The primitive that makes it; of what branches share, one of each."""
    names = [maker(each).origin for each in value.either or (value,)]
    if value.inside is not None and not value.either:
        names = [_origin(value.inside)] if value.inside.equation else names
    return " or ".join(dict.fromkeys(names))


def _line(value: Value, uses: Sequence[Reader]) -> str:
    """The user's line that computes it; of what is not computed, or only handed on by
    a loop, the first that reads it."""
    made = maker(value)
    own = ""
    if made.equation is not None:
        own = ir.call_line_of(made.equation.source_info)
    read = next((use.line for use in uses if use.line), "")
    handed = made.origin in CONTROL
    return (read or own) if handed else (own or read)


def _argument_names(f: Callable, args, subject: PricedFunction) -> list[str]:
    """Names of the open leaves of the arguments, as one writes them."""
    try:
        given = inspect.signature(f).bind(*args).arguments
        named = dict(given)
    except (TypeError, ValueError):
        named = {}
    flat: list[str] = []
    names = list(named) if len(named) == len(args) else []
    for place, arg in enumerate(args):
        name = names[place] if names else f"args[{place}]"
        flat += [leaf_name for leaf_name, _ in tree.named_leaves(name, arg)]
    return [name for name, on in zip(flat, subject.open, strict=True) if on]


def _measured(subject: PricedFunction, out) -> Memory | None:
    """XLA's plan of value and pullback; None where it does not tell."""

    def both(cotangents, *given):
        function, chosen = subject.moving(given)
        value, pullback = vjp(function, *chosen)[:2]
        return value, pullback(cotangents)

    types = jax.tree.map(lambda t: ir.struct(ir.tangent_aval(t)), out)
    return memory(jax.jit(both).lower(types, *subject.types).compile())
