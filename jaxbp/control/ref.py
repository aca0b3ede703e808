"""Mutable arrays: what `jax.new_ref`, reads, writes and `jax.freeze` do to dots.

The ref itself stays where it is and holds the primal. Its dot is a `Cell`, which holds
the dot of the content: reads and writes are linear maps of that (`jaxbp.linear.ref`),
so that the linear program is a graph of arrays as ever. A loop or a branch that uses a
ref from outside is done as one that carries the content along.
"""

import contextlib
import functools
from collections.abc import Callable

import jax
from jax import lax

from .. import ir, settings
from ..errors import InvalidArgument, NotOffered
from ..linear.base import Edge, Params
from ..linear.ref import Addition, Read, Write
from ..rules.registry import register


class Cell:
    """The dot of a ref: holds that of the content, None for zero."""

    __slots__ = ("dot",)

    def __init__(self, dot):
        self.dot = dot


def _new(walker, primitive, values, dots, params):
    (ref,) = ir.evaluate(primitive, values, params)
    moves = ir.differentiable(ir.content(ref))
    return [ref], [Cell(dots[0] if dots else None) if moves else None]


def _get(walker, primitive, values, dots, params):
    (y,) = ir.evaluate(primitive, values, params)
    ref, cell = values[0], dots[0]
    if cell is None or cell.dot is None:
        return [y], [None]
    edge = Edge(Read(Params(params), ir.content(ref)), tuple(values[1:]), (0,), (0,))
    return [y], walker.extend([edge], [cell.dot], [y])


def _swap(walker, primitive, values, dots, params):
    cell = _cell(values, dots)
    (old,) = ir.evaluate(primitive, values, params)
    written = dots[1] is not None
    if cell is None or (cell.dot is None and not written):
        return [old], [None]
    content, moving = ir.content(values[0]), (cell.dot is not None, written)
    write = Write(Params(params), content, ir.typeof(old), moving)
    given = tuple(i for i, moves in enumerate(moving) if moves)
    edge = Edge(write, tuple(values[2:]), given, (0, 1))
    outs = [ir.Hole(content), old]
    cell.dot, old_dot = walker.extend([edge], [cell.dot, dots[1]], outs)
    return [old], [old_dot]


def _addupdate(walker, primitive, values, dots, params):
    cell = _cell(values, dots)
    ir.evaluate(primitive, values, params)
    if cell is not None and dots[1] is not None:
        content, moving = ir.content(values[0]), (cell.dot is not None, True)
        addition = Addition(Params(params), content, moving)
        given = (0, 1) if moving[0] else (1,)
        edge = Edge(addition, tuple(values[2:]), given, (0,))
        (cell.dot,) = walker.extend([edge], [cell.dot, dots[1]], [ir.Hole(content)])
    return [], []


def _cell(values, dots) -> Cell | None:
    """The cell of the ref that is written to."""
    if dots[0] is None and dots[1] is not None:
        raise InvalidArgument(
            f"a value that carries a tangent is written to a ref of type "
            f"{ir.typeof(values[0])} made outside the function that is differentiated. "
            "Make the ref inside, return the value, or stop it with "
            "jax.lax.stop_gradient."
        )
    return dots[0]


def _freeze(walker, primitive, values, dots, params):
    outs = ir.evaluate(primitive, values, params)
    cell = dots[0]
    return outs, [None if cell is None else cell.dot] * len(outs)


register("new_ref", _new, kind="moves")
register("empty_ref", _new, kind="moves")
register("get", _get, kind="moves")
register("swap", _swap, kind="moves")
register("addupdate", _addupdate)
register("freeze", _freeze, kind="moves")
register("free_ref", _freeze, kind="moves")


# Programs that use refs from outside -----------------------------------------


def carrying(call: Callable):
    """A decorator of a rule of loops or branches.

    Args:
      call: call(operands, places, params) -> (outputs, contents): the equation on
        arrays, where operands at `places` are the contents of refs.
    """

    def decorate(rule):
        @functools.wraps(rule)
        def whole(walker, primitive, values, dots, params):
            places = [i for i, v in enumerate(values) if ir.is_ref(v)]
            asked = settings.current().open_calls  # frames of ours may hide the line
            with walker.where.attributed() if asked else contextlib.nullcontext():
                if not places:
                    return rule(walker, primitive, values, dots, params)
                return _carried(walker, call, values, dots, params, places)

        return whole

    return decorate


def _carried(walker, call, values, dots, params, places):
    cells = {i: dots[i] for i in places if dots[i] is not None}
    values, refs = list(values), [values[i] for i in places]
    for place, ref in zip(places, refs, strict=True):
        values[place] = ref[...]
    dots = [cells[i].dot if i in cells else d for i, d in enumerate(dots)]

    def flat(*operands):
        outs, contents = call(operands, places, params)
        return [*outs, *contents]

    program = jax.make_jaxpr(flat)(*[ir.struct(ir.typeof(v)) for v in values])
    outs, out_dots = walker.run(program, values, dots)
    count = len(outs) - len(places)
    for place, ref, value, dot in zip(
        places, refs, outs[count:], out_dots[count:], strict=True
    ):
        ref[...] = value
        if place in cells:
            cells[place].dot = dot
    return outs[:count], out_dots[:count]


def with_refs(program, operands, places):
    """Outputs of an inner program, and contents after it, of refs at `places`."""
    operands = list(operands)
    refs = [jax.new_ref(operands[i]) for i in places]
    for place, ref in zip(places, refs, strict=True):
        operands[place] = ref
    outs = ir.evaluate_program(program, operands)
    return outs, [jax.freeze(ref) for ref in refs]


def call_with_contents(operands, places, params):
    program = ir.called(params)
    return jax.jit(lambda *given: with_refs(program, given, places))(*operands)


def scan_with_contents(operands, places, params):
    consts, init, xs = ir.scan_split(operands, params)

    def step(carry, xs):
        contents, values = carry
        for place, content in zip(places, contents, strict=True):
            consts[place] = content
        outs, contents = with_refs(params["jaxpr"], [*consts, *values, *xs], places)
        return (contents, outs[: len(init)]), outs[len(init) :]

    options = {name: params[name] for name in ("length", "reverse", "unroll")}
    start = [consts[i] for i in places], init
    (contents, values), ys = lax.scan(step, start, xs, **options)
    return [*values, *ys], contents


def cond_with_contents(operands, places, params):
    index, *operands = operands
    places = [place - 1 for place in places]
    branches = [
        functools.partial(lambda program, given: with_refs(program, given, places), b)
        for b in params["branches"]
    ]
    return lax.switch(index, branches, operands)


def while_with_contents(operands, places, params):
    tests, consts, init = ir.while_split(operands, params)
    first = len(tests)
    if any(place < first for place in places):
        raise NotOffered(
            "the condition of a while loop reads a ref that carries a tangent. Carry "
            "the value through the loop instead."
        )
    places = [place - first for place in places]

    def step(carry):
        contents, values = carry
        for place, content in zip(places, contents, strict=True):
            consts[place] = content
        outs, contents = with_refs(params["body_jaxpr"], [*consts, *values], places)
        return contents, outs

    def goes_on(carry):
        return ir.evaluate_program(params["cond_jaxpr"], [*tests, *carry[1]])[0]

    start = [consts[i] for i in places], init
    contents, values = lax.while_loop(goes_on, step, start)
    return values, contents
