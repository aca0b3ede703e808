"""Loops, branches and calls of a program whose equations are evaluated another way.

An evaluator is called as evaluator(equation, values) -> outputs. It may move the
values a little, or hold them in other types; its `plain(values, like)` gives them as
the program itself has them, and `typed(values)` in the types it computes in. Its
`constant(value)` is what it takes a constant of a program for.
"""

from jax import lax

from .. import ir

CUSTOM = frozenset(("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"))


def is_call(name: str) -> bool:
    return name in CUSTOM or name in ir.CALLS or name in ir.CHECKPOINTS


def evaluate(evaluator, program, values) -> list:
    """The outputs of a closed program."""
    jaxpr, consts = ir.inner(program)
    consts = list(map(evaluator.constant, consts))
    return evaluator.typed(ir.evaluate_equations(evaluator, jaxpr, consts, values))


def _scan(evaluator, params, values):
    consts, carry, xs = ir.scan_split(values, params)

    def step(carry, x):
        operands = [*consts, *carry, *x]
        outs = evaluate(evaluator, params["jaxpr"], operands)
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

    def goes_on(exact):
        return ir.evaluate_program(cond, [*plain_of_cond, *exact])[0]

    def step(both):
        exact, moved = both
        further = [
            ir.evaluate_program(body, [*plain_of_body, *exact]),
            evaluate(evaluator, body, [*of_body, *moved]),
        ]
        pairs = zip(further, both, strict=True)
        return tuple([_where(goes_on(exact), *pair) for pair in pairs])

    exact = evaluator.plain(carry, types[len(of_body) :])
    start = exact, list(carry)
    return lax.while_loop(lambda both: goes_on(both[0]).any(), step, start)[1]


def _where(goes_on, further, stays):
    """Of a batch the carries of the examples that go on; of one example all."""
    if not goes_on.ndim:
        return list(further)
    return [
        lax.select(lax.broadcast_in_dim(goes_on, y.shape, range(goes_on.ndim)), y, old)
        for y, old in zip(further, stays, strict=True)
    ]


def _cond(evaluator, params, values):
    index, *operands = values
    branches = [
        lambda *xs, branch=branch: evaluate(evaluator, branch, xs)
        for branch in params["branches"]
    ]
    return lax.switch(index, branches, *operands)


FLOW = {"scan": _scan, "while": _while, "cond": _cond}
