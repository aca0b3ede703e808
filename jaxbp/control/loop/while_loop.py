"""while: forward mode carries the tangents along; reverse mode goes by taped blocks."""

import dataclasses
from dataclasses import dataclass
from itertools import zip_longest

import jax
import jax.numpy as jnp
from jax import lax

from ... import ir, settings
from ...errors import NoTranspose
from ...linear.base import Edge, LinearMap, Params, filled
from ...rules.registry import register
from ...walkers.forward import Pusher
from ...walkers.linearize import solid
from ...walkers.primal import has_rules
from ..activity import Moving, moving_carries
from ..ref import carrying, while_with_contents
from .blocks import Blocks, blocks_of
from .repetition import chosen, operands
from .sizes import Sizes
from .twice import pull
from .whole import Whole


@carrying(while_with_contents)
def while_rule(walker, primitive, values, dots, params):
    """lax.while_loop: forward mode in one loop, reverse mode by taped blocks."""
    held = [type(v) is ir.Hole for v in values]
    moved = _reached(params, held) if any(held) else ()
    values = solid(values)
    loop = _Operands(values, dots, params)
    if isinstance(walker, Pusher):
        return loop.push()
    outs, out_dots, _ = _record(walker, params, values, dots)
    pairs = zip_longest(outs, moved)
    return [ir.Hole(ir.typeof(y)) if m else y for y, m in pairs], out_dots


def _record(walker, params, values, dots, size: Sizes | None = None):
    """The loop's outputs, their slots, and what is kept for the way back."""
    options, params = settings.current(), Params(params)
    ins = tuple(i for i, d in enumerate(dots) if d is not None)
    moving = _Operands(values, dots, params).moving
    blocks, kept = None, []
    if options.strict_while:
        primitive = ir.primitive("while")
        assert primitive is not None
        outs = ir.evaluate(primitive, values, dict(params))
    else:
        blocks = blocks_of(params, dots, options, size)
        run = _forward if has_rules(blocks.loop.body) else forward_p.bind
        found = run(*values, blocks=blocks, params=params)
        outs, kept = found[: len(moving.flags)], found[len(moving.flags) :]
    targets = tuple(moving.of(range(len(outs))))
    again = Repeated(params, ins, targets, blocks, options)
    edge = Edge(again, (*values, *kept), ins, targets)
    return outs, walker.extend([edge], dots, outs), kept


def _forward(*values, blocks: Blocks, params) -> list:
    outs, (steps, starts) = blocks.forward(values)
    return [*outs, steps, starts.number, starts.stride, *starts.states]


def _forward_rule(walker, primitive, values, dots, params):
    """What is kept has no tangent: it is found again where one is asked for."""
    size = params["blocks"].sizes
    outs, out_dots, kept = _record(walker, params["params"], values, dots, size)
    return [*outs, *kept], [*out_dots, *[None] * len(kept)]


forward_p = Whole("while_forward", _forward)
register(forward_p, _forward_rule)


def _reached(params, held) -> tuple[bool, ...]:
    """Which carries the operands marked in `held` reach.

    Raises:
      NoTranspose: the condition looks at one of them.
    """
    cond, body = (ir.inner(params[f"{name}_jaxpr"])[0] for name in ("cond", "body"))
    tests, consts, starts = ir.while_split(held, params)
    pairs = zip(body.invars[: len(consts)], consts, strict=True)
    known = {var for var, on in pairs if on}
    carried = body.invars[len(consts) :]
    moving, _ = moving_carries(body, known, carried, starts)
    read = [*tests, *moving.flags]
    used = {v for eqn in cond.eqns for v in eqn.invars if not isinstance(v, ir.Literal)}
    used.update(v for v in cond.outvars if not isinstance(v, ir.Literal))
    if any(on and v in used for on, v in zip(read, cond.invars, strict=True)):
        raise NoTranspose(
            "the number of steps of a lax.while_loop depends on a tangent or "
            "cotangent, so that what it computes is not linear in that. Let the "
            "condition look at primal values only."
        )
    return moving.flags


