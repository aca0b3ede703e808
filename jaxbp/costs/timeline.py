"""Live bytes over the backward pass, equation by equation.

Residuals leave after the last map that reads them, a cotangent after the last map that
it is pulled through; those of the inputs stay. A checkpoint's own tape lives while its
cotangents are pulled through it. Arguments, constants and outputs are not counted: they
are alive in any case. A cotangent that is handed on unchanged counts in each place;
what a loop or a map computes inside itself does not count.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from .. import ir
from ..errors import JaxbpError
from ..linear.base import Edge, LinearMap
from ..linear.program import Structure
from .flat import flatten
from .memory import tape_of


class TapeStep(NamedTuple):
    """One map on the way back.

    Fields:
      primitive, line: of its equation.
      tape_bytes: residuals that it or a later one reads.
      cotangent_bytes: cotangents alive while it is pulled through.
      again_bytes: of a checkpoint, the tape that it makes again.
    """

    primitive: str
    line: str
    tape_bytes: int
    cotangent_bytes: int
    again_bytes: int

    @property
    def live_bytes(self) -> int:
        """All three."""
        return self.tape_bytes + self.cotangent_bytes + self.again_bytes


class Kept(NamedTuple):
    """An array kept: its type, its places on the tape, whether it is held anyway."""

    aval: Any
    places: tuple[int, ...]
    held: bool


def timeline(structure: Structure, arrays: Sequence[Kept]) -> list[TapeStep]:
    """One step per edge of a program, the last equation first."""
    edges = structure.edges[::-1]
    last = {place: n for n, edge in enumerate(edges) for place in edge.residuals}
    types = {place: array.aval for array in arrays for place in array.places}
    tape = _Spans(len(edges))
    for array in arrays:
        if not array.held:
            until = max(last.get(place, -1) for place in array.places)
            tape.add(0, until, ir.nbytes(array.aval))
    dots = _Spans(len(edges))
    for slot, (first, last) in _lives(structure, edges).items():
        dots.add(first, last, ir.nbytes(ir.tangent_aval(structure.avals[slot])))
    pairs = zip(edges, tape.totals(), dots.totals(), strict=True)
    return [
        TapeStep(*_place(edge), kept, dot, _again_bytes(edge, types))
        for edge, kept, dot in pairs
    ]


class _Spans:
    """Bytes that are alive from one step to another, both with them."""

    def __init__(self, count: int):
        self.changes = [0] * (count + 1)

    def add(self, first: int, last: int, size: int) -> None:
        if last >= first:
            self.changes[first] += size
            self.changes[last + 1] -= size

    def totals(self) -> list[int]:
        found, total = [], 0
        for change in self.changes[:-1]:
            total += change
            found.append(total)
        return found


def _lives(structure: Structure, edges: Sequence[Edge]) -> dict[int, tuple[int, int]]:
    """Per slot the first and the last step at which its cotangent is alive."""
    first = {slot: 0 for slot in structure.outs if slot is not None}
    last: dict[int, int] = {}
    for number, edge in enumerate(edges):
        for slot in edge.ins:
            first.setdefault(slot, number)
            last.setdefault(slot, number)
        for slot in edge.outs:
            first.setdefault(slot, number)
            last[slot] = number
    last |= dict.fromkeys(structure.ins, len(edges) - 1)
    return {slot: (first[slot], last[slot]) for slot in last if slot in first}


def _place(edge: Edge) -> tuple[str, str]:
    origin = edge.origin
    return ("", "") if origin is None else (origin.primitive, origin.source)


def _again_bytes(edge: Edge, types: Mapping) -> int:
    """What the linear program inside a map keeps that the map itself does not."""

    def again(*residuals):
        inner = edge.map.opened(residuals)
        return [] if inner is None else list(inner.tape)

    if type(edge.map).opened is LinearMap.opened:
        return 0
    given = [ir.struct(types[place]) for place in edge.residuals]
    try:
        flat = flatten(jax.make_jaxpr(again)(*given))
    except JaxbpError:
        return 0
    return tape_of(flat, flat.outs).computed_bytes
