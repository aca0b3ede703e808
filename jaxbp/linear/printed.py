"""A linear program as text: one line an edge."""

import re
from collections import Counter
from collections.abc import Sequence

from .. import ir
from ..display import filled, width_here
from .base import Edge
from .primitive import ThroughPrimitive
from .program import LinearProgram, Structure

_LETTERS = "ijklmnopqrstuvwxyzabcdefgh"
_TYPES = {"float": "f", "complex": "c", "int": "i", "uint": "u", "bfloat": "bf"}


def printed(program: LinearProgram) -> str:
    """The program as a table: what is brought where, by which map, from which line."""
    structure = program.structure
    names = _names(structure)
    rows = [_row(program, edge, names) for edge in structure.edges]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        line
        for row in rows
        for line in filled([*map(str.ljust, row, widths)], width_here(), "  ", "      ")
    ]
    ends = ", ".join(_end(slot, names, structure) for slot in structure.ins)
    given = ", ".join(_end(slot, names, structure) for slot in structure.outs)
    borrowed = sorted(foreign(structure))
    note = [f"JAX's own rules: {', '.join(borrowed)}"] if borrowed else []
    head = f"LinearProgram: ({ends}) -> ({given}), {_tape(program.tape)}"
    head = filled(re.split(r"(?<=,) ", head), width_here(), "", "    ", " ")
    return "\n".join([*head, *note, *lines])


def foreign(structure: Structure) -> set[str]:
    """Names of the primitives whose derivative is JAX's own."""
    found = set()
    for edge in structure.edges:
        if edge.origin is not None and edge.origin.foreign:
            found.add(edge.origin.primitive)
        for inner in getattr(edge.map, "structures", ()):
            found |= foreign(inner)
    return found


def type_name(aval) -> str:
    """A type in short: f32[64,10]."""
    name = getattr(getattr(aval, "dtype", None), "name", "?")
    for long, short in _TYPES.items():
        if name.startswith(long) and name.removeprefix(long).isdigit():
            name = short + name.removeprefix(long)
    return f"{name}[{','.join(map(str, getattr(aval, 'shape', ())))}]"


def _names(structure: Structure) -> dict[int, str]:
    """Slots as x0, x1, ... where they are inputs, v0, v1, ... in order elsewhere; what
    nothing brings anything to is 0, as the start of a carry that is a constant."""
    names = {slot: f"x{i}" for i, slot in enumerate(structure.ins)}
    for edge in structure.edges:
        for slot in edge.outs:
            names.setdefault(slot, f"v{len(names) - len(structure.ins)}")
    read = {slot for edge in structure.edges for slot in edge.ins}
    return dict.fromkeys(read, "0") | names


def _end(slot, names, structure) -> str:
    if slot is None:
        return "0"
    return f"{names[slot]} {type_name(structure.avals[slot])}"


def _tape(tape: Sequence) -> str:
    size = sum(ir.nbytes(ir.typeof(value)) for value in tape)
    return f"tape {size:,} B in {len(tape)} array{'s' * (len(tape) != 1)}"


def _row(program: LinearProgram, edge: Edge, names) -> tuple[str, ...]:
    avals, residuals = program.structure.avals, program.residuals(edge)
    ends = "; ".join(f"{names[s]} {type_name(avals[s])}" for s in edge.outs)
    held = Counter(type_name(ir.typeof(r)) for r in residuals)
    kept = " ".join(n if k == 1 else f"{k} {n}" for n, k in held.items())
    origin = edge.origin
    return (
        f"{ends} +=",
        " ".join(names[s] for s in edge.ins),
        _described(edge, avals, residuals),
        f"holds {kept}" if kept else "",
        origin.primitive if origin is not None else "",
        _short(origin.source) if origin is not None else "",
    )


def _described(edge: Edge, avals, residuals) -> str:
    """The map's type, with its labels: ik<-ij (jk) is a product with a held (j, k)."""
    kind = edge.map.form.kind
    plain = type(edge.map) is ThroughPrimitive
    name = kind.capitalize() if plain else type(edge.map).__name__
    labels = None
    if len(edge.ins) == len(edge.outs) == 1:
        x, y = avals[edge.ins[0]], avals[edge.outs[0]]
        labels = edge.map.labels(x, y, residuals)
    if labels is None:
        return name
    known: dict[int, str] = {}
    for label in (*labels.out, *labels.of, *labels.coefficient):
        known.setdefault(label, _LETTERS[len(known) % len(_LETTERS)])
    out, of, by = ("".join(known[i] for i in part) for part in labels[:3])
    return f"{name} {out or '.'}<-{of or '.'}" + (f" ({by})" if by else "")


def _short(source: str) -> str:
    return source.partition(" (")[0].replace("\\", "/").rpartition("/")[2]
