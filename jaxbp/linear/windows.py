"""Cotangents of arrays that are read by parts: all parts are added at once.

Every read of x[i] alone would bring a cotangent as large as x, zero but for one
element, and n reads would cost n passes over x. Instead the parts wait until the
cotangent of x is asked for. Then parts of one shape are added by a single scatter, its
places constants where the reads were at constant places.
"""

import functools
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax

from .. import ir
from . import in_place
from .base import add
from .tiles import Tile, covers, joined

# A part this many times smaller than the whole waits; of larger ones a compiler writes
# the sum in one pass.
MANY_PARTS = 8
# Of a smaller array a compiler adds padded parts in one pass, sooner than a scatter
# begins.
LEAST = 2048
LEAST_IN_LOOP = 64  # there a part is added to what is carried, in one operation
FEW, FEW_IN_LOOP = 3, 8  # parts at computed places are added one by one
FEW_BESIDE, MANY_GAPS = 16, 15  # so few are laid with gaps so many times longer
JOINED = 8  # pieces that are computed in the kernel that joins them,
SMALL_PIECE = 64  # each of at most so many elements


def is_small_part(part_shape: tuple, whole_shape: tuple, in_loop=False) -> bool:
    """Whether a part is added in its place rather than padded to the whole."""
    least = LEAST_IN_LOOP if in_loop else LEAST
    return math.prod(whole_shape) >= max(least, MANY_PARTS * math.prod(part_shape))


class Window(NamedTuple):
    """A part of an array: where it starts along each axis, and its cotangent."""

    starts: tuple
    y_bar: Any


class Waiting:
    """Parts that wait to be added to cotangents, by slot.

    Args:
      in_loop: in the step of a loop, where an array that is carried is to be written in
        place: `in_place` says how.
    """

    def __init__(self, avals: Sequence, in_loop: bool = False):
        self.avals, self.in_loop = avals, in_loop
        self.parts: dict[int, list[Window]] = defaultdict(list)
        self.reads: dict[int, list] = {}  # what was read where nothing is written yet
        self.tiles: dict[int, list[Tile]] = defaultdict(list)  # larger parts

    def __bool__(self):
        return bool(self.parts or self.reads or self.tiles)

    def takes(self, edge, residuals, y_bar) -> bool:
        """Whether the pull of `y_bar` waits: a part of the input was read, at places
        that are known where it is no small part."""
        find, slot = edge.map.form.window, edge.ins[0]
        whole = self.avals[slot]
        if find is None or ir.placed(whole):
            return False
        if y_bar.dtype != whole.dtype:  # wider, by a custom rule: it stays so
            return False
        starts = find(edge.map, residuals)
        if starts is None:
            return False
        if is_small_part(y_bar.shape, whole.shape, self.in_loop):
            self.parts[slot].append(Window(tuple(starts), y_bar))
            return True
        small = self.in_loop and math.prod(whole.shape) < LEAST  # added in one kernel
        if residuals or small or y_bar.size == 0:
            return False
        self.tiles[slot].append(Tile(tuple(starts), y_bar, edge.map))
        return True

    def before(self, edge, env: dict) -> None:
        """Adds what waits for the outputs of an edge that will be pulled."""
        reads = edge.map.form.scatters  # a part of the cotangent, and writes nothing
        for slot in edge.outs:
            self.settle(slot, env, between=True)
            if not reads and slot in self.reads:
                env[slot] = in_place.after(env[slot], self.reads.pop(slot))

    def after(self, edge, found: Sequence) -> None:
        """Notes what a pull has read of a carried array's cotangent."""
        if edge.map.form.scatters and len(edge.ins) == 2 and self.in_loop:
            part, whole = found[1], self.avals[edge.ins[0]]
            if part is not None and not in_place.is_part(part.shape, whole):
                return  # it is copied in no time
            reads = [*self.reads.pop(edge.outs[0], ()), found[1]]
            self.reads[edge.ins[0]] = [*self.reads.get(edge.ins[0], ()), *reads]

    def settle(self, slot: int, env: dict, between: bool = False) -> None:
        """Adds the parts that wait for a slot to what stands there.

        Args:
          between: parts of the sum will be read, and it is written then.
        """
        self._lay(slot, env)
        parts = self.parts.pop(slot, None)
        if not parts:
            return
        reads = self.reads.pop(slot, ())
        if reads:
            starts, y_bar = parts[0]
            zeros = [in_place.zero_after(part) for part in reads if part is not None]
            for zero in zeros:
                zero = lax.convert_element_type(zero, y_bar.dtype)
                y_bar = add(y_bar, lax.broadcast(zero, y_bar.shape))
            parts[0] = Window(starts, y_bar)
        groups = defaultdict(list)
        for part in parts:
            groups[part.y_bar.shape].append(part)
        for group in groups.values():
            between = between and self.in_loop and slot in env
            known = all(isinstance(s, int) for part in group for s in part.starts)
            most = 1 if known else FEW_IN_LOOP if self.in_loop else FEW
            few = len(group) <= most and not between
            env[slot] = _added(env.get(slot), self.avals[slot], group, few, known)

    def _lay(self, slot: int, env: dict) -> None:
        """Adds larger parts, those beside one another as one, with small ones that fill
        the gaps. A thin strip beside such a part, as a roll reads it, is a small part
        where it fills none, sooner added in its place."""
        tiles = joined(self.tiles.pop(slot, ()))
        shape = self.avals[slot].shape
        found, rest = covers(tiles, shape)
        if rest and slot in self.parts:
            more, rest = self._with_small_parts(slot, rest, shape)
            found += more
        for axis, cover in found:
            whole = _joined([tile.y_bar for tile in cover], axis)
            env[slot] = add(env.get(slot), whole)
        for tile in rest:
            env[slot] = add(env.get(slot), tile.map.pull_one((), tile.y_bar))

    def _with_small_parts(self, slot: int, tiles: list, shape: tuple) -> tuple:
        """`covers` of tiles and of parts at known places, which then wait no longer."""
        known, others = [], []
        for part in self.parts.pop(slot):
            pairs = zip(part.starts, part.y_bar.shape, shape, strict=True)
            inside = all(isinstance(s, int) and 0 <= s <= n - m for s, m, n in pairs)
            (known if inside else others).append(part)
        small = joined([Tile(p.starts, p.y_bar, None) for p in known])
        found, rest = covers([*tiles, *small], shape)
        found = [(axis, c) for axis, c in found if any(t.map is not None for t in c)]
        used = {id(tile) for _, cover in found for tile in cover}
        left = [Window(t.starts, t.y_bar) for t in small if id(t) not in used]
        if left or others:
            self.parts[slot] = [*left, *others]
        return found, [tile for tile in tiles if id(tile) not in used]


