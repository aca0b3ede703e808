"""A chain gone through as a schedule says, written as nested checkpoints.

What is run again starts from states that are to be had behind the cotangents alone, so
that no compiler shares it with what was run first (`control.later`).
"""

from collections.abc import Callable, Sequence

import jax

from .. import ir
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
        state = chain.segment(first)({**fixed, **state})
        return _run(chain, tree[2], fixed, state, first + 1, last)
    _, k, left, right = tree
    variables, read = list(state), _read(chain, fixed, first, k)
    if not state:  # the chain's start: of its arguments, those that make it another
        variables = _first_read(chain, fixed)
        state = {var: fixed[var] for var in variables}

    def checkpointed_part(values, held):
        state = dict(zip(variables, values, strict=True))
        given = {**dict(zip(read, held, strict=True)), **state}
        found = _run(chain, left, given, state, first, k - 1)
        return [found[var] for var in chain.states[k - 1]]

    operands = [state[v] for v in variables], [fixed[v] for v in read]
    with chain.origin(first).attributed():
        values = run_again(checkpointed_part)(*operands)
    state = dict(zip(chain.states[k - 1], values, strict=True))
    return _run(chain, right, fixed, state, k, last)


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


def run_again(part: Callable) -> Callable:
    """`part(values, held)`, of which only its operands are kept for the gradient."""
    call = jax.custom_vjp(part)

    def forward(values, held):
        return part(values, held), (values, held)

    def backward(operands, y_bars):
        values, held = operands
        whole = [*behind(values, y_bars), *held]
        moves = [ir.differentiable(ir.typeof(v)) for v in whole]
        count = len(values)

        def moved(*given):
            rest = iter(given)
            now = [next(rest) if m else v for v, m in zip(whole, moves, strict=True)]
            outs = part(now[:count], now[count:])
            return [y for y in outs if ir.differentiable(ir.typeof(y))]

        bars = [y for y in y_bars if y.dtype != jax.dtypes.float0]
        _, pullback = vjp(moved, *[v for v, m in zip(whole, moves, strict=True) if m])[
            :2
        ]
        found = iter(pullback(bars))
        x_bars = [next(found) if m else None for m in moves]
        x_bars = filled(x_bars, [ir.typeof(v) for v in whole])
        return x_bars[:count], x_bars[count:]

    call.defvjp(forward, backward)
    return call
