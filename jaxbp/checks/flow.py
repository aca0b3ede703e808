"""Loops, branches and calls of a program whose equations are evaluated another way.

An evaluator is called as evaluator(equation, values) -> outputs. It may move the
values a little, or hold them in other types; its `plain(values, like)` gives them as
the program itself has them.
"""

from jax import lax

from .. import ir

CALLS = frozenset(("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"))


def is_call(name: str) -> bool:
    return name in CALLS or name in ir.CALLS or name in ir.CHECKPOINTS


def _scan(evaluator, params, values):
    consts, carry, xs = ir.scan_split(values, params)

    def step(carry, x):
        operands = [*consts, *carry, *x]
        outs = ir.evaluate_by(evaluator, params["jaxpr"], operands)
        return outs[: len(carry)], outs[len(carry) :]

    carry, ys = lax.scan(
        step, list(carry), list(xs), params["length"], params["reverse"]
    )
    return [*carry, *ys]


def _while(evaluator, params, values):
    """As many steps as in the program itself: one that waits for a tolerance might
    never meet it."""
    of_cond, of_body, carry = ir.while_split(values, params)
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    plain_of_cond = evaluator.plain(of_cond, cond.in_avals[: len(of_cond)])
    types = body.in_avals
    plain_of_body = evaluator.plain(of_body, types[: len(of_body)])

    def goes_on(both):
        return ir.evaluate_program(cond, [*plain_of_cond, *both[0]])[0]

    def step(both):
        exact, moved = both
        exact = ir.evaluate_program(body, [*plain_of_body, *exact])
        return list(exact), ir.evaluate_by(evaluator, body, [*of_body, *moved])

    exact = evaluator.plain(carry, types[len(of_body) :])
    return lax.while_loop(goes_on, step, (exact, list(carry)))[1]


def _cond(evaluator, params, values):
    index, *operands = values
    branches = [
        lambda *xs, branch=branch: ir.evaluate_by(evaluator, branch, xs)
        for branch in params["branches"]
    ]
    return lax.switch(index, branches, *operands)


FLOW = {"scan": _scan, "while": _while, "cond": _cond}
