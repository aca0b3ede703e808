"""Loops in a program whose Jacobian is planned: what their columns had better run
through."""

from ..control.solve import Solve
from ..linear.loop.loop import Loop

KEPT = 1 << 20  # elements that loops may keep for forward mode
LONG = 32  # operations of a loop's step that are many
SEEDS = 1 << 12  # elements of a basis that is a constant where it meets loops


def whole_map(edge):
    """The map of an edge or operator, or the one that it is a part of."""
    return getattr(edge.map, "whole", edge.map)


def loops_of(program) -> list:
    """The edges of a program that are loops."""
    edges = program.structure.edges
    return [edge for edge in edges if "loop" in type(whole_map(edge)).__module__]


def run_again(program, copies: int) -> bool:
    """Whether columns had better run through its loops again than through what they
    kept.

    Measured on a CPU: a loop that gives something at every step took up to three times
    as long again, whose kernels are those of the function too. Keeping took up to a
    fifth longer of many examples at once, of the last state alone, of steps of a few
    numbers, and of such as solve for something.
    """
    loops = loops_of(program)
    if not loops or copies > 1 or not any(map(gives_at_every_step, loops)):
        return bool(loops)
    if not all(map(_is_long, loops)):
        return True
    held = {id(r): r for edge in loops for r in program.residuals(edge)}
    return sum(getattr(r, "size", 1) for r in held.values()) > KEPT


def _is_long(edge) -> bool:
    """Whether a loop's step is of many operations, or has products of matrices."""
    whole = whole_map(edge)
    structures = getattr(whole, "structures", ())
    inside = [inner for structure in structures for inner in structure.edges]
    if any(isinstance(whole_map(inner), Solve) for inner in inside):
        return False
    kinds = [inner.map.form.kind for inner in inside]
    return not inside or len(inside) >= LONG or "contracts" in kinds


def gives_at_every_step(edge) -> bool:
    """Whether an edge is a loop's, to an output that is an array of its steps."""
    whole = whole_map(edge)
    return isinstance(whole, Loop) and getattr(edge.map, "target", 0) >= len(
        whole.carry_avals
    )
