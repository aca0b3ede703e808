"""Steps of a loop at which a rule and its function's body differ, all looked at once.

The loop's body is walked under jit: each call of a function with a rule pulls one
random cotangent back twice, by its rule and by its operations, and says whether they
differ. It is a first look at many steps; whoever is suspect is judged on its values.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import ir
from ..checks import rtol
from ..errors import JaxbpError
from ..walkers.linearize import linearize_flat
from .loops import Loop

RULES = {"custom_vjp_call": "custom_vjp", "custom_jvp_call": "custom_jvp"}
FEW = 4  # suspect steps that are judged


def suspect_steps(loop: Loop, rng) -> set[int]:
    """Numbers of the first steps at which some rule differs, at most `FEW`; none where
    the loop cannot be gone through, for a rule needs its values.

    Cost: one run of the loop with two pullbacks of each call, compiled.
    """
    seed = int(rng.integers(2**31))

    def step(given):
        carry, x = given
        flags: list = []
        _walk(loop.program, [*loop.held, *carry, *x], flags, seed)
        return jnp.any(jnp.stack(flags)) if flags else jnp.zeros((), bool)

    look = jax.jit(lambda *given: lax.map(step, given))
    suspect: set[int] = set()
    try:
        for block in loop.blocks():
            found = np.asarray(look(block.carries, block.elements))
            suspect.update((block.first + np.flatnonzero(found)).tolist())
            if len(suspect) >= FEW:
                break
    except (JaxbpError, jax.errors.JAXTypeError, TypeError, ValueError):
        return set()
    return set(sorted(suspect)[:FEW])


def _walk(program, values, flags: list, seed: int) -> list:
    """The outputs of a program, traced; a flag is added for each call of a rule."""

    def each(eqn, operands):
        name = eqn.primitive.name
        if name in (*ir.CALLS, *ir.CHECKPOINTS):
            return _walk(ir.called(eqn.params), operands, flags, seed)
        if name in RULES:
            flags.append(_differs(eqn, operands, seed))
        params = ir.call_params(eqn.primitive, eqn.params)
        return ir.evaluate(eqn.primitive, operands, params)

    with ir.precision_of(program):
        return ir.evaluate_by(each, program, values)


def _differs(eqn, operands, seed: int):
    """Whether rule and body pull one cotangent back to different ones, traced."""
    operands = [ir.array(v) for v in operands]
    active = [ir.differentiable(ir.typeof(v)) for v in operands]
    if not any(active):
        return jnp.zeros((), bool)
    body = ir.inner_programs(eqn.params)[0]

    def rule(*given):
        params = ir.call_params(eqn.primitive, eqn.params)
        return ir.evaluate(eqn.primitive, given, params), []

    def plain(*given):
        return ir.evaluate_program(body, given), []

    rng = np.random.default_rng(seed)
    pulled = []
    for function in (rule, plain):
        outs, program, _ = linearize_flat(function, operands, active)
        if not pulled:
            bars = [
                jnp.asarray(rng.normal(size=y.shape), y.dtype)
                if ir.differentiable(ir.typeof(y))
                else None
                for y in outs
            ]
        pulled.append(program.pull(bars))
    flags = [jnp.zeros((), bool)]
    for a, b in zip(*pulled, strict=True):
        if a is not None and b is not None:
            size = jnp.max(jnp.where(jnp.isfinite(b), jnp.abs(b), 0), initial=0)
            allowed = rtol(b.dtype) * (jnp.abs(a) + jnp.abs(b) + 0.01 * size)
            flags.append(jnp.any(~(jnp.abs(a - b) <= allowed) & ~(jnp.isnan(b))))
        elif a is not None or b is not None:
            other = a if b is None else b
            flags.append(jnp.any(other != 0))
    return jnp.any(jnp.stack(flags))
