"""Writing at computed places: scatter and its kinds.

Where an update is dropped because its place is out of bounds, its cotangent is 0.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core.primitives import scatter_mul_p

from .. import ir
from ..errors import MissingRule
from ..linear import in_place
from ..linear.base import Edge, Params
from ..linear.for_cpu import for_cpu
from ..linear.labels import Form
from ..linear.primitive import JointlyThroughPrimitive
from .indexing import are_known_apart, meet_whole
from .registry import MOVES, SCATTERS, General, Linear, linear, register


def gathered(y, indices, updates, params, gather=lax.gather):
    """What stands in `y` where a scatter with these parameters writes `updates`."""
    numbers = params["dimension_numbers"]
    windows = iter(numbers.update_window_dims)
    removed = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    sizes = [
        1 if axis in removed else updates.shape[next(windows)]
        for axis in range(len(y.shape))
    ]
    return gather(
        y,
        indices,
        lax.GatherDimensionNumbers(
            offset_dims=numbers.update_window_dims,
            collapsed_slice_dims=numbers.inserted_window_dims,
            start_index_map=numbers.scatter_dims_to_operand_dims,
            operand_batching_dims=numbers.operand_batching_dims,
            start_indices_batching_dims=numbers.scatter_indices_batching_dims,
        ),
        slice_sizes=sizes,
        indices_are_sorted=params["indices_are_sorted"],
        unique_indices=params["unique_indices"],
        mode=params["mode"],
        fill_value=0,
    )


def scattered(scatter, x, indices, updates, params):
    """`updates` brought into `x` by one of lax's scatters."""
    return scatter(
        x,
        indices,
        updates,
        params["dimension_numbers"],
        indices_are_sorted=params["indices_are_sorted"],
        unique_indices=params["unique_indices"],
        mode=params["mode"],
    )


_read_at = functools.partial(in_place.read_at, linear=True)


def _in_place(y_bar, x, indices, updates, params) -> bool:
    """Whether the cotangent of an array that is written to is updated in place."""
    if not ir.is_tracer(y_bar):
        return False
    one = meeting(indices, params) <= 1
    return in_place.is_part(updates.shape if one else (), x)


def _read(y_bar, indices, updates, params):
    """The cotangent of updates that are added. Compilers would compute that of their
    places anew for each that reads it, so on CPUs the gather is a call of its own."""
    if updates.size <= y_bar.size or ir.placed(ir.typeof(y_bar)):
        return gathered(y_bar, indices, updates, params)
    like = jax.ShapeDtypeStruct(updates.shape, y_bar.dtype)
    how = Params({**params, "updates": like})
    return for_cpu(_gather, _gather, y_bar, indices, how=how)


def _gather(y_bar, indices, *, how):
    return gathered(y_bar, indices, how["updates"], how)


# scatter-add: the operand's cotangent passes, the update's is read at its place.
def _add_transpose(y_bar, x, indices, updates, **params):
    if not _in_place(y_bar, x, indices, updates, params):
        return [y_bar, None, _read(y_bar, indices, updates, params)]
    window = in_place.window_of(x.shape, indices, updates.shape, params)
    if window is None:
        part = gathered(y_bar, indices, updates, params, _read_at)
        return [y_bar, None, part]
    part = in_place.read(y_bar, window.starts, window.shape, linear=True)
    return [y_bar, None, window.inside_alone(part, updates.shape)]


def _sub_transpose(y_bar, x, indices, updates, **params):
    x_bar, _, part = _add_transpose(y_bar, x, indices, updates, **params)
    return [x_bar, None, lax.neg(part)]


linear("scatter-add", transpose=_add_transpose, operands=(0, 2), form=SCATTERS)
linear(
    "scatter-sub",
    transpose=_sub_transpose,
    operands=(0, 2),
    form=Form(scatters=True),
)


# scatter, when no place is written twice: linear in operand and updates.
def _write_transpose(y_bar, x, indices, updates, **params):
    if _in_place(y_bar, x, indices, updates, params):
        window = in_place.window_of(x.shape, indices, updates.shape, params)
        if window is not None:
            part = in_place.read(y_bar, window.starts, window.shape, linear=True)
            kept = window.chosen(in_place.zeros_after(part, part.dtype), part)
            x_bar = in_place.write(y_bar, kept, window.starts)
            return [x_bar, None, window.inside_alone(part, updates.shape)]
        part = gathered(y_bar, indices, updates, params, _read_at)
        cleared = in_place.zeros_after(part, y_bar.dtype)
    else:
        part = gathered(y_bar, indices, updates, params)
        cleared = lax.full(updates.shape, 0, y_bar.dtype)
    return [scattered(lax.scatter, y_bar, indices, cleared, params), None, part]


