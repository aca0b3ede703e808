"""What can be told of a loop's body from its equations, before anything is traced."""

from collections.abc import Sequence

from .. import ir
from ..rules import registry
from ..walkers.walker import ALLOCATING

CALLS = (
    "jit",
    "closed_call",
    "for_cpu",
    "one_function",
)  # of a program, and nothing else


def spread(body, active: set, done=frozenset()) -> None:
    """Adds to `active` the variables of `body` that may carry a tangent."""
    for place, eqn in enumerate(body.eqns):
        moved = [moves(atom, active) for atom in eqn.invars]
        if place in done or not (any(moved) or eqn.primitive.name in ALLOCATING):
            continue
        if not isinstance(registry.lookup(eqn.primitive), registry.ZeroRule):
            outs = [eqn.outvars[i] for i in _reached(eqn, tuple(moved))]
            active.update(v for v in outs if ir.differentiable(v.aval))


def _reached(eqn, moved: tuple[bool, ...]) -> Sequence[int]:
    """The outputs of an equation that may move where its operands `moved` do: through
    calls, branches and loops as fine as their own equations; a rule that a function
    brings may do what it likes."""
    name, params = eqn.primitive.name, eqn.params
    if eqn.effects:
        return range(len(eqn.outvars))
    if name in CALLS or name in ir.CHECKPOINTS:
        return moving_outputs(ir.called(params), moved)
    if name == "cond":
        found = [moving_outputs(branch, moved[1:]) for branch in params["branches"]]
        return sorted(set().union(*found))
    if name == "scan":
        return _reached_by_loop(params["jaxpr"], ir.scan_counts(params), moved)
    if name == "while":
        counts = params["body_nconsts"], len(eqn.outvars)
        moved = moved[params["cond_nconsts"] :]
        return _reached_by_loop(params["body_jaxpr"], counts, moved)
    return range(len(eqn.outvars))


def _reached_by_loop(program, counts, moved) -> tuple[int, ...]:
    return _outputs_of_loop(ir.inner(program)[0], counts, moved)


@ir.once_per_program
def _outputs_of_loop(jaxpr, counts, moved) -> tuple[int, ...]:
    first, last = counts[0], sum(counts)
    flags = zip(jaxpr.invars, moved, strict=True)
    known = {
        var for place, (var, on) in enumerate(flags) if on and not first <= place < last
    }
    moving, outs = moving_carries(
        jaxpr, known, jaxpr.invars[first:last], moved[first:last]
    )
    outs[: counts[1]] = moving.flags
    return tuple([i for i, on in enumerate(outs) if on])


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


def mattering(
    jaxpr, active: set, carries: Sequence, wanted: set[int], done=frozenset()
) -> tuple[set, set[int]]:
    """What of a loop's body the derivatives of some of its outputs ask for.

    Args:
      jaxpr: the body's; its first outputs are the carries' next values.
      active: its variables that carry tangents; those computed are added.
      carries: its variables of the carries.
      wanted: places of the outputs.
      done: places of equations that were done before the loop.

    Returns:
      The active variables that these depend on; the places with those of carries that
      other steps' depend on.
    """
    spread(jaxpr, active, done)
    while True:
        needed = _needed(jaxpr, active, wanted, done)
        read = {i for i, var in enumerate(carries) if var in needed}
        if read <= wanted:
            return needed, wanted
        wanted = wanted | read


def _needed(jaxpr, active: set, wanted: set[int], done=frozenset()) -> set:
    def asked(place, eqn, needed):
        if place in done:
            return None
        moved = [moves(atom, active) for atom in eqn.invars]
        if eqn.primitive.name in CALLS and not eqn.effects:
            outs = frozenset(i for i, v in enumerate(eqn.outvars) if v in needed)
            moved = _needed_operands(ir.called(eqn.params), tuple(moved), outs)
        return [a for a, on in zip(eqn.invars, moved, strict=True) if on]

    outs = [jaxpr.outvars[i] for i in wanted]
    return backwards(jaxpr, [a for a in outs if moves(a, active)], asked)[0]


def backwards(jaxpr, wanted: Sequence, asked=None) -> tuple[set, set[int]]:
    """What of a program its variables `wanted` come from.

    Args:
      asked: asked(place, equation, variables found so far) -> those of its operands
        that are looked for; None: the equation is passed over. Default: all.

    Returns:
      The variables found, with those wanted; the places of the equations.
    """
    found, places = set(variables(wanted)), set()
    for place in range(len(jaxpr.eqns) - 1, -1, -1):
        eqn = jaxpr.eqns[place]
        if found.isdisjoint(eqn.outvars):
            continue
        atoms = eqn.invars if asked is None else asked(place, eqn, found)
        if atoms is not None:
            places.add(place)
            found.update(variables(atoms))
    return found, places


def variables(atoms: Sequence) -> list:
    """The variables among variables and literals."""
    return [a for a in atoms if not isinstance(a, ir.Literal)]


def _needed_operands(program, moved, wanted) -> Sequence[bool]:
    return _needed_inputs(ir.inner(program)[0], moved, wanted)


@ir.once_per_program
def _needed_inputs(jaxpr, moved, wanted) -> tuple[bool, ...]:
    active = {var for var, on in zip(jaxpr.invars, moved, strict=True) if on}
    spread(jaxpr, active)
    needed = _needed(jaxpr, active, wanted)
    return tuple([var in needed for var in jaxpr.invars])
