"""What can be told of a loop's body from its equations, before anything is traced."""

from collections.abc import Sequence

from .. import ir
from ..rules import registry
from ..walkers.walker import ALLOCATING

CALLS = ("jit", "closed_call")  # of a program, and nothing else


def spread(body, active: set, done=frozenset()) -> None:
    """Adds to `active` the variables of `body` that may carry a tangent."""
    for place, eqn in enumerate(body.eqns):
        moved = [moves(atom, active) for atom in eqn.invars]
        if place in done or not (any(moved) or eqn.primitive.name in ALLOCATING):
            continue
        if not isinstance(registry.lookup(eqn.primitive), registry.ZeroRule):
            outs = [v for v in eqn.outvars if ir.differentiable(v.aval)]
            if eqn.primitive.name in CALLS and not eqn.effects:
                outs = [
                    eqn.outvars[i] for i in moving_outputs(ir.called(eqn.params), moved)
                ]
            active.update(outs)


def moves(atom, active: set) -> bool:
    """Whether a variable or literal may carry a tangent."""
    return not isinstance(atom, ir.Literal) and atom in active


class Moving:
    """Which of a loop's carries carry tangents: flags, and lists of those that do."""

    def __init__(self, flags: Sequence[bool]):
        self.flags = tuple(flags)

    def of(self, values: Sequence) -> list:
        """The values at the places that move."""
        return [v for v, moves in zip(values, self.flags, strict=True) if moves]

    def whole(self, moved: Sequence) -> list:
        """One value per place, None where it does not move."""
        given = iter(moved)
        return [next(given) if moves else None for moves in self.flags]


def moving_carries(
    jaxpr, known: set, carries: Sequence, moving: Sequence[bool], done=frozenset()
) -> tuple[Moving, list[bool]]:
    """Which carries of a loop carry tangents: the least set, with those that do at the
    start, that the body maps into itself.

    Args:
      jaxpr: the body's; its first outputs are the carries' next values.
      known: its variables, beside the carries, that carry tangents.
      carries: its variables of the carries.
      moving: which of them do at the start.
      done: places of equations that were done before the loop.

    Returns:
      That; and which of the body's outputs carry tangents.
    """
    flags = list(moving)
    while True:
        pairs = zip(carries, flags, strict=True)
        active = known | {var for var, moved in pairs if moved}
        spread(jaxpr, active, done)
        outs = [moves(atom, active) for atom in jaxpr.outvars]
        grown = [m or o for m, o in zip(flags, outs[: len(flags)], strict=True)]
        if grown == flags:
            return Moving(flags), outs
        flags = grown


def moving_outputs(program, active: Sequence[bool]) -> tuple[int, ...]:
    """The outputs of a closed program that may move where its inputs `active` do."""
    return _moving_outputs(ir.inner(program)[0], tuple(active))


@ir.once_per_program
def _moving_outputs(jaxpr, active) -> tuple[int, ...]:
    moving = {var for var, moved in zip(jaxpr.invars, active, strict=True) if moved}
    spread(jaxpr, moving)
    return tuple([i for i, atom in enumerate(jaxpr.outvars) if moves(atom, moving)])
