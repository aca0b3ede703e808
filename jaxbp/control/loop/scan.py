"""Scan: forward mode in one loop, linearise mode with residuals kept or recomputed.

Equations that depend on nothing that changes are done once, before the loop, with their
derivatives: a transposed or converted weight is neither recomputed nor stacked.
"""

import functools
from collections.abc import Sequence

from jax import lax

from ... import ir, settings
from ...linear.base import Edge, filled
from ...linear.loop.at_once import AtOnce
from ...linear.loop.loop import Loop, Recipe, Taped
from ...linear.loop.one_function import as_one_function, is_one_function
from ...linear.loop.slopes import slope_bytes
from ...walkers.primal import Primal
from ..activity import moving_carries
from .again import recomputes
from .alike import merged
from .buffers import InPlace, StepPusher
from .calls import opened
from .divided import divided
from .few import few_numbers
from .invariants import hoist
from .residuals import AllSteps, Count, counters, of_all_steps, tape_plan
from .step import Body, StepAgain
from .stored import with_stored_slopes

# Bytes: what is smaller is stacked sooner than carried along going back.
FOLLOWS = 4096
# Residuals that follow from what there is for every step.
_AT_HAND = ("element", "count", "steps")
# Residuals that are there for every step.
_STACKED = ("stack", "element", "output", "count", "steps")


def _chains(carry: Sequence, outs: Sequence, written: dict) -> dict:
    """Per carry that is written by parts alone these writes, last to first."""
    found = {}
    for place, old in enumerate(carry):
        value, chain = outs[place], []
        while id(value) in written:
            chain.append(written[id(value)])
            value = chain[-1].old
        if chain and value is old:
            found[place] = chain
    return found


