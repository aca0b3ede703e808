"""Scatters that keep the largest or the smallest of what meets at a place."""

from jax import lax

from .registry import general
from .scatter import gathered, masked, meeting, scattered


# scatter-max and -min: a place's tangent is the mean of the tangents of all that attain
# its value: the operand's own and those of updates, as in JAX. Where updates are many
# they are counted place by place: then each gathers its place's cotangent alone.
def _extreme(scatter):
    def jvp(primals, tangents, **params):
        x, indices, updates = primals
        x_dot, _, updates_dot = tangents
        y = scattered(scatter, x, indices, updates, params)
        wins = lax.eq(updates, gathered(y, indices, updates, params))
        find = _means if x.size <= MANY_PLACES * updates.size else _moved
        return y, find(x, y, indices, wins, x_dot, updates_dot, params)

    return jvp


MANY_PLACES = 4  # for an update: of more, those that it goes to are looked at alone


def _means(x, y, indices, wins, x_dot, updates_dot, params):
    """The tangent of `y`, from the number of those that win at each of its places."""
    nothing, one = lax.full(x.shape, 0, x.dtype), lax.full_like(x, 1)
    stays = lax.bitwise_or(lax.eq(x, y), lax.ne(x, x))
    count = lax.convert_element_type(wins, x.dtype)
    count = scattered(lax.scatter_add, nothing, indices, count, params)
    count = lax.add(count, lax.convert_element_type(stays, x.dtype))
    total = nothing if x_dot is None else lax.select(stays, x_dot, nothing)
    if updates_dot is not None:
        gained = masked(wins, updates_dot)
        total = scattered(lax.scatter_add, total, indices, gained, params)
    return lax.mul(total, lax.div(one, lax.max(count, one)))


def _moved(x, y, indices, wins, x_dot, updates_dot, params):
    """The same, as what updates change at their places."""
    own, share, rivals = _shares(x, y, indices, wins, params)
    moved = None
    if x_dot is not None:
        at = gathered(x_dot, indices, wins, params)
        moved = lax.mul(at, lax.div(lax.sub(own, lax.full_like(own, 1)), rivals))
    if updates_dot is not None:
        gained = lax.mul(updates_dot, share)
        moved = gained if moved is None else lax.add(moved, gained)
    base = lax.full(x.shape, 0, x.dtype) if x_dot is None else x_dot
    return scattered(lax.scatter_add, base, indices, moved, params)


def _shares(x, y, indices, wins, params):
    """Per update: the operand's and its own weight, and how many meet at its place."""
    one, zero = lax.full(wins.shape, 1, x.dtype), lax.full(wins.shape, 0, x.dtype)
    final = gathered(y, indices, wins, params)
    stays = lax.eq(gathered(x, indices, wins, params), final)
    alone = params["unique_indices"] or meeting(indices, params) <= 1

    def met(weights):
        if alone:
            return weights
        nothing = lax.full(x.shape, 0, x.dtype)
        total = scattered(lax.scatter_add, nothing, indices, weights, params)
        return gathered(total, indices, wins, params)

    # Out of bounds nothing meets; the maximum with 1 keeps infinities out of there.
    winners = lax.add(met(lax.select(wins, one, zero)), lax.select(stays, one, zero))
    weight = lax.div(one, lax.max(winners, one))
    own, share = lax.select(stays, weight, zero), lax.select(wins, weight, zero)
    return own, share, lax.max(met(one), one)


general("scatter-max", jvp=_extreme(lax.scatter_max))
general("scatter-min", jvp=_extreme(lax.scatter_min))