# When places may be written twice, which update stays is known only afterwards. Each
# window of updates is numbered from 1 and the numbers are scattered: a place keeps the
# number of the window that won it. Only that window's cotangent is read there.
class _Overwriting:
    """What pushes tangents through a scatter; the winners are its fourth operand."""

    name, multiple_results = "scatter", False

    def bind(self, x_dot, indices, updates_dot, won, **params):
        cleared = lax.full(updates_dot.shape, 0, x_dot.dtype)
        kept = scattered(lax.scatter, x_dot, indices, cleared, params)
        return scattered(
            lax.scatter_add, kept, indices, masked(won, updates_dot), params
        )


_OVERWRITING = _Overwriting()


def _overwrite_transpose(y_bar, x, indices, updates, won, **params):
    x_bar, _, part = _write_transpose(y_bar, x, indices, updates, **params)
    return [x_bar, None, masked(won, part), None]


def _overwrite(walker, primitive, values, dots, params):
    x, indices, updates = values
    if dots[2] is None:  # then it does not matter who wins
        return _write_once(walker, primitive, values, dots, params)
    outs = ir.evaluate(primitive, values, params)
    won = _won(ir.typeof(x), indices, ir.typeof(updates), params)
    avals = ir.typeof(x), None, ir.typeof(updates), None
    active = tuple([place for place in (0, 2) if dots[place] is not None])
    it = JointlyThroughPrimitive(
        _OVERWRITING, Params(params), _overwrite_transpose, avals, active, (0,), MOVES
    )
    edge = Edge(it, (indices, won), active, (0,))
    return outs, walker.extend([edge], dots, outs)


def _won(x, indices, updates, params):
    """Which updates stay, (*updates)."""
    if _are_apart(x, indices, params):
        return _won_of_few(indices, updates, params)
    numbers = _numbered(updates, params)
    winners = lax.full(x.shape, 0, numbers.dtype)
    winners = scattered(lax.scatter, winners, indices, numbers, params)
    return lax.eq(numbers, gathered(winners, indices, updates, params))


def _are_apart(x, indices, params) -> bool:
    """Whether windows that begin at different places do not meet, and are so few that
    all pairs of them are compared sooner than the whole is written."""
    exact = params["mode"] != lax.GatherScatterMode.CLIP
    count = meeting(indices, params)
    few = count * count <= max(math.prod(x.shape), 256)
    return exact and few and meet_whole(params["dimension_numbers"])


def _won_of_few(indices, updates, params):
    """`_won` by comparing starts: the numbers meet in an array of their own."""
    windows = params["dimension_numbers"].update_window_dims
    rest = [axis for axis in range(len(updates.shape)) if axis not in windows]
    count = meeting(indices, params)
    at = lax.reshape(indices, (count, indices.shape[-1]))
    columns = [lax.index_in_dim(at, i, 1, False) for i in range(at.shape[1])]
    everywhere = lax.full((count, count), True)
    same = functools.reduce(lax.bitwise_and, map(_equal_pairs, columns), everywhere)
    # The least number of an equal one: an argmax would keep two values a pair.
    numbers = lax.broadcasted_iota(np.int32, (count, count), 0)
    first = lax.reduce_min(
        lax.select(same, numbers, lax.full_like(numbers, count)), (0,)
    )
    own = lax.add(lax.iota(np.int32, count), np.int32(1))
    into = lax.ScatterDimensionNumbers((), (0,), (0,))
    start = lax.full((count,), 0, np.int32)
    winners = lax.scatter(start, lax.expand_dims(first, (1,)), own, into)
    won = lax.eq(winners[first], own)
    won = lax.reshape(won, [updates.shape[axis] for axis in rest])
    return lax.broadcast_in_dim(won, updates.shape, rest)


def _equal_pairs(values):
    """Which numbers are equal, (n, n)."""
    pairs = (*values.shape, *values.shape)
    own, other = (lax.broadcast_in_dim(values, pairs, (axis,)) for axis in (0, 1))
    return lax.eq(own, other)


def _numbered(updates, params):
    """Per element of the updates the number, from 1, of its window."""
    windows = params["dimension_numbers"].update_window_dims
    rest = [axis for axis in range(len(updates.shape)) if axis not in windows]
    shape = [updates.shape[axis] for axis in rest]
    count = math.prod(shape)
    dtype = np.uint32 if count < 2**32 - 1 else np.uint64
    one = lax.full(shape, 1, dtype)
    numbers = lax.add(lax.reshape(lax.iota(dtype, count), shape), one)
    return lax.broadcast_in_dim(numbers, updates.shape, rest)


