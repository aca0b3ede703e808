"""Small loops, compiled to one function each on the CPU.

    XLA:CPU runs a program kernel by kernel; to start one takes some 50 ns, whatever it
    does. A step of tens of operations on a few numbers is all starts.
    as one function:  the loop, its steps and all they do are one kernel

XLA does so by itself for loops that read and write less than 1 KiB a step, which is
what a function often does, and its derivative does not. A call that bears the name of
such a loop is compiled in the same way. It is a hint: the numbers are the same, and a
compiler that does not know the name compiles a call.

What may be inside is what XLA's emitter of such calls can emit: no scatter, sort or
library call, and nothing so large that a library does it.
"""

import functools
import math
from collections.abc import Callable

import jax
import numpy as np
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core.primitives import broadcast_in_dim_p, slice_p
from jax.interpreters import mlir

from ... import ir
from .. import in_place
from .scatters import one_by_one, without_scatters

NAME = "one_function"
MOST = 1024  # elements of an array that a step computes or reduces
PRODUCTS = 256  # of a product of matrices; one of more is a library's
PRODUCTS_OF_VECTOR = 2048
ROWS = 8  # or columns, of a factor that is a matrix: with as many it is a library's

_ELEMENTWISE = frozenset(
    "abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp "
    "convert_element_type copy copy_p cos cosh div eq erf erf_inv erfc exp exp2 expm1 "
    "floor ge gt integer_pow is_finite le log log1p logistic lt max min mul ne neg "
    "nextafter not or pow rem round rsqrt select_n shift_left shift_right_arithmetic "
    "shift_right_logical sign sin sinh sqrt square stop_gradient sub tan tanh "
    "xor".split()
)
_MOVING = frozenset(
    "broadcast_in_dim concatenate dynamic_slice expand_dims gather iota pad reshape "
    "rev slice split squeeze stack transpose unstack".split()
)
_REDUCING = frozenset(
    "argmax argmin cummax cummin cumprod cumsum reduce_and reduce_max reduce_min "
    "reduce_or reduce_prod reduce_sum reduce_window_max reduce_window_sum".split()
)
_PLAIN = frozenset([np.dtype(kind) for kind in "?bhilqBHILQfd"])
_HOLDING = frozenset(
    "closed_call cond custom_jvp_call custom_vjp_call jit scan while".split()
)


class _Named(ir.Primitive):
    """The identity of all that a call gives, whose operation gets the name.

    Bound again by a transformation or a walk it is nothing: then the call is another.
    """

    multiple_results = True

    def bind(self, *outs):
        return list(outs)

    def names(self, outs):
        return super().bind(*outs)


def _lowered(first, *others):
    named = set_xla_metadata(first, xla_cpu_small_call="true", inlineable="false")
    return [named, *others]


def _named(context, *outs):
    operation = getattr(outs[0].owner, "operation", None)
    found = {} if operation is None else operation.attributes
    called = "callee" in found and NAME in str(found["callee"])
    on_cpu = tuple(context.module_context.platforms) == ("cpu",)
    return _NAMES(context, *outs) if on_cpu and called else list(outs)


named_p = _Named(NAME)
named_p.def_abstract_eval(lambda *outs: list(outs))
_NAMES = mlir.lower_fun(_lowered, multiple_results=True)
mlir.register_lowering(named_p, _named, cacheable=False)


def as_one_function(run: Callable, carry, *others):
    """`run(carry, *others)`, a loop from `carry` on, as one function.

    That is a call which the CPU's compiler takes as one; it is made where the program
    is staged for one device, and all in it is small and of kinds that it can emit.
    """
    if not ir.is_traced_plainly(ir.current_trace()) or not _alone():
        return run(carry, *others)
    program, types = jax.make_jaxpr(run, return_shape=True)(carry, *others)
    flat, tree = jax.tree.leaves((carry, *others)), jax.tree.structure(types)
    jaxpr, consts = ir.inner(program)
    flat, consts = [list(map(ir.array, xs)) for xs in (flat, consts)]
    some = tree.num_leaves and [*consts, *flat]
    if not some or any(x.size == 0 for x in some) or not is_small(jaxpr):
        return jax.tree.unflatten(tree, ir.evaluate_program(program, flat))

    count = len(jax.tree.leaves(carry))
    written = [i < count and _size(x) > MOST for i, x in enumerate(flat)]

    def one_function(consts, flat):
        pairs = list(zip(flat, written, strict=True))
        read = [*consts, *[x for x, writes in pairs if not writes]]
        flat = [_touched(x) if writes else x for x, writes in pairs]
        return [*without_scatters(jaxpr, consts, flat), *map(_first, read)]

    inputs = set(map(id, [*consts, *flat]))
    consts, flat = _apart(consts, flat)
    outs = jax.jit(one_function)(consts, flat)
    made = [place for place, out in enumerate(outs) if id(out) not in inputs]
    named = named_p.names([outs[place] for place in made])
    for place, out in zip(made, named, strict=True):
        outs[place] = out
    return jax.tree.unflatten(tree, outs[: tree.num_leaves])