def _added(x_bar, aval, parts: Sequence[Window], few: bool, known: bool):
    """`x_bar` (None: zero) with the parts, all of one shape, added: one by one where
    they are few, else by one scatter, whose places are constants where known."""
    if few:
        return _one_by_one(x_bar, aval, parts)
    whole = _beside_one_another(x_bar, aval, parts) if known else None
    if whole is not None:
        return add(x_bar, whole)
    fresh = known and x_bar is None
    x_bar = ir.zeros(ir.tangent_aval(aval)) if x_bar is None else x_bar
    if len(parts) == 1:  # as one, a compiler would do it again where parts are read
        (starts, y_bar), *_ = parts
        parts = [*parts, Window(starts, lax.full_like(y_bar, 0))]
    places = [in_place.place(p.starts, aval.shape, p.y_bar.shape) for p in parts]
    if known:
        places = np.stack(places)
        fresh = fresh and _are_apart(places, parts[0].y_bar.shape, aval.shape)
    else:
        places = lax.concatenate([lax.expand_dims(p, (0,)) for p in places], 0)
    y_bars = _joined([lax.expand_dims(p.y_bar, (0,)) for p in parts], 0)
    return scatter(x_bar, places, y_bars, fresh)


def _are_apart(places, part: tuple, shape: tuple) -> bool:
    """Whether windows of one element, or whole, along every axis do not overlap."""
    one_or_all = all(n in (1, whole) for n, whole in zip(part, shape, strict=True))
    return one_or_all and len(np.unique(places, axis=0)) == len(places)


def _joined(pieces: list, axis: int):
    """Pieces beside one another. XLA for CPUs computes up to eight in the kernel that
    joins them; of more, each is a kernel of its own, and takes longer to start than to
    compute where it is small."""
    size = max(math.prod(piece.shape) for piece in pieces)
    if size <= SMALL_PIECE and jax.default_backend() == "cpu":
        while len(pieces) > JOINED:
            groups = [pieces[i : i + JOINED] for i in range(0, len(pieces), JOINED)]
            pieces = [lax.concatenate(group, axis) for group in groups]
            pieces = ir.barrier(pieces)
    return lax.concatenate(pieces, axis)


