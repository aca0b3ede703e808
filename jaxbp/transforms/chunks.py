"""Whole Jacobians within a byte budget: so many columns or rows a sweep as fit.

What a sweep needs beside the Jacobian, the tape and the arguments grows with the number
of its seeds: each carries one tangent or cotangent of every value that is alive. From
that the number of seeds is chosen; the Jacobian is written in place, chunk by chunk.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import ir, tree
from ..errors import InvalidArgument


def check_budget(budget_bytes) -> None:
    """Raises unless it is a number of bytes, or None."""
    if budget_bytes is None:
        return
    known = isinstance(budget_bytes, int) and not isinstance(budget_bytes, bool)
    if not known or budget_bytes <= 0:
        raise InvalidArgument(
            "`budget_bytes` must be a number of bytes, above 0, or None, but is "
            f"{budget_bytes!r}."
        )


def live_bytes(program, direction: str) -> int:
    """The most bytes that one tangent ("push"), or cotangent ("pull"), of every value
    that is alive takes at a time."""
    structure = program.opened().structure
    forward = direction == "push"
    edges = structure.edges if forward else structure.edges[::-1]
    first, last = structure.ins, structure.outs
    if not forward:
        first, last = last, first
    ends: dict[int, int] = {}
    for place, edge in enumerate(edges):
        for slot in edge.ins if forward else edge.outs:
            ends[slot] = place
    for slot in last:
        if slot is not None:
            ends[slot] = len(edges)
    alive = {slot for slot in first if slot is not None}
    most = _bytes(structure, alive)
    for place, edge in enumerate(edges):
        alive.update(edge.outs if forward else edge.ins)
        most = max(most, _bytes(structure, alive))
        alive = {slot for slot in alive if ends.get(slot, -1) > place}
    return most


def _bytes(structure, slots) -> int:
    return sum(ir.nbytes(ir.tangent_aval(structure.avals[slot])) for slot in slots)


def least_bytes(program, leaves: Sequence, outs: Sequence, direction: str) -> tuple:
    """Bytes that are needed whatever the chunk, and bytes a seed."""
    held = {id(v): ir.nbytes(ir.typeof(v)) for v in (*program.tape, *leaves, *outs)}
    width = [ir.typeof(v).dtype.itemsize for v in (*leaves, *outs)]
    size = math.prod(
        [sum(math.prod(jnp.shape(v)) for v in side) for side in (leaves, outs)]
    )
    whole = size * max(width, default=0)
    if len(leaves if direction == "push" else outs) > 1:
        whole *= 2  # what was written as one is cut into leaves
    return sum(held.values()) + whole, max(1, live_bytes(program, direction))


def seeds_in(budget: int, program, leaves, outs, direction: str, count: int) -> int:
    """How many seeds a sweep may have.

    Raises:
      InvalidArgument: not one fits; the least budget is named.
    """
    base, each = least_bytes(program, leaves, outs, direction)
    found = (budget - base) // each
    if found < 1 and count:
        raise InvalidArgument(
            f"`budget_bytes` must be {base + each:,} at least, but is {budget:,}: "
            f"{base:,} for arguments, tape and Jacobian, and {each:,} for one sweep."
        )
    return max(1, min(count, found))


def columns(program, leaves: Sequence, outs: Sequence, budget: int) -> list:
    """Per output (*y, n), by pushforwards; None where the derivative is zero."""
    count = sum(math.prod(jnp.shape(x)) for x in leaves)
    size = seeds_in(budget, program, leaves, outs, "push", count)
    sweep = jax.vmap(program.push, out_axes=-1)
    return _in_chunks(lambda start: sweep(_seeds(leaves, start, size)), count, size, -1)


def rows(program, leaves: Sequence, outs: Sequence, budget: int) -> list:
    """Per input (m, *x), by pullbacks."""
    count = sum(math.prod(jnp.shape(y)) for y in outs)
    size = seeds_in(budget, program, leaves, outs, "pull", count)
    sweep = jax.vmap(program.pull)
    return _in_chunks(lambda start: sweep(_seeds(outs, start, size)), count, size, 0)


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
