"""while: forward mode carries the tangents along; reverse mode has no tape for it."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from .. import ir, settings
from ..errors import NoTranspose
from ..linear.base import Edge, LinearMap, Params, filled
from ..rules.registry import register
from .activity import Moving, moving_carries
from .forward import Pusher
from .linearize import solid
from .refs import carrying, while_with_contents


@carrying(while_with_contents)
def while_rule(walker, primitive, values, dots, params):
    """lax.while_loop: the pushforward runs the loop again with its tangents."""
    held = [type(v) is ir.Hole for v in values]
    if any(held) and _decides(params, held):
        raise NoTranspose(
            "the number of steps of a lax.while_loop depends on a tangent or "
            "cotangent, so that what it computes is not linear in that. Let the "
            "condition look at primal values only."
        )
    values = solid(values)
    loop = _While(values, dots, params)
    if isinstance(walker, Pusher):
        return loop.push()
    outs = ir.evaluate(primitive, values, params)
    ins = tuple(i for i, d in enumerate(dots) if d is not None)
    moving = loop.moving.of(range(len(outs)))

    again = Again(Params(params), ins, tuple(moving), settings.current())
    edge = Edge(again, tuple(values), ins, tuple(moving))
    return outs, walker.extend([edge], dots, outs)


def _decides(params, held) -> bool:
    """Whether any operand marked in `held` reaches the condition, at any step."""
    cond, body = (ir.inner(params[f"{name}_jaxpr"])[0] for name in ("cond", "body"))
    tests, consts, starts = ir.while_split(held, params)
    pairs = zip(body.invars[: len(consts)], consts, strict=True)
    known = {var for var, on in pairs if on}
    carried = body.invars[len(consts) :]
    moving, _ = moving_carries(body, known, carried, starts)
    read = [*tests, *moving.flags]
    used = {v for eqn in cond.eqns for v in eqn.invars if not isinstance(v, ir.Literal)}
    used.update(v for v in cond.outvars if not isinstance(v, ir.Literal))
    return any(on and v in used for on, v in zip(read, cond.invars, strict=True))


@dataclass(slots=True, unsafe_hash=True)
class Again(LinearMap):
    """The loop run again with its tangents; residuals: its operands.

    Fields:
      params: of the loop.
      ins, targets: the operands and outputs that carry tangents.
    """

    params: Params
    ins: tuple[int, ...]
    targets: tuple[int, ...]
    options: settings.Options

    def push(self, residuals, x_dots):
        whole: list = [None] * len(residuals)
        for place, x_dot in zip(self.ins, x_dots, strict=True):
            whole[place] = x_dot
        with settings.using(self.options):
            _, y_dots = _While(residuals, whole, self.params).push()
        return [y_dots[i] for i in self.targets]

    def pull(self, residuals, y_bars):
        raise NoTranspose(
            "reverse-mode differentiation does not work for lax.while_loop, or for "
            "lax.fori_loop with dynamic start or stop values: the number of steps, and "
            "so the size of the tape, is not known. Use lax.scan, or fori_loop with "
            "static bounds, or forward mode (jvp, jacfwd)."
        )


class _While:
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
                lambda new, old: _chosen(going, new, old), step(carry), carry
            )

        condition = ir.inner(self.cond)[0].outvars[0].aval
        if condition.shape == ():
            return lax.while_loop(goes_on, step, start)
        return lax.while_loop(lambda c: jnp.any(goes_on(c)), step_of_some, start)


def _chosen(which, new, old):
    """`new` where `which`, of its leading axes, is true; else `old`."""
    aval = ir.typeof(new)
    axes = tuple(range(ir.typeof(which).ndim))
    return lax.select(lax.broadcast_in_dim(which, aval.shape, axes), new, old)


register("while", while_rule)
