"""Terms as plain arrays: zeros are written here, and only here."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from .bands import banded
from .bands import matrix as bands_matrix
from .blocks import Blocks, blocks
from .factor import Factor, spread
from .made import kept
from .places import Axis, Label, along
from .singles import is_static, matrix, split
from .term import Term

SPARSE = 16  # a term with one entry in so many is written into zeros
FUSED = 3  # less diagonals are added to a matrix by comparing positions
RARE = 512  # times the entries of a diagonal that is compared for
LONG = 64  # positions along the last axis, from which on comparing is fast
SMALL = 2**15  # entries of a matrix that one pass writes as soon as zeros
FUSED_ENDS = 2**18  # numbers that are compared to join vectors in one pass
CONSTANT = 1 << 15  # positions that a compiled program may hold as a constant


def dense(terms: Sequence[Term], shape: tuple[int, ...], dtype):
    """The sum of the terms, of the shape (*output, *input)."""
    if not terms or 0 in shape:
        return jnp.zeros(shape, dtype)
    bands, others = banded(terms, shape)
    whole: Any = bands_matrix(bands, shape, dtype) if bands else None
    single, others = split(others, shape)
    if single:
        found = matrix(single, shape, dtype)
        whole = found if whole is None else whole + found
    apart = beside(others, shape)
    if apart is not None:
        found = _beside(apart, shape, dtype)
        return found if whole is None else whole + found
    few = one_by_one(others, shape)
    for term in others:
        if not any(term is one for one in few):
            found = _placed(term, shape, dtype)
            whole = found if whole is None else whole + found
    return _scattered(few, whole, shape, dtype) if few else whole


def beside(terms: Sequence[Term], shape: Sequence[int]) -> Blocks | None:
    """The blocks that terms are written in, if they are, and are not few entries."""
    if all(is_sparse(term, shape) for term in terms):
        return None
    return blocks(terms, shape)


def _beside(apart: Blocks, shape: tuple[int, ...], dtype):
    place, parts = apart
    pieces = [
        dense(own, (*shape[:place], size, *shape[place + 1 :]), dtype)
        for size, own in parts
    ]
    return lax.concatenate(pieces, place)


def _is_filled(term: Term) -> bool:
    """Whether its labels, or digits of them, fill all axes: no zeros are put around
    it."""
    return is_static(term) and all(map(_fills, (*term.out, *term.of)))


def _is_regular(term: Term, shape: Sequence[int]) -> bool:
    """Whether positions are compared many at a time, and not for too few entries."""
    axes = [axis for axis in (*term.out, *term.of) if axis.size > 1]
    steps = sorted(axes[-1].steps, key=lambda pair: abs(pair[1])) if axes else []
    many = bool(steps) and steps[0][0].size >= LONG
    return many and math.prod(shape) <= RARE * term.entries


def _fills(axis: Axis) -> bool:
    base = 1
    for label, step in sorted(axis.steps, key=lambda pair: abs(pair[1])):
        if step != base:
            return False
        base *= label.size
    return axis.start == 0 and base == axis.size


def is_sparse(term: Term, shape: Sequence[int]) -> bool:
    """Whether its entries are so few that they are written one by one."""
    return SPARSE * term.entries <= math.prod(shape) < 1 << 31


def one_by_one(terms: Sequence[Term], shape: Sequence[int]) -> list[Term]:
    """Of terms that are summed those whose entries are written one by one.

    A few diagonals are written by comparing positions, in one pass with the others,
    where the whole is small, or many at a time: zeros and a scatter are kernels of
    their own, and write twice.
    """
    few = [term for term in terms if is_sparse(term, shape)]
    fused = len(few) < len(terms) or math.prod(shape) <= SMALL
    fused = fused or all(_is_regular(term, shape) for term in few)
    if fused and len(few) < FUSED and all(map(_is_filled, few)):
        return []
    return few


def _placed(term: Term, shape, dtype):
    axes = (*term.out, *term.of)
    if is_static(term):
        term, same = _apart(term)
        laid = [_laid(axis) for axis in (*term.out, *term.of)]
        if all(one is not None for one in laid):
            return _padded(term.factor, laid, same, shape, dtype)
        term = Term(axes[: len(term.out)], axes[len(term.out) :], term.factor)
    return _scattered([term], None, shape, dtype)


def _apart(term: Term) -> tuple[Term, list[tuple[Label, Label]]]:
    """Every label at one place alone; pairs of those that must be equal."""
    seen: set[Label] = set()
    same, sides = [], []
    for axes in (term.out, term.of):
        side = []
        for axis in axes:
            for label in axis.labels:
                if label in seen:
                    new = Label(label.size)
                    same.append((label, new))
                    axis = axis.put(label, Axis(label.size, 0, ((new, 1),)))
                    label = new
                seen.add(label)
            side.append(axis)
        sides.append(tuple(side))
    out, of = sides
    return Term(out, of, term.factor), same


def _laid(axis: Axis):
    """Per label, in order of its step: (label, reversed, low, gap, size), the padding
    that makes an axis of them; None where they overlap."""
    found = []
    start, size = axis.start, axis.size
    for label, step in sorted(axis.steps, key=lambda pair: -abs(pair[1])):
        base = abs(step)
        if size % base and found:
            return None
        count = -(-size // base)
        if step < 0:
            start += step * (label.size - 1)
        low, start = divmod(start, base)
        if low < 0 or low + label.size > count:
            return None
        found.append((label, step < 0, low, count, base))
        size = base
    return found, start


def _padded(factor: Factor, laid, same, shape, dtype):
    """The grid of all labels, zero where paired ones differ, padded to the axes."""
    labels = [label for axis, _ in laid for label, *_ in axis]
    factor = factor._replace(array=kept(factor.array, *_read(factor, labels)))
    value = jnp.asarray(spread(factor, [*labels]), dtype) if not factor.mask else None
    grid = tuple([label.size for label in labels])
    if value is None:
        value = jnp.asarray(spread(factor, labels).astype(dtype))
    value = jnp.broadcast_to(value, grid)
    for label, new in same:
        rows, columns = (
            lax.broadcasted_iota(np.int32, grid, labels.index(x)) for x in (label, new)
        )
        zeros = lax.full_like(value, 0)
        value = lax.select(lax.eq(rows, columns), value, zeros)  # not times: 0 x inf
    flipped = [
        labels.index(label) for axis, _ in laid for label, back, *_ in axis if back
    ]
    if flipped:
        value = lax.rev(value, flipped)
    config = [
        (low, count - low - label.size, 0)
        for axis, _ in laid
        for label, _, low, count, _ in axis
    ]
    if any(any(one) for one in config):
        value = lax.pad(value, jnp.zeros((), dtype), config)
    return _joined(value, laid, shape, dtype)


def _read(factor: Factor, labels: Sequence[Label]) -> tuple[int, int]:
    """How often the elements are read in turn on a grid, and how many of them one
    after another, none where the innermost loop reads the same one."""
    own = [place for place, label in enumerate(labels) if label in factor.labels]
    end = own[-1] + 1 if own else 0
    others = [place for place in range(end) if place not in own]
    start = others[-1] + 1 if others else 0
    sizes = [label.size for label in labels]
    often = math.prod([sizes[place] for place in others])
    return often, math.prod(sizes[start:]) if end == len(labels) else 0


def _joined(value, laid, shape, dtype):
    """Axes of digits as axes of positions: what a last step leaves out is zero."""
    merged, config = [], []
    for (axis, start), size in zip(laid, shape, strict=True):
        counts = math.prod([count for _, _, _, count, _ in axis]) if axis else 1
        base = axis[-1][4] if axis else size
        merged.append(counts)
        end = size - start - ((counts - 1) * base + 1)
        config.append((start, end, base - 1))
    value = value.reshape(merged)
    if any(
        any(one[:2]) or (one[2] and n > 1)
        for one, n in zip(config, merged, strict=True)
    ):
        value = lax.pad(value, jnp.zeros((), dtype), config)
    return value.reshape(shape)


def _scattered(terms: Sequence[Term], whole, shape, dtype):
    """The entries of terms, one by one, added to what is there."""
    if math.prod(shape) >= 1 << 31:
        for term in terms:
            labels, value, places = _listed(term, dtype)
            whole = jnp.zeros(shape, dtype) if whole is None else whole
            whole = whole.at[places].add(value, mode="promise_in_bounds")
        return whole
    strides = [math.prod(shape[place + 1 :]) for place in range(len(shape))]
    found = []
    for term in terms:
        labels, value, places = _listed(term, dtype)
        flat = sum(at * stride for at, stride in zip(places, strides, strict=True))
        known = isinstance(flat, np.ndarray | np.generic | int)
        spread_to = np.broadcast_to if known else jnp.broadcast_to
        found.append((spread_to(flat, value.shape).reshape(-1), value.reshape(-1)))
    places, values = (_joined_ends(parts) for parts in zip(*found, strict=True))
    if whole is None:
        whole = jnp.zeros(shape, dtype)
    return added_at(whole.reshape(-1), places, values).reshape(shape)


INSIDE = lax.GatherScatterMode.PROMISE_IN_BOUNDS


def added_at(vector, places, values):
    """`vector.at[places].add(values)`, of places that are known to be inside: none is
    compared with zero, in a kernel of its own."""
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    places = jnp.asarray(places[:, None])
    return lax.scatter_add(vector, places, values, numbers, mode=INSIDE)


def read_at(vector, places):
    """`vector[places]`, likewise."""
    numbers = lax.GatherDimensionNumbers((), (0,), (0,))
    return lax.gather(vector, jnp.asarray(places[:, None]), numbers, (1,), mode=INSIDE)


def _joined_ends(parts: Sequence):
    """Vectors end to end. Few numbers are summed, each padded to its place: that is
    one pass with what computes them, where a concatenation is a kernel for each."""
    total = sum(part.size for part in parts)
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    if len(parts) * total > FUSED_ENDS:
        return lax.concatenate(list(parts), 0)
    whole, start = None, 0
    for part in parts:
        one = lax.pad(part, part.dtype.type(0), [(start, total - start - part.size, 0)])
        whole = one if whole is None else whole + one
        start += part.size
    return whole


def _listed(term: Term, dtype):
    """The labels of a term; its entries on their grid; their positions per axis."""
    axes = (*term.out, *term.of)
    every = (*term.factor.labels, *[i for axis in axes for i in axis.labels])
    labels = tuple(dict.fromkeys(every))  # as the array lies
    grid = tuple([label.size for label in labels])
    value = jnp.broadcast_to(spread(term.factor, labels).astype(dtype), grid)
    held = math.prod(grid) <= CONSTANT
    return labels, value, tuple([axis.positions(labels, held) for axis in axes])


def columns(term: Term, shape: tuple[int, ...], dtype):
    """The columns of a term, one for every value of the labels on its input.

    Returns:
      An array (*output, *labels); the labels of the columns; the input's positions.
    """
    inside = tuple(dict.fromkeys([label for axis in term.of for label in axis.labels]))
    new = {label: Label(label.size) for label in inside}
    of = term.of
    for label, other in new.items():
        at = Axis(label.size, 0, ((other, 1),))
        of = tuple([axis.put(label, at) for axis in of])
    fresh = [Axis(label.size, 0, ((label, 1),)) for label in inside]
    sizes = tuple([label.size for label in inside])
    whole = _placed(Term(term.out, tuple(fresh), term.factor), (*shape, *sizes), dtype)
    return whole, tuple(new.values()), of


def of_array(array, shape: Sequence[int], x_shape: Sequence[int]) -> Term:
    """The term of a plain array (*output, *input)."""
    out, of = (tuple([along(n) for n in s]) for s in (shape, x_shape))
    labels = tuple([label for axis in (*out, *of) for label in axis.labels])
    if array is not None:
        array = array.reshape([label.size for label in labels])
    return Term(out, of, Factor(labels, array))
