"""Slices that lie beside one another and leave nothing out: what is split.

    y = x[:k], z = x[k:];  x_bar = [y_bar, z_bar]

Padded to the whole and added, each would be looked for at every element; where a
compiler does this in one kernel with what made them, and again with what makes that,
they are computed several times over.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from .base import add

FEW_TILES = 8  # of more a compiler for CPUs makes kernels of their own


class Tile(NamedTuple):
    """A slice: where it begins along each axis, its cotangent, and its map."""

    starts: tuple[int, ...]
    y_bar: Any
    map: Any


def joined(tiles: Sequence[Tile]) -> list[Tile]:
    """With those of one place and shape added."""
    found: dict = {}
    for starts, y_bar, it in tiles:
        key = starts, y_bar.shape
        there = found[key].y_bar if key in found else None
        found[key] = Tile(starts, add(there, y_bar), it)
    return list(found.values())


def covers(tiles: Sequence[Tile], shape: tuple[int, ...]) -> tuple[list, list]:
    """Lists of tiles that make up the whole, each with its axis; the tiles left over.

    The tiles of one list differ from the whole in one axis alone.
    """
    rest, found = list(tiles), []
    for axis in range(len(shape)):
        while (cover := _cover(rest, axis, shape)) is not None:
            found.append((axis, cover))
            rest = [tile for tile in rest if all(tile is not one for one in cover)]
    return found, rest


def _cover(tiles: Sequence[Tile], axis: int, shape: tuple) -> list[Tile] | None:
    """Tiles one after the other along an axis; the longest of those that fit next."""
    there = [tile for tile in tiles if _differs_in(tile, axis, shape)]
    there.sort(key=lambda tile: -tile.y_bar.shape[axis])
    found, end = [], 0
    while end < shape[axis]:
        fitting = [tile for tile in there if tile.starts[axis] == end]
        if not fitting or len(found) == FEW_TILES:
            return None
        found.append(fitting[0])
        end += fitting[0].y_bar.shape[axis]
    return found or None  # of no elements


def _differs_in(tile: Tile, axis: int, shape: tuple) -> bool:
    sizes = enumerate(zip(tile.y_bar.shape, shape, strict=True))
    return {i for i, (part, whole) in sizes if part != whole} == {axis}
