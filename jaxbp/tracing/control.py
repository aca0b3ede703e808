"""Loops and branches opened: the equations that they run, step by step.

Of a long loop the first steps and the last one are opened; those between are one row.
"""

import jax.numpy as jnp
from jax import lax

from .. import ir
from .row import Ref


def open_cond(noter, values, dots, params):
    """The branch that is taken."""
    index = int(values[0])
    noter.end(noter.begin("step", "", f"branch {index} is taken", ()), [], [])
    return noter.run(params["branches"][index], values[1:], dots[1:])


def open_scan(noter, values, dots, params):
    """The steps of a scan; its elements are called `x[0]`, `x[1]`, ..."""
    program, length = params["jaxpr"], params["length"]
    held, carry, elements = ir.scan_split(_both(values, dots), params)
    carries = len(carry)
    steps = list(range(length))
    if params["reverse"]:
        steps.reverse()
    whole = steps if length <= noter.steps else steps[: noter.steps - 1]
    rest = steps[len(whole) : -1]  # the last step is opened again
    stacks: list[list] = []  # per group of steps: what they give, with their order

    def step(k):
        nonlocal carry
        _heading(noter, f"step {steps.index(k) + 1} of {length}")
        at = [_element(noter, value, ref, k) for value, ref in elements]
        outs, refs = noter.run(program, *_apart([*held, *carry, *at]))
        found = _both(outs, refs)
        carry = found[:carries]
        stacks.append(found[carries:])

    for k in whole:
        step(k)
    if rest:
        carry, between = _between(noter, params, held, carry, elements, rest, steps)
        stacks.append(between)
    if len(whole) < length:
        step(steps[-1])
    middle = len(whole) if rest else None
    stacked = [
        _stacked(noter, [group[i] for group in stacks], middle, params["reverse"])
        for i in range(len(stacks[0]) if stacks else 0)
    ]
    noter.also_read = [ref for group in stacks for _, ref in group]
    return _apart([*carry, *stacked])


def open_while(noter, values, dots, params):
    """The steps of a while loop; after the first ones, all others are one row."""
    loop = _While(values, dots, params)
    steps = 0
    while steps < noter.steps and loop.goes_on():
        steps += 1
        _heading(noter, f"step {steps}")
        loop.step(noter)
    if loop.goes_on():
        return _rest_of_while(noter, loop, params, steps)
    return loop.carry, loop.dots


def _rest_of_while(noter, loop, params, steps: int):
    """The steps that are not opened, as one row."""
    values, refs = loop.operands()
    row = noter.begin("equation", "while", "", refs)
    slots = [ref.slot if ref else None for ref in refs]
    outs, slots, trips = run_while(noter.recorder, values, slots, params)
    row.equation = f"steps {steps + 1} to {steps + trips}"
    noter.costs.append((row, loop.again, [ir.typeof(v) for v in values], trips))
    return outs, noter.end(row, outs, slots)


def run_while(walker, values, dots, params):
    """Outputs of a while loop, walked step by step on its values; number of steps."""
    loop, trips = _While(values, dots, params), 0
    while loop.goes_on():
        loop.step(walker)
        trips += 1
    return loop.carry, loop.dots, trips


OPENED = {"cond": open_cond, "scan": open_scan, "while": open_while}


class _While:
    """A while loop that runs: constants of condition and body, and the carry."""

    def __init__(self, values, dots, params):
        self.cond, self.body = params["cond_jaxpr"], params["body_jaxpr"]
        tests, consts, carry = ir.while_split(_both(values, dots), params)
        self.held, self.first = [*tests, *consts], len(tests)
        self.last = len(self.held)
        self.carry, self.dots = _apart(carry)

    def operands(self):
        """Values and dots of all operands, as the loop would go on with them."""
        values, dots = _apart(self.held)
        return [*values, *self.carry], [*dots, *self.dots]

    def goes_on(self) -> bool:
        values, _ = self.operands()
        operands = values[: self.first] + self.carry
        return bool(ir.evaluate_program(self.cond, operands)[0])

    def step(self, walker) -> None:
        values, dots = self.operands()
        self.carry, self.dots = walker.run(
            self.body, values[self.first :], dots[self.first :]
        )

    def again(self, *values):
        """The loop from here on, as a function of all operands."""
        held, consts = values[: self.first], values[self.first : self.last]

        def goes_on(carry):
            return ir.evaluate_program(self.cond, [*held, *carry])[0]

        def body(carry):
            return ir.evaluate_program(self.body, [*consts, *carry])

        return lax.while_loop(goes_on, body, list(values[self.last :]))


def _both(values, dots) -> list:
    return list(zip(values, dots, strict=True))


def _apart(pairs) -> tuple[list, list]:
    return [value for value, _ in pairs], [dot for _, dot in pairs]


def _heading(noter, text: str) -> None:
    noter.end(noter.begin("step", "", text, ()), [], [])


def _element(noter, value, ref, k: int):
    """One element of what a scan runs over, with its own name."""
    (element,), (slot,) = noter.silently(lambda x: [x[k]], [value], [ref])
    return element, ref and Ref(f"{ref.name}[{k}]", slot, ref.row)


def _between(noter, params, held, carry, elements, rest, steps):
    """Steps that are not opened, as one scan: the carry behind them, and the stacks."""
    low, high = min(rest), max(rest) + 1
    count, carries = len(held), len(carry)

    def run(*given):
        xs = [x[low:high] for x in given[count + carries :]]

        def body(carry, x):
            outs = ir.evaluate_program(params["jaxpr"], [*given[:count], *carry, *x])
            return outs[:carries], outs[carries:]

        init = list(given[count : count + carries])
        outs, ys = lax.scan(body, init, xs, length=len(rest), reverse=params["reverse"])
        return [*outs, *ys]

    values, dots = _apart([*held, *carry, *elements])
    first, last = steps.index(rest[0]) + 1, steps.index(rest[-1]) + 1
    row = noter.begin("equation", "scan", f"steps {first} to {last}", dots)
    outs, slots = noter.silently(run, values, dots)
    noter.costs.append((row, run, [ir.typeof(v) for v in values], None))
    found = _both(outs, noter.end(row, outs, slots))
    return found[:carries], found[carries:]


def _stacked(noter, parts, middle: int | None, reverse: bool):
    """What the steps give, stacked; the part at `middle` is a stack already."""
    values, refs = _apart(parts)

    def stack(*given):
        whole = [
            x if i == middle else jnp.expand_dims(x, 0) for i, x in enumerate(given)
        ]
        return [jnp.concatenate(whole[::-1] if reverse else whole)]

    (value,), (slot,) = noter.silently(stack, values, refs)
    rows = [ref.row for ref in refs if ref]
    return value, Ref("", slot, rows[-1]) if rows else None
