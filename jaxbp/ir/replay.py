"""Small functions of arrays, recorded once per type and replayed.

A slope is a few operations; `jax.numpy` spends more on each than binding its primitive
costs. It is recorded by a trace of ours, once per type of its operands.
"""

import functools
from collections.abc import Callable

import jax
from jax.core import Trace, Tracer
from jax.extend.core import set_current_trace
from jax.sharding import get_abstract_mesh

from .arithmetic import Arithmetic
from .programs import evaluate_program
from .traces import current_trace, is_traced_plainly
from .values import placed, struct, typeof


class _Slot:
    """A place for an intermediate value of a replayed program."""

    __slots__ = ()


class _Recorded(Arithmetic, Tracer):
    """A value of a function that is being recorded, known by its type."""

    __slots__ = ("_slot",)

    def __init__(self, trace, aval):
        super().__init__(trace, aval)
        self._slot = _Slot()

    def full_lower(self):
        return self


class _Recording(Trace):
    """Writes primitives down as bound functions, inner jits in line."""

    __slots__ = ("names", "steps")
    staging = True

    def __init__(self):
        super().__init__()
        self.steps: list = []
        self.names: set[str] = set()

    def process_primitive(self, primitive, tracers, params, /):
        if primitive.name == "jit":
            with set_current_trace(self):
                return evaluate_program(params["jaxpr"], tracers)
        found, _ = primitive.abstract_eval(*map(typeof, tracers), **params)
        avals = found if primitive.multiple_results else [found]
        outs = [_Recorded(self, aval) for aval in avals]
        bound = functools.partial(primitive.bind, **params)
        self.names.add(primitive.name)
        operands = [_place(t) for t in tracers]
        slots = [out._slot for out in outs]
        self.steps.append((bound, primitive.multiple_results, operands, slots))
        return outs if primitive.multiple_results else outs[0]

    def stage_value(self, value):
        return value  # a constant of the program


def _place(value):
    return value._slot if type(value) is _Recorded else value


class _Program:
    """A small function of arrays as a list of bound primitives."""

    def __init__(self, fun, avals):
        trace = _Recording()
        inputs = [_Recorded(trace, aval) for aval in avals]
        with jax.numpy_rank_promotion("allow"), set_current_trace(trace):
            out = fun(*inputs)
        found, self.out_tree = jax.tree.flatten(out)
        self.inputs, self.steps = [x._slot for x in inputs], trace.steps
        self.names = frozenset(trace.names)
        self.outputs = [_place(y) for y in found]
        trace.invalidate()

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
def _program(fun, static, avals, context):
    try:
        return _Program(functools.partial(fun, *static), avals)
    except NotImplementedError:  # a call with rules of its own, as custom_jvp's
        return functools.partial(fun, *static)


@functools.lru_cache(maxsize=4096)
def _compiled(fun, static):
    return jax.jit(functools.partial(fun, *static))


def replay(fun: Callable, static: tuple, *arrays):
    """`fun(*static, *arrays)`, traced once per type of the arrays.

    Args:
      fun: a function at module level, made of a few array operations.
      static: hashable leading arguments, part of the cache key.
      *arrays: arrays or tracers.

    Cost: on concrete arrays one compiled call; on tracers, and of constants in a
    program that is traced, one `bind` an operation.
    """
    concrete = not any(isinstance(a, Tracer) for a in arrays)
    if concrete and not is_traced_plainly(current_trace()):
        return _compiled(fun, static)(*arrays)
    return _recorded(fun, static, arrays)(*arrays)


def _recorded(fun, static, arrays):
    avals = tuple([jax.typeof(a) for a in arrays])
    return _program(fun, static, avals, _context(avals))


def operations(fun: Callable, static: tuple, *arrays) -> frozenset[str]:
    """Names of the primitives of what `replay` replays; none where it has none."""
    return getattr(_recorded(fun, static, arrays), "names", frozenset())


def traced(fun: Callable, params, avals: tuple):
    """The program of `fun(*arrays, **params)`, traced once per type of the arrays."""
    return _traced(fun, params, avals, _context(avals))


@functools.lru_cache(maxsize=1024)
def _traced(fun, params, avals, context):
    with jax.numpy_rank_promotion("allow"):
        return jax.make_jaxpr(functools.partial(fun, **params))(*avals)


def _context(avals) -> tuple:
    """What a trace depends on beside types: 64 bits, and the mesh of those placed on
    one."""
    mesh = get_abstract_mesh() if any(map(placed, avals)) else None
    return jax.config.jax_enable_x64, mesh  # pyright: ignore


def shape_of(fun: Callable, static: tuple, *arrays) -> jax.ShapeDtypeStruct:
    """Shape and dtype of `fun(*static, *arrays)`; of arrays the types are enough."""
    avals = tuple([struct(typeof(a)) for a in arrays])
    return _shape_of(fun, static, avals, jax.config.jax_enable_x64)  # pyright: ignore


@functools.lru_cache(maxsize=1024)
def _shape_of(fun, static, avals, x64):
    with jax.numpy_rank_promotion("allow"):
        return jax.eval_shape(functools.partial(fun, *static), *avals)
