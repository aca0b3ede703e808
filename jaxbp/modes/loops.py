"""Scan: forward mode in one loop, linearise mode with residuals stacked by step.

Equations that depend on nothing that changes are done once, before the loop, with their
derivatives: a transposed or converted weight is neither recomputed nor stacked.
"""

import math
from collections.abc import Sequence
from typing import Any

from jax import lax

from .. import ir
from ..linear.base import Edge, filled
from ..linear.loop import Loop
from ..rules import registry
from .forward import Pusher
from .linearize import Recorder, solid
from .walk import Walker


def scan_rule(walker: Walker, primitive, values, dots, params):
    """lax.scan with at least one operand that carries a tangent."""
    return _Scan(walker, solid(values), dots, params).run()


class _Scan:
    """One application of the rule: the body, its operands, and what moves."""

    def __init__(self, walker, values, dots, params):
        self.walker, self.params = walker, params
        self.body, consts = ir.inner(params["jaxpr"])
        count, carries = ir.scan_counts(params)
        self.carries = carries
        operands = list(zip(self.body.invars, values, dots, strict=True))
        self.held = operands[:count]
        self.env = dict(
            zip(self.body.constvars, ((c, None) for c in consts), strict=False)
        )
        self.env.update({var: (value, dot) for var, value, dot in self.held})
        self.init = operands[count : count + carries]
        self.xs = operands[count + carries :]
        self.done, self.late = hoist(walker, self.body, self.env)
        self.moving = self._moving_carries()

    def run(self):
        run = self._push if isinstance(self.walker, Pusher) else self._record
        return run()

    def _moving_carries(self) -> list[bool]:
        """Which carries carry tangents: the least set that the body maps into itself."""
        known = {var for var, (_, dot) in self.env.items() if dot is not None}
        known |= {var for var, _, dot in self.xs if dot is not None}
        moving = [dot is not None for _, _, dot in self.init]
        outs = self.body.outvars[: self.carries]
        while True:
            pairs = zip(self.init, moving, strict=True)
            active = known | {var for (var, _, _), moves in pairs if moves}
            spread(self.body, active, self.done)
            grown = [
                m or (not isinstance(o, ir.Literal) and o in active)
                for m, o in zip(moving, outs, strict=True)
            ]
            if grown == moving:
                return moving
            moving = grown

    def _loop(self, step, carry, xs):
        params = self.params
        return lax.scan(
            step,
            carry,
            xs,
            length=params["length"],
            reverse=params["reverse"],
            unroll=params["unroll"],
        )

    # Forward mode: primals and tangents in one loop ----------------------------

    def _push(self):
        init_dots = [dot for (_, _, dot), m in self._pairs() if m]
        avals = [ir.typeof(value) for (_, value, _), m in self._pairs() if m]

        def step(carry, xs):
            env = dict(self.env)
            tangents = iter(carry[1])
            for ((var, _, _), moves), value in zip(
                self._pairs(), carry[0], strict=True
            ):
                env[var] = value, next(tangents) if moves else None
            for (var, _, _), value, dot in zip(self.xs, *xs, strict=True):
                env[var] = value, dot
            Pusher().walk(self.body, env, self.done)
            values, dots = self._outputs(env)
            count = self.carries
            moved = [d for d, m in zip(dots[:count], self.moving, strict=True) if m]
            return (values[:count], filled(moved, avals)), (
                values[count:],
                dots[count:],
            )

        carry = [value for _, value, _ in self.init], filled(init_dots, avals)
        xs = [value for _, value, _ in self.xs], [dot for _, _, dot in self.xs]
        (values, moved), (ys, y_dots) = self._loop(step, carry, xs)
        moved = iter(moved)
        carry_dots = [next(moved) if m else None for m in self.moving]
        return [*values, *ys], [*carry_dots, *y_dots]

    def _pairs(self):
        return zip(self.init, self.moving, strict=True)

    def _outputs(self, env):
        pairs = [
            (atom.val, None) if isinstance(atom, ir.Literal) else env[atom]
            for atom in self.body.outvars
        ]
        return [v for v, _ in pairs], [d for _, d in pairs]

    # Linearise mode: the step's linear program, residuals stacked --------------

    def _record(self):
        active_held = [
            (var, value, dot)
            for var, (value, dot) in self.env.items()
            if dot is not None
        ]
        record: dict[str, Any] = {}

        def step(carry, xs):
            recorder = Recorder()
            env = {var: (value, None) for var, (value, _) in self.env.items()}
            ins = []

            def enter(var, value, active):
                slot = recorder.slot(value) if active else None
                env[var] = value, slot
                if active:
                    ins.append(slot)

            for var, value, _ in active_held:
                enter(var, value, True)
            for ((var, _, _), moves), value in zip(self._pairs(), carry, strict=True):
                enter(var, value, moves)
            for (var, _, dot), value in zip(self.xs, xs, strict=True):
                enter(var, value, dot is not None)
            recorder.walk(self.body, env, self.done)
            values, slots = self._outputs(env)
            count = self.carries
            outs = [s for s, m in zip(slots[:count], self.moving, strict=True) if m]
            program = recorder.finish(ins, [*outs, *slots[count:]])
            places, stack = self._placed(program, env, xs, values[count:])
            record.update(structure=program.structure, places=places, slots=slots)
            return values[:count], (values[count:], stack)

        xs = [value for _, value, _ in self.xs]
        carry, (ys, stack) = self._loop(step, [v for _, v, _ in self.init], xs)
        find = {
            "held": lambda value: value,
            "late": self._late,
            "stack": stack.__getitem__,
            "element": xs.__getitem__,
            "output": ys.__getitem__,
        }
        residuals = tuple(find[kind](key) for kind, key in record["places"])
        return self._finish(record, residuals, active_held, [*carry, *ys])

    def _finish(self, record, residuals, active_held, outs):
        count, slots = self.carries, record["slots"]
        dots = [dot for _, _, dot in active_held]
        for (_, value, dot), moves in self._pairs():
            if moves:  # a carry that starts with a zero tangent has a slot of its own
                dots.append(self.walker.slot(value) if dot is None else dot)
        dots += [dot for _, _, dot in self.xs if dot is not None]
        structure = record["structure"]
        targets = [i for i, m in enumerate(self.moving) if m]
        moved = len(targets)
        for place in range(count, len(slots)):
            if slots[place] is not None:
                targets.append(place)
        kept = [s for s in structure.outs[moved:] if s is not None]
        structure = structure._replace(outs=(*structure.outs[:moved], *kept))
        loop = Loop(
            structure,
            tuple(kind not in ("held", "late") for kind, _ in record["places"]),
            len(active_held),
            moved,
            self.params["length"],
            self.params["reverse"],
            self.params["unroll"],
        )
        edge = Edge(loop, residuals, tuple(range(len(dots))), tuple(targets))
        return outs, self.walker.extend([edge], dots, outs)

    def _late(self, var):
        """The value of an invariant that was left to the loop, computed outside."""
        if var not in self.env:
            eqn = self.body.eqns[self.late[var]]
            for atom in eqn.invars:
                if not isinstance(atom, ir.Literal):
                    self._late(atom)
            self.walker.equation(eqn, self.env)
        return self.env[var][0]

    def _placed(self, program, env, xs, ys):
        """Where each residual of a step is to be had, and those to be stacked."""
        known = {id(value): ("held", value) for value, _ in self.env.values()}
        known |= {id(env[var][0]): ("late", var) for var in self.late}
        known |= {id(x): ("element", i) for i, x in enumerate(xs)}
        known |= {id(y): ("output", i) for i, y in enumerate(ys)}
        places, stack = [], []
        for residual in program.tape:
            if id(residual) in known:
                places.append(known[id(residual)])
            elif not ir.is_tracer(residual):
                places.append(("held", residual))
            else:
                places.append(("stack", len(stack)))
                stack.append(residual)
        return places, stack


