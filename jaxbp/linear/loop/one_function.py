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
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core.primitives import broadcast_in_dim_p, slice_p
from jax.interpreters import mlir, partial_eval

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
    "closed_call cond custom_jvp_call custom_vjp_call for_cpu jit one_function scan "
    "while".split()
)


class _OneFunction(ir.Primitive):
    """The call of a program that the CPU's compiler takes as one function.

    Bound again by a transformation or a walk it is the program alone: then the call is
    another.
    """

    multiple_results = True

    def bind(self, *operands, jaxpr, written):
        return ir.evaluate_program(jaxpr, operands)

    def stage(self, program, operands, written):
        return super().bind(*operands, jaxpr=program, written=written)


def as_one_function(run: Callable, carry, *others):
    """`run(carry, *others)`, a loop from `carry` on, as one function.

    That is a call which the CPU's compiler takes as one; it is made where the program
    is staged for one device, and all in it is small and of kinds that it can emit.
    """
    if not ir.is_traced_plainly(ir.current_trace()) or not _alone():
        return run(carry, *others)
    program, types = jax.make_jaxpr(run, return_shape=True)(carry, *others)
    tree = jax.tree.structure(types)
    program, consts = ir.constants_first(program)
    operands = [*consts, *jax.tree.leaves((carry, *others))]
    operands = list(map(ir.array, operands))
    some = tree.num_leaves and operands
    if not some or any(x.size == 0 for x in some) or not is_small(ir.inner(program)[0]):
        return jax.tree.unflatten(tree, ir.evaluate_program(program, operands))
    first = len(consts)
    carried = range(first, first + len(jax.tree.leaves(carry)))
    written = [i in carried and _size(x) > MOST for i, x in enumerate(operands)]
    outs = one_function_p.stage(program, operands, tuple(written))
    return jax.tree.unflatten(tree, outs)


def _called(*operands, jaxpr, written):
    """The program as a call of its own; its name is for the compiler."""
    count = len(ir.inner(jaxpr)[0].outvars)

    def one_function(*operands):
        pairs = list(zip(operands, written, strict=True))
        read = [x for x, writes in pairs if not writes]
        operands = [_touched(x) if writes else x for x, writes in pairs]
        return [*without_scatters(*ir.inner(jaxpr), operands), *map(_first, read)]

    # Behind a barrier: a constant would be taken into the call by the compiler, and
    # nothing would read the operand.
    operands = lax.optimization_barrier_p.bind(*operands)
    outs = jax.jit(one_function)(*operands)
    made = [i for i, y in enumerate(outs) if all(y is not x for x in operands)]
    for i in made[:1]:
        names = {"xla_cpu_small_call": "true", "inlineable": "false"}
        outs[i] = set_xla_metadata(outs[i], **names)
    return outs[:count]


def _lowered(context, *operands, **params):
    on_cpu = tuple(context.module_context.platforms) == ("cpu",)
    return (_CALLED if on_cpu else _INLINE)(context, *operands, **params)


one_function_p = _OneFunction(NAME)
one_function_p.def_abstract_eval(lambda *_, jaxpr, written: jaxpr.out_avals)
_CALLED = mlir.lower_fun(_called, multiple_results=True)
_INLINE = mlir.lower_fun(one_function_p.bind, multiple_results=True)
mlir.register_lowering(one_function_p, _lowered)


def _used(wanted: Sequence[bool], *others):
    """The call without what nothing asks for of it, as JAX looks for when it lowers.

    A compiler takes it out of a loop, and not out of a call: residuals of which only
    some are needed after all would be kept.

    Args:
      others: the equation, the last of them (from 0.12 on there is one before it).
    """
    eqn = others[-1]
    if not any(wanted):
        return [False] * len(eqn.invars), None
    program, consts = ir.inner(eqn.params["jaxpr"])
    if all(wanted) or consts:
        return [True] * len(eqn.invars), eqn
    fewer, read = partial_eval.dce_jaxpr(program, list(wanted))
    if not any(read):
        return [True] * len(eqn.invars), eqn
    written = eqn.params["written"]
    params = dict(
        jaxpr=ir.closed(fewer),
        written=tuple([w for w, on in zip(written, read, strict=True) if on]),
    )
    invars = [v for v, on in zip(eqn.invars, read, strict=True) if on]
    outvars = [v for v, on in zip(eqn.outvars, wanted, strict=True) if on]
    return read, eqn.replace(invars=invars, outvars=outvars, params=params)


partial_eval.dce_rules[one_function_p] = _used


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
    if name == "optimization_barrier":
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