def _beside_one_another(x_bar, aval, parts: Sequence[Window]):
    """The sum of parts that lie beside one another, on much of the whole, as a
    concatenation: the components of vectors, columns, the elements of small matrices.
    None where they do not."""
    shape, part = aval.shape, parts[0].y_bar.shape
    axes = [axis for axis, n in enumerate(part) if n != shape[axis]]
    found: dict = {}
    for starts, y_bar in parts:
        at = tuple([min(max(starts[a], 0), shape[a] - part[a]) for a in axes])
        found[at] = add(found.get(at), y_bar)
    if not axes or not _is_much(len(found), part, shape, x_bar is None):
        return None
    return _laid(found, axes, shape)


def _is_much(count: int, part: tuple, shape: tuple, alone: bool) -> bool:
    """Whether so many parts are enough of the whole for it to be written in one pass;
    `alone`: it must be written, and nothing stands there."""
    if alone and count <= FEW:
        return True
    gaps = MANY_GAPS if alone and count <= FEW_BESIDE else 1
    return count * math.prod(part) * (1 + gaps) >= math.prod(shape)


def _laid(parts: dict, axes: Sequence[int], shape: tuple):
    """Parts by where they begin along `axes`, as an array of `shape` along these; None
    where two overlap."""
    if not axes:
        return parts[()]
    (axis, *others), slabs, found, end = axes, defaultdict(dict), [], 0
    for (begin, *at), part in parts.items():
        slabs[begin][tuple(at)] = part
    for begin in sorted(slabs):
        slab = None if begin < end else _laid(slabs[begin], others, shape)
        if slab is None:
            return None
        found.append((begin, slab))
        end = begin + slab.shape[axis]
    pieces = _with_gaps(found, axis, 0, shape[axis])
    most = JOINED if len(found) > FEW else len(found)  # few with gaps: padded, too
    if len(pieces) <= most or found[0][1].size <= SMALL_PIECE:
        return _joined(pieces, axis)
    return _padded(found, axis, shape[axis])


def _with_gaps(slabs: Sequence[tuple], axis: int, end: int, last: int) -> list:
    """Pairs of begin and slab as pieces from `end` to `last`, zeros between them."""
    pieces = []
    for begin, slab in slabs:
        pieces += [*_nothing(slab, axis, begin - end), slab]
        end = begin + slab.shape[axis]
    return [*pieces, *_nothing(pieces[-1], axis, last - end)]


def _padded(slabs: Sequence[tuple], axis: int, length: int):
    """Slabs that are too many for one kernel, padded and added: then they are computed
    in it, and none is held. Of very many some are joined before."""
    size = 1 if len(slabs) <= FEW_BESIDE else JOINED // 2
    found = []
    for first in range(0, len(slabs), size):
        group = slabs[first : first + size]
        begin, (last, slab) = group[0][0], group[-1]
        end = last + slab.shape[axis]
        part = lax.concatenate(_with_gaps(group, axis, begin, end), axis)
        config = [(0, 0, 0)] * part.ndim
        config[axis] = (begin, length - end, 0)
        found.append(lax.pad(part, np.zeros((), part.dtype), config))
    return functools.reduce(lax.add, found)


def _nothing(beside, axis: int, length: int) -> list:
    """A gap beside a part, if there is one."""
    shape = (*beside.shape[:axis], length, *beside.shape[axis + 1 :])
    return [lax.full(shape, 0, beside.dtype)] if length else []


def _one_by_one(x_bar, aval, parts: Sequence[Window]):
    for starts, y_bar in parts:
        if x_bar is None:
            x_bar = ir.zeros(ir.tangent_aval(aval))
        else:
            y_bar = add(in_place.window(x_bar, starts, y_bar.shape), y_bar)
        x_bar = in_place.write(x_bar, y_bar, starts)
    return x_bar


def scatter(x_bar, places, y_bars, fresh=False):
    """`x_bar` with windows added.

    Args:
      places: (k, axes) int: where each starts; inside the array.
      y_bars: (k, *window).
      fresh: whether `x_bar` is zero and no two windows overlap: they are written then,
        which XLA for CPUs does in a fraction of the time that adding takes.
    """
    axes = tuple(range(x_bar.ndim))
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=tuple([axis + 1 for axis in axes]),
        inserted_window_dims=(),
        scatter_dims_to_operand_dims=axes,
    )
    return (lax.scatter if fresh else lax.scatter_add)(
        x_bar, places, y_bars, numbers, unique_indices=fresh,
        mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )  # fmt: skip
