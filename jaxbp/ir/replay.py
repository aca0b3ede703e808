"""Small functions, traced once per type and replayed.

The Python operators of `jax.numpy` cost several times what binding the primitive costs.
"""

import functools
from collections.abc import Callable

import jax
from jax.core import Tracer
from jax.extend.core import Literal

from .programs import call_params, inner
from .values import placed, struct


def _flatten(jaxpr, consts, operands, steps, env):
    """Appends the equations of `jaxpr` to `steps`, inner jits inlined."""
    env.update(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, operands, strict=True))

    def read(atom):
        return atom.val if isinstance(atom, Literal) else env[atom]

    for eqn in jaxpr.eqns:
        operands = [read(a) for a in eqn.invars]
        if eqn.primitive.name == "jit":
            body, body_consts = inner(eqn.params["jaxpr"])
            outs = _flatten(body, body_consts, operands, steps, {})
        else:
            outs = [_Slot() for _ in eqn.outvars]
            bound = functools.partial(
                eqn.primitive.bind, **call_params(eqn.primitive, eqn.params)
            )
            steps.append((bound, eqn.primitive.multiple_results, operands, outs))
        env.update(zip(eqn.outvars, outs, strict=True))
    return [read(a) for a in jaxpr.outvars]


class _Slot:
    """A place for an intermediate value of a replayed program."""

    __slots__ = ()


class _Program:
    """A small function of arrays as a list of bound primitives.

    The Python operators of `jax.numpy` cost several times what binding the primitive
    costs; a slope is therefore traced once per type and replayed.
    """

    def __init__(self, fun, avals):
        structs = [struct(a) for a in avals]
        with jax.numpy_rank_promotion("allow"):
            closed, out = jax.make_jaxpr(fun, return_shape=True)(*structs)
        jaxpr, consts = inner(closed)
        self.inputs = [_Slot() for _ in jaxpr.invars]
        self.steps = []
        self.outputs = _flatten(jaxpr, consts, self.inputs, self.steps, {})
        self.out_tree = jax.tree.structure(out)

    def __call__(self, *arrays):
        env = dict(zip(self.inputs, arrays, strict=True))
        for bound, multiple, operands, outs in self.steps:
            result = bound(*[env[o] if type(o) is _Slot else o for o in operands])
            if multiple:
                env.update(zip(outs, result, strict=True))
            else:
                env[outs[0]] = result
        found = [env[o] if type(o) is _Slot else o for o in self.outputs]
        return self.out_tree.unflatten(found)


@functools.lru_cache(maxsize=4096)
def _program(fun, static, avals, x64):
    return _Program(functools.partial(fun, *static), avals)


@functools.lru_cache(maxsize=4096)
def _compiled(fun, static):
    return jax.jit(functools.partial(fun, *static))


def replay(fun: Callable, static: tuple, *arrays):
    """`fun(*static, *arrays)`, traced once per type of the arrays.

    Args:
      fun: a function at module level, made of a few array operations.
      static: hashable leading arguments, part of the cache key.
      *arrays: arrays or tracers.

    Cost: on concrete arrays one compiled call; on tracers one `bind` an operation.
    """
    if not any(isinstance(a, Tracer) for a in arrays):
        return _compiled(fun, static)(*arrays)
    avals = tuple(jax.typeof(a) for a in arrays)
    if any(placed(a) for a in avals):
        return fun(*static, *arrays)
    return _program(fun, static, avals, jax.config.jax_enable_x64)(*arrays)  # pyright: ignore


def traced(fun: Callable, params, avals: tuple):
    """The program of `fun(*arrays, **params)`, traced once per type of the arrays."""
    if any(placed(a) for a in avals):
        return _trace(fun, params, avals)
    return _traced(fun, params, avals, jax.config.jax_enable_x64)  # pyright: ignore


def _trace(fun, params, avals):
    with jax.numpy_rank_promotion("allow"):
        return jax.make_jaxpr(functools.partial(fun, **params))(*avals)


@functools.lru_cache(maxsize=1024)
def _traced(fun, params, avals, x64):
    return _trace(fun, params, avals)
