"""Scatters one window after the other, where a compiler has none.

x.at[[3, 5]].add(u)        x[3] += u[0]; x[5] += u[1], in a loop of its own
"""

import math
from collections.abc import Sequence

import jax
import jax.core
from jax import lax

from ... import ir
from .. import in_place

_HOLDING = ("cond", "for_cpu", "jit", "one_function", "scan", "while")
_KINDS = ("scatter", "scatter-add")


def one_by_one(eqn) -> bool:
    """Whether a scatter can be done one window after the other."""
    return not eqn.params["dimension_numbers"].operand_batching_dims


def without_scatters(jaxpr, consts: Sequence, operands: Sequence) -> list:
    """The outputs of a program, its scatters, also those in what it holds, done one
    window after the other."""
    if not _scatters(jaxpr):
        return jax.core.eval_jaxpr(jaxpr, consts, *operands)

    def each(eqn, values):
        with ir.equation_context(eqn):
            if eqn.primitive.name in _KINDS:
                x, indices, updates = values
                name = eqn.primitive.name
                return [_windows(name, x, indices, updates, eqn.params)]
            params = ir.call_params(eqn.primitive, eqn.params)
            if eqn.primitive.name in _HOLDING and _holds(eqn):
                params = {k: _rewritten(v) for k, v in params.items()}
            return ir.evaluate(eqn.primitive, values, params)

    return ir.evaluate_equations(each, jaxpr, consts, operands)


@ir.once_per_program
def _scatters(jaxpr) -> bool:
    return any(eqn.primitive.name in _KINDS or _holds(eqn) for eqn in jaxpr.eqns)


def _holds(eqn) -> bool:
    programs = ir.inner_programs(eqn.params)
    return any(_scatters(ir.inner(program)[0]) for program in programs)


def _rewritten(value):
    """A parameter of an equation with its programs without scatters."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(_rewritten, value))
    if not hasattr(value, "eqns"):
        return value
    jaxpr, consts = ir.inner(ir.closed(value))
    if not _scatters(jaxpr):
        return value
    types = [ir.struct(var.aval) for var in jaxpr.invars]
    return jax.make_jaxpr(lambda *xs: without_scatters(jaxpr, consts, xs))(*types)


def _windows(name: str, x, indices, updates, params):
    numbers = params["dimension_numbers"]
    count = math.prod(indices.shape[:-1])
    kept = numbers.update_window_dims
    first = [axis for axis in range(updates.ndim) if axis not in kept]
    parts = lax.transpose(updates, (*first, *kept))
    parts = lax.reshape(parts, (count, *[updates.shape[axis] for axis in kept]))
    places = lax.reshape(indices, (count, indices.shape[-1]))
    numbers = numbers._replace(update_window_dims=tuple(range(len(kept))))
    whole = {**params, "dimension_numbers": numbers}

    def put(i, x):
        part = lax.dynamic_index_in_dim(parts, i, 0, False)
        place = lax.dynamic_index_in_dim(places, i, 0, False)
        window = in_place.window_of(x.shape, place, part.shape, whole)
        assert window is not None
        old = in_place.window(x, window.starts, window.shape)
        part = lax.reshape(part, window.shape)
        new = part if name == "scatter" else lax.add(old, part)
        return in_place.write(x, window.chosen(new, old), window.starts)

    if count == 1:
        return put(0, x)
    return lax.fori_loop(0, count, put, x)