# Invariants -----------------------------------------------------------------


def hoist(walker: Walker, body, env: dict) -> tuple[frozenset[int], dict]:
    """Does the equations of a loop's body that depend on invariants alone, once.

    `env` holds the invariants and gains the results. What would grow (a broadcast) is
    left to the loop, unless a residual asks for it.

    Returns:
      The places of the equations done, and, of those left, variable -> place.
    """
    invariant, late, done = set(env), {}, set()
    for place, eqn in enumerate(body.eqns):
        variables = [a for a in eqn.invars if not isinstance(a, ir.Literal)]
        if eqn.effects or not invariant.issuperset(variables):
            continue
        invariant.update(eqn.outvars)
        ready = variables and all(v in env for v in variables)
        if ready and _bytes(eqn.outvars) <= 2 * _bytes(variables):
            walker.equation(eqn, env)
            done.add(place)
        elif any(env.get(v, (None, None))[1] is not None for v in variables):
            invariant.difference_update(eqn.outvars)  # carries a tangent: stays inside
        else:
            late.update((var, place) for var in eqn.outvars)
    return frozenset(done), late


def _bytes(variables: Sequence) -> int:
    avals = [v.aval for v in variables if hasattr(v.aval, "shape")]
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in avals)


def spread(body, active: set, done=frozenset()) -> None:
    """Adds to `active` the variables of `body` that may carry a tangent."""
    for place, eqn in enumerate(body.eqns):
        if place not in done and any(
            not isinstance(a, ir.Literal) and a in active for a in eqn.invars
        ):
            if not isinstance(registry.lookup(eqn.primitive), registry.ZeroRule):
                active.update(v for v in eqn.outvars if ir.differentiable(v.aval))


registry.register("scan", scan_rule)
