"""Whole Jacobians within a byte budget: so many columns or rows a sweep as fit.

What a sweep needs beside the Jacobian, the tape and the arguments grows with the number
of its seeds: each carries one tangent or cotangent of every value that is alive. How
much, the compiler fuses as it likes: so it is asked, with all seeds first, then with as
many as seem to fit. Of those that fit the one is taken that starts the fewest kernels
and touches the fewest bytes. The Jacobian is written in place, chunk by chunk.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import ir, tree
from ..errors import InvalidArgument
from ..settings import bytes_of
from .dispatched import kernels_started

TRIES = 3  # numbers of seeds between all and one that are compiled
FULL = 0.8  # of the budget: no more seeds are looked for
CACHE = 1 << 19  # bytes that stand in between; with more, fewer seeds are tried too,
ENOUGH = 16  # but not less than these: a product of few columns is slow
FEW = 1, 2  # seeds whose loops XLA may compile into one kernel: tried too,
MANY = 200  # where so many kernels are started
START_S = 2e-8  # to start a kernel, and bytes touched first in a second: of a usual CPU
LIBRARY = 16  # times as long where it calls a library
FRESH = 5e9


class Peak(NamedTuple):
    """Bytes that XLA plans.

    Fields:
      fixed: of arguments and results.
      total: with all that stands between.
      started: kernels in a run, each time that it is started; a library's `LIBRARY`
        times.
      scatters: whether it adds to places of an array one after another.
    """

    fixed: int
    total: int
    started: int = 0
    scatters: bool = False

    @property
    def extra_s(self) -> float:
        """A guess at what the pieces take beside the work, which is the same in all."""
        return self.started * START_S + (self.total - self.fixed) / FRESH


def checked(budget_bytes: int | str | None) -> int | None:
    """The budget as a number of bytes.

    Raises:
      InvalidArgument: it is neither None, nor a positive number, nor such as "60MB".
    """
    if budget_bytes is None:
        return None
    return bytes_of(budget_bytes, "budget_bytes")


def peak_bytes(fun: Callable, args: Sequence) -> Peak:
    """What XLA plans for a function of these arguments, compiled and not run.

    Arguments that are arrays, and arrays that the function closes over, count; those of
    an outer trace are taken by their types, so that it may be asked anywhere.

    Raises:
      InvalidArgument: the device's compiler does not say.
    """
    leaves, structure = jax.tree.flatten(args)
    places = [i for i, leaf in enumerate(leaves) if hasattr(leaf, "dtype")]

    def of(*given):
        whole = list(leaves)
        for place, value in zip(places, given, strict=True):
            whole[place] = value
        found = jax.tree.leaves(fun(*structure.unflatten(whole)))
        return [leaf for leaf in found if hasattr(leaf, "dtype")]

    types = [ir.struct(ir.typeof(leaves[place])) for place in places]
    program, held = ir.inner(jax.make_jaxpr(of)(*types))
    call = jax.jit(lambda held, given: jax.core.eval_jaxpr(program, held, *given))
    held = [ir.struct(ir.typeof(value)) for value in held]
    compiled = call.lower(held, types).compile()
    plan = compiled.memory_analysis()
    if plan is None:
        raise InvalidArgument(
            f"`budget_bytes` cannot be kept on {jax.default_backend()}: its compiler "
            "does not say how many bytes a program takes. Leave it out."
        )
    fixed = plan.argument_size_in_bytes + plan.output_size_in_bytes
    fixed -= plan.alias_size_in_bytes
    text = compiled.as_text() or ""
    started = kernels_started(text, LIBRARY)
    total = fixed + plan.temp_size_in_bytes
    return Peak(fixed, total, started, " scatter(" in text)


def tried(budget: int, peak: Callable, count: int) -> dict[int, Peak]:
    """Numbers of seeds a sweep, and XLA's peaks with them: all if that keeps within a
    budget, else the most that were found to, and fewer, if they may be faster.

    Args:
      peak: peak(seeds a sweep) -> Peak.
      count: all of them.

    Cost: at most `TRIES` + 6 compilations; one where all fit.
    """
    found = {count: peak(count)}
    if found[count].total <= budget:
        return found
    low, high = (0, found[count].fixed), (count, found[count].total)
    for turn in range(TRIES):
        low, high = _nearer(budget, peak, found, low, high, turn)
    if not low[0]:  # one seed may take more bytes than two
        few = [size for size in FEW if size < count]
        found |= {size: peak(size) for size in few if size not in found}
        fits = [(n, one.total) for n, one in found.items() if one.total <= budget]
        low = max(fits, default=low)
        high = min(
            (n, p.total) for n, p in found.items() if n > low[0] and p.total > budget
        )
        if fits:
            low, _ = _nearer(budget, peak, found, low, high, TRIES)
    for size in _smaller(low[0], found, count):
        if size not in found:
            found[size] = peak(size)
    return found


def _evened(size: int, count: int) -> int:
    """The fewest seeds a sweep that need no more sweeps: the last repeats the least."""
    return -(-count // -(-count // size))


def _nearer(budget: int, peak: Callable, found: dict, low: tuple, high: tuple, turn):
    """Most seeds that fit and least that do not, each with its bytes, after a trial
    between them."""
    enough = low[0] and low[1] > FULL * budget and turn < TRIES
    if high[0] - low[0] <= 1 or enough:
        return low, high
    count = max(found)
    # As if bytes grew with the seeds, from those that fit to those that do not; some
    # less where that was too many.
    share = (budget - low[1]) / max(high[1] - low[1], 1)
    share = min(max(share, 0.0), 1.0) * (FULL if turn and not low[0] else 1.0)
    size = low[0] + int((high[0] - low[0]) * share)
    size = min(max(size, low[0] + 1), high[0] - 1)
    size = max(_evened(size, count), low[0] + 1)
    found[size] = peak(size)
    here = size, found[size].total
    return (here, high) if here[1] <= budget else (low, here)


def _smaller(most: int, found: dict[int, Peak], count: int) -> list[int]:
    """Fewer seeds than the most that fit, that are tried too."""
    if not most:
        return []
    sizes, between = [], found[most].total - found[most].fixed
    if between > CACHE:
        size = max(int(most * CACHE / between), min(ENOUGH, most))
        sizes.append(_evened(size, count))
    if found[most].scatters:
        sizes = [_odd(size) for size in (most, *sizes)]
    if found[most].started > MANY:
        sizes += [size for size in FEW if size < most]
    return sizes


def _odd(size: int) -> int:
    return size - 1 + size % 2 if size > 1 else size


def quickest(budget: int, found: dict[int, Peak]) -> int:
    """The number of seeds that keeps within the budget at the least cost; 0 if none.

    Of those that scatter an odd one: XLA's loops over windows of an even number took
    1.5 times as long (CPUs; rows through embeddings, columns through graph networks).
    """
    within = [size for size, peak in found.items() if peak.total <= budget]
    cost = lambda n: (found[n].scatters and n % 2 == 0, found[n].extra_s)  # noqa: E731
    return min(within, key=cost, default=0)


def fitted(ways: Sequence, count: int, budget: int, args: Sequence) -> Callable:
    """The first of the functions `way(seeds a sweep)` that keeps within a budget, with
    the number of seeds that seems quickest.

    Raises:
      InvalidArgument: in no way one fits; the least budget is named.
    """
    least = []
    for way in ways:
        found = tried(budget, lambda size, way=way: peak_bytes(way(size), args), count)
        size = quickest(budget, found)
        if size or found[count].total <= budget:
            return way(max(size, 1))
        least += [peak.total for peak in found.values()]
    raise too_little(budget, min(least))


def too_little(budget: int, least: int) -> InvalidArgument:
    """What is raised where not one seed fits."""
    return InvalidArgument(
        f"`budget_bytes` must be {least:,} at least, but is {budget:,}: so much XLA "
        "plans for arguments, tape, Jacobian, and one column or row at a time."
    )


def columns(program, leaves: Sequence, outs: Sequence, size: int) -> list:
    """Per output (*y, n), by pushforwards, `size` at a time; None where the derivative
    is zero."""
    count = size_of(leaves)
    sweep = jax.vmap(program.push, out_axes=-1)
    return _in_chunks(lambda start: sweep(_seeds(leaves, start, size)), count, size, -1)


def rows(program, leaves: Sequence, outs: Sequence, size: int) -> list:
    """Per input (m, *x), by pullbacks, `size` at a time."""
    count = size_of(outs)
    sweep = jax.vmap(program.pull)
    return _in_chunks(lambda start: sweep(_seeds(outs, start, size)), count, size, 0)


def size_of(leaves: Sequence) -> int:
    """Elements of all of them."""
    return sum(math.prod(jnp.shape(leaf)) for leaf in leaves)


def _seeds(leaves: Sequence, start, size: int) -> list:
    """Unit vectors `start` to `start + size`, per leaf (size, *leaf)."""
    found, offset = [], 0
    for leaf in leaves:
        shape, aval = jnp.shape(leaf), ir.tangent_aval(ir.typeof(leaf))
        length = math.prod(shape)
        ones = lax.broadcasted_iota(np.int32, (size, length), 0) + start
        places = lax.broadcasted_iota(np.int32, (size, length), 1) + offset
        found.append((ones == places).astype(aval.dtype).reshape((size, *shape)))
        offset += length
    return found


def _in_chunks(sweep: Callable, count: int, size: int, axis: int) -> list:
    """What `sweep(start)` gives along an axis, for all starts; the last chunk begins
    early, so that all are of one size and nothing is padded."""
    if size >= count:
        return sweep(np.int32(0))
    types = jax.eval_shape(sweep, np.int32(0))

    def whole(t):
        shape = (count, *t.shape[1:]) if axis == 0 else (*t.shape[:-1], count)
        return jnp.zeros(shape, t.dtype)

    def step(chunk, found):
        start = jnp.minimum(chunk * size, count - size).astype(np.int32)
        return jax.tree.map(
            lambda there, new: lax.dynamic_update_slice_in_dim(
                there, new, start, axis if axis == 0 else there.ndim - 1
            ),
            found,
            sweep(start),
        )

    chunks = -(-count // size)
    return lax.fori_loop(0, chunks, step, jax.tree.map(whole, types))


def split_columns(found: Sequence, primals, outs) -> list[list]:
    """Per output leaf and input leaf the array (*y, *x)."""
    leaves = jax.tree.leaves(primals)
    count = sum(math.prod(jnp.shape(x)) for x in leaves)
    blocks = []
    for column, y in zip(found, outs, strict=True):
        if column is None:
            column = jnp.zeros((*jnp.shape(y), count), ir.typeof(y).dtype)
        blocks.append(tree.split_axis(column, leaves, -1, y))
    return blocks


def split_rows(found: Sequence, primals, outs) -> list[list]:
    """The same from (m, *x) per input leaf."""
    leaves, count = jax.tree.leaves(primals), sum(math.prod(jnp.shape(y)) for y in outs)
    columns = []
    for row, x in zip(found, leaves, strict=True):
        if row is None:
            row = jnp.zeros((count, *jnp.shape(x)), ir.typeof(x).dtype)
        columns.append(tree.split_axis(row, list(outs), 0, x))
    return [list(row) for row in zip(*columns, strict=True)]
