"""checkpoint (remat): the residuals are the operands and what a policy saves.

All else is computed again when the derivative is applied: the program is linearised
anew at its operands, with the saved values in the place of recomputed ones.
"""

import weakref
from dataclasses import dataclass
from typing import Any

import jax

from .. import ir, settings
from ..linear.base import Edge, LinearMap
from ..rules.registry import register
from .activity import moving_outputs
from .forward import Pusher
from .linearize import Recorder, record, solid
from .primal import Primal, has_rules
from .walk import unzip


def remat_rule(walker, primitive, values, dots, params):
    """A checkpointed program: linearised again when its map is applied."""
    program = ir.closed(params["jaxpr"])
    values = solid(values)
    if isinstance(walker, Pusher):
        return walker.run(program, values, dots)
    active = tuple(d is not None for d in dots)
    ins = tuple(i for i, a in enumerate(active) if a)
    outs, saved = _forward(primitive, program, values, active, params)
    targets = moving_outputs(program, active)
    again = Checkpoint(
        params["jaxpr"],
        active,
        targets,
        params["prevent_cse"],
        params.get("policy"),
        settings.current(),
    )
    edge = Edge(again, (*values, *saved), ins, targets)
    return outs, walker.extend([edge], dots, outs)


def _forward(primitive, program, values, active, params):
    """The program's outputs, and the values that its policy saves."""
    if params.get("policy") is not None:
        saver = _Saver(params["policy"])
        return saver.values(program, values, active), saver.saved
    if has_rules(program):
        primal = _primal(params["jaxpr"], active, params["prevent_cse"])
        return primal(*values), []
    return ir.evaluate(primitive, values, params), []


@ir.once_per_program
def _primal(jaxpr, active, prevent_cse):
    weakly = weakref.ref(jaxpr)

    def outputs(*values):
        return Primal().values(ir.closed(weakly()), values, active)

    return jax.checkpoint(outputs, prevent_cse=prevent_cse)


class _InLine(Recorder):
    """Walks inner jits in line, so that a policy sees their equations."""

    within = False  # a rule, whose own equations the policy never saw

    def __init__(self, policy):
        super().__init__()
        self.policy = policy

    def equation(self, eqn, env):
        if eqn.primitive.name == "jit":
            values, dots = unzip([ir.read(env, atom) for atom in eqn.invars])
            outs, out_dots = self.run(eqn.params["jaxpr"], values, dots)
            pairs = zip(outs, out_dots, strict=True)
            env.update(zip(eqn.outvars, pairs, strict=True))
        elif self.within:
            super().equation(eqn, env)
        else:
            self.within, start = True, len(self.edges)
            super().equation(eqn, env)
            self.within = False
            if _saves(self.policy, eqn):
                self.save(eqn, env, start)

    def save(self, eqn, env, start):
        """An equation that the policy saves; its edges are those from `start` on."""
        raise NotImplementedError


class _Saver(_InLine, Primal):
    """Evaluates a program and keeps what the policy saves."""

    def __init__(self, policy):
        super().__init__(policy)
        self.saved: list = []

    def save(self, eqn, env, start):
        self.saved += [env[var][0] for var in eqn.outvars]


class _Replayer(_InLine):
    """Records a program with saved values in the place of computed ones."""

    def __init__(self, policy, saved):
        super().__init__(policy)
        self.saved = iter(saved)

    def save(self, eqn, env, start):
        swaps = {}
        for var in eqn.outvars:
            value, dot = env[var]
            kept = next(self.saved)
            swaps[id(value)] = kept
            env[var] = kept, dot
        for place in range(start, len(self.edges)):
            edge = self.edges[place]
            residuals = tuple([swaps.get(id(r), r) for r in edge.residuals])
            self.edges[place] = edge._replace(residuals=residuals)


def _saves(policy, eqn) -> bool:
    if policy is None:
        return False
    avals = [atom.aval for atom in eqn.invars]
    return ir.saveable(policy(eqn.primitive, *avals, **eqn.params))


@dataclass(slots=True, unsafe_hash=True)
class Checkpoint(LinearMap):
    """A program that is linearised anew at its operands, and what its policy saved."""

    jaxpr: Any
    active: tuple[bool, ...]
    targets: tuple[int, ...]
    prevent_cse: bool | tuple[bool, ...]
    policy: Any
    options: settings.Options

    def opened(self, residuals):
        count = len(self.active)
        values, saved = residuals[:count], residuals[count:]
        program = ir.closed(self.jaxpr)
        with settings.using(self.options):
            _, linear = record(
                lambda recorder, values, dots: recorder.run(program, values, dots),
                values,
                self.active,
                _Replayer(self.policy, saved),
            )
        return linear.picked(self.targets)

    def _again(self, residuals, dots):
        if self.prevent_cse:  # else the compiler may keep what was to be dropped
            behind = ir.barrier([*residuals, *dots])
            residuals, dots = behind[: len(residuals)], behind[len(residuals) :]
        return self.opened(residuals), dots

    def push(self, residuals, x_dots):
        linear, x_dots = self._again(residuals, x_dots)
        return linear.push(x_dots)

    def pull(self, residuals, y_bars):
        linear, y_bars = self._again(residuals, y_bars)
        return linear.pull(y_bars)


register("remat", remat_rule)