@dataclass(slots=True, unsafe_hash=True)
class Repeated(LinearMap):
    """A loop of unknown length; residuals: its operands, and starts of blocks.

    Fields:
      params: of the loop.
      ins, targets: the operands and outputs that carry tangents.
      blocks: how it is gone through backwards; None: it is not.
    """

    params: Params
    ins: tuple[int, ...]
    targets: tuple[int, ...]
    blocks: Blocks | None
    options: settings.Options

    def narrowed(self, edge, needed):
        if self.blocks is None:
            return edge
        loop = self.blocks.loop
        pairs = list(zip(self.targets, edge.outs, strict=True))
        targets = [i for i, slot in pairs if slot in needed]
        asked = {sum(loop.counts) + i for i in targets}
        blocks = self.blocks.mattering(asked)
        flags = zip([*loop.held, *loop.moved], [*blocks.active, *blocks.moving],
                    strict=False)  # fmt: skip
        read = asked.union(place for place, on in flags if on)
        ins = [
            (i, slot) for i, slot in zip(self.ins, edge.ins, strict=True) if i in read
        ]
        fewer = dataclasses.replace(
            self, ins=tuple([i for i, _ in ins]), targets=tuple(targets), blocks=blocks
        )
        return edge._replace(
            map=fewer,
            ins=tuple([slot for _, slot in ins]),
            outs=tuple([slot for _, slot in pairs if slot in needed]),
        )

    def push(self, residuals, x_dots):
        values = residuals[: operands(self.params)]
        whole: list = [None] * len(values)
        for place, x_dot in zip(self.ins, x_dots, strict=True):
            whole[place] = x_dot
        with settings.using(self.options):
            _, y_dots = _Operands(values, whole, self.params).push()
        return [y_dots[i] for i in self.targets]

    def pull(self, residuals, y_bars):
        if self.blocks is None:
            raise NoTranspose(
                "reverse-mode differentiation does not work for lax.while_loop, or for "
                "lax.fori_loop with dynamic start or stop values, where the option "
                "`strict_while` is True, as in JAX. Leave that option, or use forward "
                "mode (jvp, jacfwd)."
            )
        how = self.blocks, self.params
        return pull(*how, residuals, self.ins, self.targets, y_bars)


class _Operands:
    """A while loop's operands: constants of condition and body, then the carry."""

    def __init__(self, values, dots, params):
        self.cond, self.body = params["cond_jaxpr"], params["body_jaxpr"]
        self.cond_consts, self.consts, self.init = ir.while_split(values, params)
        _, self.const_dots, self.init_dots = ir.while_split(dots, params)
        self.moving = self._moving()

    def _moving(self) -> Moving:
        body, _ = ir.inner(self.body)
        count = len(self.consts)
        consts = zip(body.invars[:count], self.const_dots, strict=True)
        known = {var for var, dot in consts if dot is not None}
        starts = [dot is not None for dot in self.init_dots]
        return moving_carries(body, known, body.invars[count:], starts)[0]

    def push(self):
        """Outputs and their tangents."""
        avals = self.moving.of([ir.typeof(value) for value in self.init])

        def step(carry):
            values, moved = carry
            outs, out_dots = Pusher().run(
                self.body,
                [*self.consts, *values],
                [*self.const_dots, *self.moving.whole(moved)],
            )
            return outs, filled(self.moving.of(out_dots), avals)

        start = self.init, filled(self.moving.of(self.init_dots), avals)
        outs, moved = self._repeated(step, start)
        return outs, self.moving.whole(moved)

    def _repeated(self, step, start):
        """`step` from `start` on, as long as the condition holds of the values.

        Under vmap it may be an array: loops of several lengths run together as long as
        one goes on, and those that have ended keep their carry.
        """

        def goes_on(carry):
            operands = [*self.cond_consts, *carry[0]]
            return ir.evaluate_program(self.cond, operands)[0]

        def step_of_some(carry):
            going = goes_on(carry)
            return jax.tree.map(
                lambda new, old: chosen(going, new, old), step(carry), carry
            )

        condition = ir.inner(self.cond)[0].outvars[0].aval
        if condition.shape == ():
            return lax.while_loop(goes_on, step, start)
        return lax.while_loop(lambda c: jnp.any(goes_on(c)), step_of_some, start)


register("while", while_rule)