def _apart(*groups):
    """Operands behind a barrier: where one is a constant, the compiler would take it
    into the call, and nothing would read the operand."""
    behind = iter(lax.optimization_barrier_p.bind(*[x for xs in groups for x in xs]))
    return [[next(behind) for _ in xs] for xs in groups]


def _first(x):
    """An element of what is given: the emitter fails where nothing reads an operand,
    which may become so while the call is optimised."""
    if x.ndim:
        return _corner(x)
    return broadcast_in_dim_p.bind(
        x, shape=(1,), broadcast_dimensions=(), sharding=None
    )


def _touched(x):
    """The same for an array that the loop writes, which would be copied if an element
    might be read later: it is written to where it stood."""
    part = _corner(x)
    return in_place.write(x, part, [in_place.zero_after(part)] * x.ndim)


def _corner(x):
    first, second = (0,) * x.ndim, (1,) * x.ndim
    return slice_p.bind(x, start_indices=first, limit_indices=second, strides=None)


@functools.cache
def _alone() -> bool:
    """Whether there is one device: a loop over several may be given collectives."""
    return jax.device_count() == 1


def is_one_function(jaxpr) -> bool:
    """Whether a loop with this body becomes one function where it is compiled; it says
    what is cheap, and not what is right."""
    return jax.default_backend() == "cpu" and _alone() and is_small(jaxpr)


@ir.once_per_program
def is_small(jaxpr) -> bool:
    """Whether a program's loops, and what is beside them, can be one function."""
    given = [var.aval for var in (*jaxpr.constvars, *jaxpr.invars)]
    return all(map(_is_plain, given)) and all(map(_fits, jaxpr.eqns))


def _fits(eqn) -> bool:
    name, made = eqn.primitive.name, [var.aval for var in eqn.outvars]
    if eqn.effects or not all(map(_is_plain, made)):
        return False
    if name in _ELEMENTWISE or name in _MOVING:
        return all([_size(aval) <= MOST for aval in made])
    if name in (NAME, "optimization_barrier"):
        return True
    if name in _HOLDING:
        programs = [ir.inner(ir.closed(p))[0] for p in ir.inner_programs(eqn.params)]
        return all(map(is_small, programs))
    if name in ("scatter", "scatter-add"):
        return _size(eqn.invars[2].aval) <= MOST and one_by_one(eqn)
    if name == "dot_general":
        return _is_small_product(eqn)
    if name == "dynamic_update_slice":
        return _size(eqn.invars[1].aval) <= MOST
    return name in _REDUCING and all(
        [_size(a.aval) <= MOST for a in (*eqn.invars, *eqn.outvars)]
    )


def _is_small_product(eqn) -> bool:
    left, right = [a.aval.shape for a in eqn.invars]
    (contracted, _), (batch, _) = eqn.params["dimension_numbers"]
    out = math.prod(eqn.outvars[0].aval.shape)
    products = out * math.prod([left[axis] for axis in contracted])
    batches = math.prod([left[axis] for axis in batch])
    each = max(1, batches * math.prod([left[axis] for axis in contracted]))
    if math.prod(left) == each or math.prod(right) == each:  # one is a vector
        return products <= PRODUCTS_OF_VECTOR
    sides = each, math.prod(left) * batches // each, math.prod(right) * batches // each
    return products <= PRODUCTS and max(sides) < ROWS * batches


def _is_plain(aval) -> bool:
    return getattr(aval, "dtype", None) in _PLAIN and not ir.placed(aval)


def _size(aval) -> int:
    return math.prod(aval.shape)
