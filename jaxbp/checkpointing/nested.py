"""A chain gone through as a schedule says, written as nested checkpoints.

What is run again starts from states that are to be had behind the cotangents alone, so
that no compiler shares it with what was run first (`control.later`).
"""

from collections.abc import Callable, Sequence

import jax

from .. import ir, settings
from ..control.later import behind
from ..linear.base import filled
from ..transforms.products import vjp
from .chain import Chain, is_cheap


def scheduled(chain: Chain, tree) -> Callable:
    """(consts, inputs) -> outputs of a chain; its gradient follows the schedule.

    Whoever differentiates it: a state that is kept is what a function with a rule of
    its own is called with, which runs it again.
    """

    def run(consts: Sequence, inputs: Sequence) -> list:
        jaxpr = chain.jaxpr
        fixed = dict(zip(jaxpr.constvars, consts, strict=True))
        fixed |= dict(zip(jaxpr.invars, inputs, strict=True))
        last = len(chain.ends) - 1
        env = _run(chain, tree, fixed, {}, 0, last)
        return [ir.read_value({**fixed, **env}, atom) for atom in jaxpr.outvars]

    return run


def _run(chain: Chain, tree, fixed: dict, state: dict, first: int, last: int) -> dict:
    """The state after the segments `first` .. `last`."""
    if tree is None:
        return state
    if tree[0] == "tape":
        state = _taped(chain, fixed, state, first, tree[3].loop_bytes)
        return _run(chain, tree[2], fixed, state, first + 1, last)
    _, k, left, right = tree
    variables, read = list(state), _read(chain, fixed, first, k)
    if not state:  # the chain's start: of its arguments, those that make it another
        variables = _first_read(chain, fixed)
        state = {var: fixed[var] for var in variables}

    names = [*variables, *[var for var in read if var not in state]]

    def checkpointed_part(*values):
        given = dict(zip(names, values, strict=True))
        begun = {var: given[var] for var in variables}
        found = _run(chain, left, given, begun, first, k - 1)
        return [found[var] for var in chain.states[k - 1]]

    with chain.origin(first).attributed():
        again = run_again(checkpointed_part, chain.moves(names), len(variables))
        values = again(*[{**fixed, **state}[var] for var in names])
    state = dict(zip(chain.states[k - 1], values, strict=True))
    return _run(chain, right, fixed, state, k, last)


def _taped(chain: Chain, fixed: dict, state: dict, number: int, limit) -> dict:
    """The state after a segment that is taped, its loops within `limit` bytes."""
    run, given = chain.segment(number), {**fixed, **state}
    if limit is None:
        return run(given)
    ends = chain.states[number]
    names = list(dict.fromkeys([*state, *_read(chain, fixed, number, number + 1)]))

    def segment_within(*values):
        found = run(dict(zip(names, values, strict=True)))
        return [found[var] for var in ends]

    with chain.origin(number).attributed():
        call = within(segment_within, chain.moves(names), limit)
        values = call(*[given[var] for var in names])
    return dict(zip(ends, values, strict=True))


def _first_read(chain: Chain, fixed: dict) -> list:
    """Arguments without which the first costly equation cannot be run."""
    found: dict = {}
    for eqn in chain.jaxpr.eqns[: chain.ends[0]]:
        given = [a for a in eqn.invars if not isinstance(a, ir.Literal) and a in fixed]
        if not is_cheap(eqn.primitive) and given:
            return [min(given, key=lambda var: ir.nbytes(var.aval))]
        found |= dict.fromkeys(given)
    return list(found)


def _read(chain: Chain, fixed: dict, first: int, last: int) -> list:
    """The arguments and constants that the segments `first` .. `last` - 1 read."""
    start = chain.ends[first - 1] if first else 0
    atoms = [
        a for eqn in chain.jaxpr.eqns[start : chain.ends[last - 1]] for a in eqn.invars
    ]
    found = dict.fromkeys(a for a in atoms if not isinstance(a, ir.Literal))
    found |= dict.fromkeys(chain.states[last - 1])
    return [var for var in found if var in fixed]


def run_again(part: Callable, moves: Sequence[bool], late: int) -> Callable:
    """`part(*values)`, of which only its operands are kept for the gradient.

    Args:
      moves: per value: does it carry a cotangent.
      late: of so many values first it is run again, not before cotangents are there.
    """
    call = jax.custom_vjp(part)

    def forward(*values):
        return part(*values), values

    def backward(values, y_bars):
        again = [*behind(values[:late], y_bars), *values[late:]]
        return _bars(_taken(part, moves, again)[1], y_bars, moves, _types(values))

    call.defvjp(forward, backward)
    return call


def within(part: Callable, moves: Sequence[bool], limit: int) -> Callable:
    """`part(*values)`, whose loops keep at most `limit` bytes for its gradient, whoever
    takes it."""
    call = jax.custom_vjp(part)

    def forward(*values):
        with settings.options(loop_bytes=limit):
            outs, pullback = _taken(part, moves, values)
        return outs, (pullback, ir.Static(_types(values)))

    def backward(kept, y_bars):
        pullback, types = kept
        return _bars(pullback, y_bars, moves, types.value)

    call.defvjp(forward, backward)
    return call


def _types(values: Sequence) -> tuple:
    return tuple([ir.typeof(value) for value in values])


def _taken(part: Callable, moves: Sequence[bool], values: Sequence):
    """Outputs of `part`, and its pullback to the values that move."""

    def moved(*given):
        rest = iter(given)
        pairs = zip(values, moves, strict=True)
        outs = part(*[next(rest) if m else v for v, m in pairs])
        return [y for y in outs if ir.differentiable(ir.typeof(y))], outs

    given = [v for v, m in zip(values, moves, strict=True) if m]
    found = vjp(moved, *given, has_aux=True)
    return found[-1], found[1]


def _bars(pullback: Callable, y_bars: Sequence, moves: Sequence[bool], types: tuple):
    found = iter(pullback([y for y in y_bars if y.dtype != jax.dtypes.float0]))
    return tuple(filled([next(found) if m else None for m in moves], types))
