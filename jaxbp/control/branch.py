"""cond and switch: in linearise mode the branches share one pool of residuals."""

from dataclasses import dataclass
from typing import Any

import jax
from jax import lax

from .. import ir, settings
from ..errors import NonlinearTangent
from ..linear.base import Edge, filled
from ..linear.branch import Branches
from ..rules.registry import register
from ..walkers.forward import Pusher
from ..walkers.linearize import linearize_program, solid
from .activity import moving_outputs
from .loop.again import branches_again
from .loop.buffers import StepRecorder
from .places import Places
from .ref import carrying, cond_with_contents


@carrying(cond_with_contents)
def cond_rule(walker, primitive, values, dots, params):
    """A branch known now is walked in line; else all are differentiated."""
    if type(values[0]) is ir.Hole:
        raise NonlinearTangent(
            "a derivative rule must be linear in its tangents, but a lax.cond or "
            "lax.switch chooses its branch by one of them. Correct the rule's formula."
        )
    index, *operands = solid(values)
    dots = dots[1:]
    if not ir.is_tracer(index):
        return walker.run(params["branches"][int(index)], operands, dots)
    rule = _push if isinstance(walker, Pusher) else _record
    return rule(walker, index, operands, dots, params["branches"])


def _push(walker, index, operands, dots, branches):
    active = [d is not None for d in dots]
    moving = set().union(*[moving_outputs(b, active) for b in branches])
    avals = [ir.tangent_aval(a) for a in _out_avals(branches)]

    def branch(program):
        def pushed(operands, dots):
            outs, out_dots = Pusher().run(program, operands, dots)
            dense = filled(out_dots, avals)
            return outs, [d if i in moving else None for i, d in enumerate(dense)]

        return pushed

    outs, out_dots = lax.switch(index, [branch(b) for b in branches], operands, dots)
    return list(outs), out_dots


def _out_avals(branches) -> list:
    return [atom.aval for atom in ir.inner(branches[0])[0].outvars]


def _record(walker, index, operands, dots, branches):
    active = tuple(d is not None for d in dots)
    linearized = [_Branch(program, active, operands) for program in branches]
    targets = [
        i
        for i in range(len(_out_avals(branches)))
        if any(b.structure.outs[i] is not None for b in linearized)
    ]
    pool: list = []
    tapes = [b.share(pool) for b in linearized]
    if isinstance(walker, StepRecorder) and _again(
        linearized, pool, operands, walker.held
    ):
        return _record_again(walker, index, operands, dots, linearized, targets)
    outs, stacked = lax.switch(
        index,
        [
            b.evaluated(pool, places)
            for b, places in zip(linearized, tapes, strict=True)
        ],
        *operands,
    )
    held, tapes = _with_operands(linearized, tapes, len(pool))
    residuals = (index, *stacked, *(operands[i] for i in held))
    edge = _edge(linearized, targets, tapes, operands, active, outs, residuals)
    return list(outs), walker.extend([edge], dots, outs)


def _edge(linearized, targets, tapes, operands, active, outs, residuals, again=()):
    ins = tuple(i for i, a in enumerate(active) if a)
    edge_map = Branches(
        tuple(b.structure.picked(targets) for b in linearized),
        tapes,
        tuple(ir.typeof(operands[i]) for i in ins),
        tuple(ir.typeof(outs[i]) for i in targets),
        again,
    )
    return Edge(edge_map, residuals, ins, tuple(targets))


# In a loop, what the branches keep is stacked at every step, whichever is taken. Where
# they are run again going back, their operands alone are kept.
def _again(linearized, pool, operands, held) -> bool:
    if settings.current().scan_residuals != "auto":
        return False
    kept = {i for b in linearized for i in b.read()}
    moving = [ir.typeof(operands[i]) for i in kept if id(operands[i]) not in held]
    programs = [b.program for b in linearized]
    return branches_again(programs, [aval for aval, _ in pool], moving)


def _record_again(walker, index, operands, dots, linearized, targets):
    """The branches are evaluated, by rules of their own where they have some."""
    active = tuple(d is not None for d in dots)
    plain = [_evaluated(b) for b in linearized]
    outs = lax.switch(index, plain, *operands)
    kept = sorted({i for b in linearized for i in b.read()})
    again = tuple(_Again(b.program, b.count, tuple(kept)) for b in linearized)
    tapes = tuple(b.tape_of(kept) for b in linearized)
    residuals = (index, *(operands[i] for i in kept))
    edge = _edge(linearized, targets, tapes, operands, active, outs, residuals, again)
    return list(outs), walker.extend([edge], dots, outs)