def masked(mask, x_dot):
    return lax.select(mask, x_dot, lax.full(x_dot.shape, 0, x_dot.dtype))


_write_once = Linear(_write_transpose, (0, 2), MOVES)


def _scatter_rule(walker, primitive, values, dots, params):
    if params.get("update_jaxpr") is not None:
        raise MissingRule(
            "`scatter_apply` has no derivative, here as in JAX. Gather the values, "
            "apply the function, and scatter what comes out."
        )
    once = params["unique_indices"] or meeting(values[1], params) <= 1
    once = once or are_known_apart(
        ir.typeof(values[0]), values[1], params["dimension_numbers"]
    )
    if once:
        params = params | {"unique_indices": True}
    chosen = _write_once if once else _overwrite
    return chosen(walker, primitive, values, dots, params)


def meeting(indices, params):
    """How many windows may meet one another."""
    batched = params["dimension_numbers"].scatter_indices_batching_dims
    shape = ir.typeof(indices).shape[:-1]
    return math.prod(n for axis, n in enumerate(shape) if axis not in batched)


register("scatter", _scatter_rule, kind="moves")


# scatter-mul: y = x times its updates. The slope in an update u_k is x times the other
# updates of the same place: those before it times those after it, in order of places.
# Nothing is divided, so it and all its derivatives are right where updates are 0.
def _mul_transpose(y_bar, x_dot, indices, updates, **params):
    return scattered(lax.scatter_mul, y_bar, indices, updates, params)


_scale = Linear(_mul_transpose, (0,))


def _mul_jvp(primals, tangents, **params):
    x, indices, updates = primals
    x_dot, _, updates_dot = tangents
    y = scatter_mul_p.bind(x, indices, updates, **params)
    if not params["unique_indices"] and meeting(indices, params) > 1:
        slopes = _others(x, indices, updates, params)
    else:
        slopes = gathered(x, indices, updates, params)
    nothing = lax.full(x.shape, 0, x.dtype)
    gained = lax.mul(slopes, updates_dot)
    y_dot = scattered(lax.scatter_add, nothing, indices, gained, params)
    if x_dot is not None:
        y_dot = lax.add(y_dot, scatter_mul_p.bind(x_dot, indices, updates, **params))
    return y, y_dot


def _others(x, indices, updates, params):
    """Per update: x times the other updates of its place."""
    size = updates.size
    dtype = np.int32 if x.size < 2**31 - 1 else np.int64
    numbers = lax.add(lax.iota(dtype, x.size), np.ones((), dtype))
    places = gathered(lax.reshape(numbers, x.shape), indices, updates, params)
    places, factors = lax.reshape(places, (size,)), lax.reshape(updates, (size,))
    dropped = lax.eq(places, lax.full_like(places, 0))
    factors = lax.select(dropped, lax.full_like(factors, 1), factors)
    order = jnp.argsort(places)
    places, factors = places[order], factors[order]
    backwards = (lax.rev(v, (0,)) for v in (factors, places))
    before = _products_before(factors, places)
    after = lax.rev(_products_before(*backwards), (0,))
    others = lax.mul(before, after)[jnp.argsort(order)]
    at = gathered(x, indices, updates, params)
    return lax.mul(at, lax.reshape(others, updates.shape))


def _products_before(values, places):
    """Of every value the product of those before it at the same place, 1 of none.

    By doubling: after k steps it is that of the 2^k before it.
    """
    one = lax.full((), 1, values.dtype)
    found = _met(values, places, 1, one)
    reach = 1
    while reach < values.size:
        found = lax.mul(found, _met(found, places, reach, one))
        reach *= 2
    return found


def _met(values, places, by, one):
    """The value `by` places before, or 1 where that is at another place."""
    shifted = lax.pad(values, one, [(by, -by, 0)])
    others = lax.pad(places, lax.full((), -1, places.dtype), [(by, -by, 0)])
    return lax.select(lax.eq(places, others), shifted, lax.full_like(shifted, 1))


_scaled_by = General(_mul_jvp)


def _scatter_mul_rule(walker, primitive, values, dots, params):
    rule = _scale if dots[2] is None else _scaled_by
    return rule(walker, primitive, values, dots, params)


register("scatter-mul", _scatter_mul_rule)
