"""How many bytes does a program read from memory and write to it?

A model of what compilers fuse: a value that elementwise work or cheap movement makes,
and that only elementwise work, cheap movement or reductions read, lives in registers.
The steps it joins are one pass over memory: each array they read is read once, each
they leave is written once. Reshaped and transposed arrays are views. Products,
convolutions, gathers, sorts and factorizations are passes of their own. Caches are not
modelled: two passes read an array twice.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .. import ir
from ..rules import kind_of
from .flat import CONTROL, Flat, Step, Value
from .work import ELEMENTWISE, REDUCING, SCATTERING, TRANSCENDENTAL

VIEWS = frozenset(
    "bitcast_convert_type copy_p name optimization_barrier reshape "
    "sharding_constraint squeeze stop_gradient transpose".split()
)
SELECTING = frozenset("dynamic_slice gather slice split unstack".split())
UPDATING = {  # in place: the operand that holds the new elements
    "dynamic_update_slice": 1,
    **dict.fromkeys(["scatter", *SCATTERING], 2),
}
# Beside what is elementwise or repeats: cheap movement, and what its rule's kind alone
# does not tell.
FUSED = frozenset(
    [*ELEMENTWISE, *TRANSCENDENTAL]
    + "complex concatenate convert_element_type copy dynamic_slice imag iota pad "
    "polynomial real rev slice split stack unstack".split()
)
ENDING = frozenset([*REDUCING, "reduce_sum"])  # reads what is fused before it


def fuses(step: Step) -> bool:
    """Whether the outputs of a step may live in registers."""
    kind = kind_of(step.equation.primitive)
    return kind in ("elementwise", "repeats") or step.name in FUSED


class Pass(NamedTuple):
    """Steps that are one pass over memory, and what it moves."""

    steps: list[Step]
    read_bytes: int
    written_bytes: int


def root(value: Value, views: dict[Value, Value]) -> Value:
    """The array that a value is a view of, or itself."""
    while value in views:
        value = views[value]
    return value


def views_of(steps: Sequence[Step]) -> dict[Value, Value]:
    """Per value that is a view: the value it is made from."""
    return {
        out: operand
        for step in steps
        if step.name in VIEWS
        for operand, out in zip(step.ins, step.outs, strict=False)
    }


def transposed_bytes(flat: Flat) -> list[int]:
    """Bytes of each output that is a transposed array or a part of one: it is written
    out of order, which takes about as long as another pass over it."""
    made = {out: step for step in flat.steps for out in step.outs}

    def transposed(value):
        while (step := made.get(value)) and step.name in (*VIEWS, "split"):
            if step.name == "transpose" and _reorders(step):
                return True
            value = step.ins[0]
        return False

    return [ir.nbytes(out.aval) for out in flat.outs if transposed(out)]


def _reorders(step: Step) -> bool:
    """Does a transpose move elements, not only axes of one entry?"""
    shape = step.ins[0].aval.shape
    axes = [axis for axis in step.params["permutation"] if shape[axis] > 1]
    return axes != sorted(axes)


def passes_of(flat: Flat) -> Iterator[Pass]:
    """The passes over memory of one program, loops and branches left out."""
    views = views_of(flat.steps)
    steps = [step for step in flat.steps if step.name not in VIEWS]
    fused = _fused(flat, steps, views)
    for group in _passes(steps, fused, views):
        written = sum(_written_bytes(step, fused) for step in group)
        yield Pass(group, _read_bytes(group, fused, views), written)


def _fused(flat: Flat, steps: Sequence[Step], views) -> set[Value]:
    """The values that live in registers."""
    found = {out for step in steps if fuses(step) for out in step.outs}
    for step in steps:
        if not fuses(step) and step.name not in ENDING:
            found.difference_update(root(v, views) for v in step.ins)
    found.difference_update(root(v, views) for v in flat.outs)
    return found


def _passes(steps: Sequence[Step], fused: set[Value], views) -> list[list[Step]]:
    """Steps that share a pass over memory: those joined by fused values."""
    leader: dict[Value, Value] = {}

    def find(value):
        while value in leader:
            leader[value] = value = leader.get(leader[value], leader[value])
        return value

    def join(one, other):
        one, other = find(one), find(other)
        if one is not other:
            leader[one] = other

    moving = [step for step in steps if step.name not in CONTROL and step.outs]
    for step in moving:
        for operand in (root(v, views) for v in step.ins):
            if operand in fused:
                join(operand, step.outs[0])
        for out in step.outs[1:]:
            join(out, step.outs[0])
    groups = defaultdict(list)
    for step in moving:
        groups[find(step.outs[0])].append(step)
    return list(groups.values())


def _read_bytes(group: Sequence[Step], fused: set[Value], views) -> int:
    """Each array that a pass reads, once; of one that is sliced, the slices."""
    read: dict[Value, int] = {}
    for step in group:
        for place, operand in enumerate(step.ins):
            source = root(operand, views)
            if source not in fused and source.origin != "literal":
                needed = min(ir.nbytes(source.aval), _needed(step, place, operand))
                read[source] = max(read.get(source, 0), needed)
    return sum(read.values())


def _needed(step: Step, place: int, operand: Value) -> int:
    """Bytes of one operand that a step looks at."""
    if place == 0 and step.name in SELECTING:
        return sum(ir.nbytes(out.aval) for out in step.outs)
    if place == 0 and step.name in UPDATING:  # sums read what they add to
        adds = step.name in SCATTERING
        return ir.nbytes(step.ins[UPDATING[step.name]].aval) if adds else 0
    return ir.nbytes(operand.aval)


def _written_bytes(step: Step, fused: set[Value]) -> int:
    if step.name in UPDATING:
        return ir.nbytes(step.ins[UPDATING[step.name]].aval)
    return sum(ir.nbytes(out.aval) for out in step.outs if out not in fused)