def _evaluated(branch):
    return lambda *operands: ir.evaluate_program(branch.program, operands)[
        : branch.count
    ]


@dataclass(slots=True, unsafe_hash=True)
class _Again:
    """A branch's residuals from the operands kept: static.

    Fields:
      program: gives its outputs, and behind these `count` its residuals.
      kept: which operands are given; the others are not read.
    """

    program: Any
    count: int
    kept: tuple[int, ...]

    def __call__(self, pool) -> list:
        jaxpr, _ = ir.inner(self.program)
        given = dict(zip(self.kept, pool, strict=True))
        operands = [
            given[i] if i in given else ir.zeros(v.aval)
            for i, v in enumerate(jaxpr.invars)
        ]
        return ir.evaluate_program(self.program, operands)[self.count :]


class _Branch:
    """One branch, linearised on abstract operands.

    `program` gives the branch's outputs and the residuals that are not operands; `tape`
    says, per place of the tape, ("operand", i) or ("own", i).
    """

    def __init__(self, program, active, operands):
        def run(*values):
            outs, linear = linearize_program(program, values, active)
            places = Places(operand=values)
            tape = tuple([places.find(residual) for residual in linear.tape])
            return outs, places.own, ir.Static((tape, linear.structure))

        avals = [ir.typeof(v) for v in operands]
        self.program, shapes = jax.make_jaxpr(run, return_shape=True)(
            *[ir.struct(a) for a in avals]
        )
        self.tape, self.structure = shapes[2].value
        self.count = len(shapes[0])
        jaxpr, _ = ir.inner(self.program)
        floating = [ir.differentiable(v.aval) for v in jaxpr.invars]
        moving = moving_outputs(self.program, floating)
        self.residuals = [
            (atom.aval.update(weak_type=False), place in moving)
            for place, atom in enumerate(jaxpr.outvars)
        ][self.count :]

    def read(self) -> set[int]:
        """The operands from which its tape follows."""
        jaxpr, _ = ir.inner(self.program)
        needed = {
            v for v in jaxpr.outvars[self.count :] if not isinstance(v, ir.Literal)
        }
        for eqn in reversed(jaxpr.eqns):
            if not needed.isdisjoint(eqn.outvars):
                needed.update(v for v in eqn.invars if not isinstance(v, ir.Literal))
        own = {i for i, var in enumerate(jaxpr.invars) if var in needed}
        return own.union(i for kind, i in self.tape if kind == "operand")

    def tape_of(self, kept: list) -> tuple[int, ...]:
        """Its tape as places among the operands kept, and what it computes."""
        return tuple(
            kept.index(i) if kind == "operand" else len(kept) + i
            for kind, i in self.tape
        )

    def share(self, pool: list) -> list[int]:
        """Places in the pool for the computed residuals; the pool grows as needed.

        A constant shares with constants: it has no derivative, of any order.
        """
        taken: set[int] = set()
        places = []
        for residual in self.residuals:
            free = [i for i, r in enumerate(pool) if r == residual and i not in taken]
            place = free[0] if free else len(pool)
            if not free:
                pool.append(residual)
            taken.add(place)
            places.append(place)
        return places

    def evaluated(self, pool, places):
        """The branch: its outputs and its residuals in their places in the pool."""

        def run(*operands):
            found = ir.evaluate_program(self.program, operands)
            outs, computed = found[: self.count], found[self.count :]
            at = dict(zip(places, computed, strict=True))
            zeros = [at[i] if i in at else ir.zeros(a) for i, (a, _) in enumerate(pool)]
            return outs, zeros

        return run


def _with_operands(branches, tapes, size):
    """Operands held as residuals, put behind the pool; tapes as places in both."""
    held: list[int] = []
    whole = []
    for branch, places in zip(branches, tapes, strict=True):
        tape = []
        for kind, i in branch.tape:
            if kind == "operand" and i not in held:
                held.append(i)
            tape.append(size + held.index(i) if kind == "operand" else places[i])
        whole.append(tuple(tape))
    return held, tuple(whole)


register("cond", cond_rule)
