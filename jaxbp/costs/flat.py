"""A traced program as one list of steps: calls inlined, unneeded work left out.

Compilers inline the programs of `jit`, `checkpoint` and custom derivatives, and drop
what no output needs. Counting does the same first. Only loops and branches keep
programs of their own.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jax.sharding import NamedSharding

from .. import ir

LAID = "sharding_constraint"
NO_AXES: dict[str, int] = {}
CONTROL = ("scan", "while", "cond")
FILLS = ("broadcast_in_dim", "full", "empty")
COMBINING = ("reduce", "scatter", "select_and")  # their programs combine two elements


class Value:
    """One array of a program, known by its type.

    Attributes:
      aval: its type.
      origin: "input", "constant", "literal" or the name of the primitive that makes it.
      equation: that made it, or None.
      inside: of a scan's output, the value of its body that it is or stacks; of a
        branch's, what the first that computes it does; or None.
      either: of a branch's output, what each branch that computes it does.
    """

    __slots__ = ("aval", "either", "equation", "inside", "origin")

    def __init__(self, aval, origin: str, equation=None):
        self.aval, self.origin, self.equation = aval, origin, equation
        self.inside: Value | None = None
        self.either: tuple[Value, ...] = ()


def where(equation) -> str:
    """`file:line (function)` of the code, not JAX's or the lab's, that made it; ""
    where no line is known."""
    return ir.line_of(equation.source_info)


class Step(NamedTuple):
    """One equation.

    Fields:
      inner: the programs of a loop or branch.
      axes: the lengths of the mesh axes over whose shards it is mapped, by name.
      kept: which outputs the inner programs still have; None for all.
    """

    name: str
    params: dict
    ins: tuple[Value, ...]
    outs: tuple[Value, ...]
    inner: tuple["Flat", ...]
    equation: Any
    axes: dict[str, int] = NO_AXES
    kept: tuple[int, ...] | None = None


class Flat(NamedTuple):
    """A program without calls.

    Fields:
      ins, outs: its inputs and outputs.
      steps: in order of evaluation.
      used: per input, whether a step or an output reads it.
    """

    ins: tuple[Value, ...]
    outs: tuple[Value, ...]
    steps: tuple[Step, ...]
    used: tuple[bool, ...]


def flatten(program) -> Flat:
    """A closed program as a `Flat`, reduced to what its outputs need."""
    whole = _flat(program)
    return prune(whole, [True] * len(whole.outs))


def _flat(program, axes=NO_AXES) -> Flat:
    jaxpr, _ = ir.inner(program)
    ins = tuple(Value(v.aval, "input") for v in jaxpr.invars)
    steps: list[Step] = []
    outs = tuple(_inline(program, ins, steps, axes))
    return Flat(ins, outs, tuple(steps), (True,) * len(ins))


def _inline(
    program, operands: Sequence[Value], steps: list[Step], axes: dict[str, int]
) -> list[Value]:
    """Appends the steps of a program called with `operands`; gives its outputs."""
    jaxpr, _ = ir.inner(program)
    env = {v: Value(v.aval, "constant") for v in jaxpr.constvars}
    env.update(zip(jaxpr.invars, operands, strict=True))

    def read(atom):
        literal = isinstance(atom, ir.Literal)
        return Value(atom.aval, "literal") if literal else env[atom]

    for eqn in jaxpr.eqns:
        ins = tuple(map(read, eqn.invars))
        env.update(zip(eqn.outvars, _equation(eqn, ins, steps, axes), strict=True))
    return [read(a) for a in jaxpr.outvars]


def _equation(
    eqn, ins: tuple[Value, ...], steps: list[Step], axes: dict[str, int]
) -> Sequence[Value]:
    """Appends one equation, or the steps of the program that it calls."""
    called = _called(eqn, ins)
    if called is not None:
        if eqn.primitive.name == "shard_map":
            axes = axes | dict(eqn.params["mesh"].shape)
        program, ins = called
        ins = _laid(ins, eqn.params.get("in_shardings", ()), eqn, steps)
        outs = _inline(program, ins, steps, axes)
        return _laid(outs, eqn.params.get("out_shardings", ()), eqn, steps)
    name = eqn.primitive.name
    outs = tuple(Value(v.aval, name, eqn) for v in eqn.outvars)
    inner: tuple[Flat, ...] = ()
    if name in CONTROL:
        inner = tuple(_flat(p, axes) for p in ir.inner_programs(eqn.params))
    for body in inner if name == "scan" else ():
        for out, value in zip(outs, _made_inside(body, eqn.params), strict=True):
            out.inside = value
    if name == "cond":
        for place, out in enumerate(outs):
            out.either = _made_by_branches([branch.outs[place] for branch in inner])
            out.inside = next(iter(out.either), None)
    steps.append(Step(name, eqn.params, ins, outs, inner, eqn, axes))
    return outs


def _laid(values: Sequence[Value], shardings, eqn, steps: list[Step]):
    """Values that a call wants laid out on a mesh, as if by a constraint."""
    laid = list(values)
    for place, sharding in enumerate(shardings):
        if isinstance(sharding, NamedSharding):
            laid[place] = Value(values[place].aval, LAID, eqn)
            params = {"sharding": sharding}
            one = (values[place],), (laid[place],)
            steps.append(Step(LAID, params, *one, (), eqn))
    return tuple(laid)


def _made_by_branches(values: Sequence[Value]) -> tuple[Value, ...]:
    """Those that are computed, and not filled in: a branch that lacks a residual gives
    zeros for it."""
    return tuple(v for v in values if v.equation is not None and v.origin not in FILLS)


def _made_inside(body: Flat, params: dict) -> list[Value]:
    """Per output of a scan the value of its body; a carry is what the step before made
    of it."""
    _, carries, _ = ir.scan_split(body.ins, params)
    new = dict(zip(carries, body.outs, strict=False))
    return [new.get(value, value) for value in body.outs]


def _called(eqn, ins):
    """(program, operands) of an equation that only calls a program; else None."""
    if eqn.primitive.name in CONTROL or eqn.primitive.name.startswith(COMBINING):
        return None
    if eqn.primitive.name == "custom_linear_solve":
        return _solve(eqn.params, ins)
    for program in ir.inner_programs(eqn.params):
        jaxpr, _ = ir.inner(program)
        ends = len(jaxpr.invars), len(jaxpr.outvars)
        if ends == (len(eqn.invars), len(eqn.outvars)):
            return program, ins
    return None


def _solve(params, ins):
    """A linear solve runs only its solver, on its constants and right-hand sides."""
    lengths, program = params["const_lengths"], params["jaxprs"].solve
    first = lengths.matvec + lengths.vecmat
    right = first + lengths.solve + lengths.transpose_solve
    return program, (*ins[first : first + lengths.solve], *ins[right:])


# Dead code ------------------------------------------------------------------


def prune(flat: Flat, needed: Sequence[bool]) -> Flat:
    """`flat` without the steps that only unneeded outputs ask for."""
    pairs = zip(flat.outs, needed, strict=True)
    outs = tuple(value for value, wanted in pairs if wanted)
    live, steps = set(outs), []
    for step in reversed(flat.steps):
        wanted = [out in live for out in step.outs]
        if any(wanted) or step.equation.effects:
            step, reads = _narrowed(step, wanted)
            steps.append(step)
            live.update(v for v, read in zip(step.ins, reads, strict=True) if read)
    used = tuple(value in live for value in flat.ins)
    return Flat(flat.ins, outs, tuple(reversed(steps)), used)


def _narrowed(step: Step, wanted: list[bool]) -> tuple[Step, Sequence[bool]]:
    """A step with its inner programs pruned, and which operands it still reads."""
    if step.name == "scan":
        body, wanted = _scan_body(step, wanted)
        return step._replace(inner=(body,), kept=_places(wanted)), body.used
    if step.name == "cond":
        inner = tuple(prune(branch, _of_kept(step, wanted)) for branch in step.inner)
        used = zip(*(branch.used for branch in inner), strict=True)
        step = step._replace(inner=inner, kept=_places(wanted))
        return step, [True, *map(any, used)]
    inner = tuple(prune(body, [True] * len(body.outs)) for body in step.inner)
    return step._replace(inner=inner), [True] * len(step.ins)


def _places(wanted: Sequence[bool]) -> tuple[int, ...]:
    return tuple(place for place, kept in enumerate(wanted) if kept)


def _of_kept(step: Step, wanted: Sequence[bool]) -> Sequence[bool]:
    """Of the outputs that the inner programs still have, which are wanted."""
    return wanted if step.kept is None else [wanted[place] for place in step.kept]


def _scan_body(step: Step, wanted: list[bool]) -> tuple[Flat, list[bool]]:
    """The body of a scan, with the carries that the next step needs; and which of its
    outputs these are."""
    first, carried = ir.scan_counts(step.params)
    while True:
        body = prune(step.inner[0], _of_kept(step, wanted))
        carries = body.used[first : first + carried]
        grown = [w or c for w, c in zip(wanted, carries, strict=False)]
        grown += wanted[carried:]
        if grown == wanted:
            return body, wanted
        wanted = grown