class Scan:
    """One application of the rule: operands, what of them moves, and the loop."""

    def __init__(self, walker, values, dots, params):
        self.walker, self.params = walker, params
        jaxpr, consts = ir.inner(params["jaxpr"])
        operands, self.init, self.xs = ir.scan_split(values, params)
        held_dots, self.init_dots, self.x_dots = ir.scan_split(dots, params)
        held, carried, elements = ir.scan_split(jaxpr.invars, params)
        env = {var: (c, None) for var, c in zip(jaxpr.constvars, consts, strict=True)}
        for var, value, dot in zip(held, operands, held_dots, strict=True):
            env[var] = value, dot
        jaxpr = divided(opened(jaxpr, frozenset(env)), frozenset(env))
        jaxpr, done, self.late = hoist(walker, jaxpr, env)
        self.env = env
        self.held = [value for value, _ in env.values()]
        self.held_dots = [dot for _, dot in env.values()]
        known = {var for var, (_, dot) in env.items() if dot is not None}
        pairs = zip(elements, self.x_dots, strict=True)
        known |= {var for var, dot in pairs if dot is not None}
        starts = [dot is not None for dot in self.init_dots]
        self.moving, self.active_outs = moving_carries(
            jaxpr, known, carried, starts, done
        )
        active = (
            *[dot is not None for dot in self.held_dots],
            *self.moving.flags,
            *[dot is not None for dot in self.x_dots],
        )
        self.counters = counters(jaxpr, carried)
        self.body = Body(jaxpr, tuple(env), len(self.init), active, done)

    def _loop(self, step, carry, xs):
        given = {name: self.params[name] for name in ("length", "reverse", "unroll")}

        def run(carry, xs):
            return lax.scan(step, carry, xs, **given)

        small = self._is_small()
        return as_one_function(run, carry, xs) if small else run(carry, xs)

    def _is_small(self) -> bool:
        return is_one_function(self.body.jaxpr)

    # Forward mode: primals and tangents in one loop ----------------------------

    def push(self):
        avals = self.moving.of([ir.typeof(value) for value in self.init])
        carries = len(self.init)

        def step(carry, xs):
            values = [*self.held, *carry[0], *xs[0]]
            dots = [*self.held_dots, *self.moving.whole(carry[1]), *xs[1]]
            outs, out_dots, _ = self.body.run(StepPusher(), values, dots)
            moved = filled(self.moving.of(out_dots[:carries]), avals)
            return (outs[:carries], moved), (outs[carries:], out_dots[carries:])

        carry = self.init, filled(self.moving.of(self.init_dots), avals)
        (values, moved), (ys, y_dots) = self._loop(step, carry, (self.xs, self.x_dots))
        return [*values, *ys], [*self.moving.whole(moved), *y_dots]

    # Linearise mode ---------------------------------------------------------------

    def record(self):
        wish = settings.current().scan_residuals
        few = wish == "auto" and self._is_of_few_numbers()
        again = (
            few
            or wish == "recompute"
            or (
                wish == "auto"
                and recomputes(
                    self.body.jaxpr,
                    self.body.done,
                    self.init,
                    self.params["length"],
                    *self.body.told(),
                )
            )
        )
        outs, step, residuals, targets, spare = (
            self._again() if again else self._taped()
        )
        values = [*self.held, *self.init, *self.xs]
        dots = [*self.held_dots, *self.init_dots, *self.x_dots]
        triples = list(zip(values, dots, self.body.active, strict=True))
        # A carry that moves but starts with a zero tangent has a slot of its own.
        slots = [
            self.walker.slot(value) if dot is None else dot
            for value, dot, active in triples
            if active
        ]
        avals = [ir.typeof(value) for value, _, active in triples if active]
        held = sum(d is not None for d in self.held_dots)
        kind = AtOnce if few else Loop
        loop = kind(
            step,
            tuple(avals[:held]),
            tuple(avals[held : held + sum(self.moving.flags)]),
            self.params["length"],
            self.params["reverse"],
            self.params["unroll"],
            self._wait_bytes(spare),
            self._is_small(),
        )
        edge = self._edge(loop, residuals, tuple(range(len(slots))), tuple(targets))
        return outs, self.walker.extend([edge], slots, outs)

    def _is_of_few_numbers(self) -> bool:
        if any(map(ir.is_batched, [*self.held, *self.init, *self.xs])):
            return False  # then a step does much, for all of a batch
        carries = self.moving.of([ir.typeof(value) for value in self.init])
        return few_numbers(self.body, carries, self.params["length"])

    def _edge(self, loop: Loop, residuals, ins, outs) -> Edge:
        return Edge(loop, tuple(residuals), ins, outs)

    def _wait_bytes(self, spare: int) -> int:
        """How many bytes a step may stack for what waits until after the loop."""
        limit, length = settings.current().scan_stack_limit_bytes, self.params["length"]
        if limit is None:
            limit = min(1 << 30, length * spare)
        return limit // max(length, 1)

    def _again(self):
        """Stacks the carries alone."""
        carries = len(self.init)

        def step(carry, xs):
            values, walker = [*self.held, *carry, *xs], Primal()
            dots = walker.dots(values, self.body.active)
            outs, _, _ = self.body.run(walker, values, dots)
            return outs[:carries], (outs[carries:], carry)

        carry, (ys, stack) = self._loop(step, self.init, self.xs)
        moved = self.moving.of(range(carries))
        rest = [
            i for i, active in enumerate(self.active_outs) if active and i >= carries
        ]
        targets = (*moved, *rest)
        residuals = [*self.held, *stack, *self.xs]
        again = StepAgain(self.body, targets, settings.current())
        return [*carry, *ys], again, residuals, targets, 0

    def _taped(self):
        """Stacks the residuals that change, are not there already and not derived."""
        carries = len(self.init)

        def step(carry, xs):
            outs, slots, program, env, written = self.body.linearize(
                [*self.held, *carry, *xs]
            )
            program, env = merged(program, env, [*carry, *xs, *outs])
            plan, stack, spare, structure = self._plan(
                program, env, carry, xs, outs, written
            )
            told = ir.Static((plan, spare, slots, structure))
            return outs[:carries], (outs[carries:], stack, told)

        carry, (ys, stack, told) = self._loop(step, self.init, self.xs)
        plan, spare, slots, structure = told.value
        find = {
            "held": self.held.__getitem__,
            "number": lambda value: value,
            "late": self._late,
            "stack": stack.__getitem__,
            "element": self.xs.__getitem__,
            "output": ys.__getitem__,
            "next": carry.__getitem__,
        }
        residuals: list = []
        recipes: list = []
        for kind, key in plan.places:
            if kind == "restored":
                recipes.append(None)
            elif kind in find:
                recipes.append(len(residuals))
                residuals.append(find[kind](key))
            else:
                recipes.append(self._recipe(kind, key, residuals))
        moved = self.moving.of(range(carries))
        rest = [i for i in range(carries, len(slots)) if slots[i] is not None]
        kept = [slot for slot in structure.outs[len(moved) :] if slot is not None]
        outs = (*structure.outs[: len(moved)], *kept)
        step_map = Taped(
            structure._replace(outs=outs),
            tuple(recipes),
            tuple([kind in _STACKED for kind, _ in plan.places]),
            plan.follows,
            plan.derive,
            plan.order,
            plan.restored,
        )
        return [*carry, *ys], step_map, residuals, [*moved, *rest], spare

    def _plan(self, program, env, carry, xs, outs, written):
        """Where a step's residuals are to be had, what must be stacked, how many bytes
        stored slopes would add, and the step's structure with these residuals."""
        tape = program.tape
        derives = settings.current().scan_residuals == "auto"
        writes = _chains(carry, outs, written) if derives else {}
        kept_for = [v for w in writes.values() for one in w for v in one.indices]
        held: dict = {id(value): ("held", i) for i, value in enumerate(self.held)}
        held |= {id(env[var][0]): ("late", var) for var in self.late}
        concrete = [r for r in [*tape, *kept_for] if not ir.is_tracer(r)]
        held |= {id(r): ("number", r) for r in concrete if id(r) not in held}
        free: dict = {id(x): ("element", i) for i, x in enumerate(xs)}
        free |= {id(y): ("output", i) for i, y in enumerate(outs[len(carry) :])}
        free |= {id(carry[i]): ("count", i) for i in self.counters}
        known = held | free
        for place, chain in writes.items():
            versions = [outs[place], *[one.old for one in chain]]
            known |= {id(v): ("restored", (place, i)) for i, v in enumerate(versions)}
        asked = {id(r) for r in tape} - set(known)
        new_ones = asked - {id(old) for old in carry}
        follows = {
            id(new): old
            for old, new in zip(carry, outs[: len(carry)], strict=True)
            if id(old) in asked
            and id(new) in new_ones
            and ir.nbytes(ir.typeof(old)) >= FOLLOWS
        }
        places = {id(new): ("next", i) for i, new in enumerate(outs[: len(carry)])}
        known |= {new: places[new] for new in follows}
        body, length = self.body.jaxpr, self.params["length"]
        if derives:
            known |= of_all_steps(body, env, [*tape, *kept_for], known)
        planned = functools.partial(
            tape_plan, body, env, known=known, follows=follows, derives=derives,
            length=length, writes=writes,
        )  # fmt: skip
        plan, stack = planned(tape)
        used = {id(value) for value in follows.values()}.union(known)
        within = isinstance(self.walker, InPlace)
        if self._is_small() and not within:  # to keep a slope is a store, and no call
            used -= {i for i, (kind, _) in known.items() if kind in _AT_HAND}
        elif plan.derive is not None:
            used.update(id(env[var][0]) for var in plan.derive.variables())
        slopes = with_stored_slopes(program, used)
        if slopes is not program:
            program, tape = slopes, slopes.tape
            plan, stack = planned(tape)
        avals = [None if id(r) in held else ir.typeof(r) for r in tape]
        whole = slope_bytes(program.structure, avals, [id(r) in free for r in tape])
        kept = sum(ir.nbytes(ir.typeof(r)) for r in stack)
        return plan, stack, whole - kept, program.structure

    def _recipe(self, kind, key, tape: list):
        """How a residual is to be had from the tape, to which its sources are added."""
        derive, sources = key if kind == "steps" else (None, [(kind, key)])
        made: list = []
        first, length = len(tape), self.params["length"]
        for source, at in sources:
            if source == "count":
                tape.append(self.init[at])
                reverse = self.params["reverse"]
                made.append(Count(self.counters[at], length, reverse))
            else:
                there = {"element": self.xs, "held": self.held}.get(source)
                tape.append(at if there is None else there[at])
                made.append(0 if source == "element" else None)
        make = made[0] if derive is None else AllSteps(derive, tuple(made), length)
        return Recipe(make, tuple(range(first, len(tape))))

    def _late(self, var):
        """The value of an invariant that was left to the loop, computed outside."""
        if var not in self.env:
            eqn = self.body.jaxpr.eqns[self.late[var]]
            for atom in eqn.invars:
                if not isinstance(atom, ir.Literal):
                    self._late(atom)
            self.walker.equation(eqn, self.env)
        return self.env[var][0]
