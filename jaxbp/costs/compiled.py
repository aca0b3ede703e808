"""The collectives of a program that XLA compiled, read from its text.

XLA chooses them when it divides a program; its own listing is the only exact record.
"""

import math
import re
from typing import Any

from ..errors import DataError
from .collectives import (
    ALL_GATHER,
    ALL_REDUCE,
    ALL_TO_ALL,
    PERMUTE,
    REDUCE_SCATTER,
    Collective,
)  # fmt: skip

KINDS = (ALL_REDUCE, ALL_GATHER, REDUCE_SCATTER, ALL_TO_ALL, PERMUTE)
COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{\s*$")
INSTRUCTION = re.compile(
    r"= (?P<type>.*?) (?P<kind>" + "|".join(KINDS) + r"|ragged-all-to-all)"
    r"(?P<start>-start)?\((?P<rest>.*)$"
)
ARRAY = re.compile(r"\b([a-z]\w*)\[([\d,]*)\]")
CALLED = re.compile(
    r"\b(?:to_apply|calls|body|condition|true_computation|false_computation)=%?([\w.\-]+)"
)
BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
BITS = {"pred": 8, "bf16": 16, "c64": 64, "c128": 128}


def compiled_collectives(compiled: Any) -> list[Collective]:
    """The collectives of one run of a compiled program, as one device takes part.

    Args:
      compiled: what `jax.jit(f).lower(...).compile()` returns, or its `as_text()`.

    Returns:
      One `Collective` for each array of each instruction; in loops as often as the
      loop runs, where XLA knows it, else once.

    Raises:
      DataError: the text is no HLO program.
    """
    text = compiled if isinstance(compiled, str) else compiled.as_text()
    computations, entry = _computations(text or "")
    if entry is None:
        raise DataError("the text must be a compiled HLO program, but has no ENTRY.")
    devices = re.search(r"num_partitions=(\d+)", text)
    return _of(entry, computations, int(devices.group(1)) if devices else 1)


def _computations(text: str) -> tuple[dict[str, list[str]], str | None]:
    found: dict[str, list[str]] = {}
    entry = name = None
    for line in text.splitlines():
        opening = COMPUTATION.match(line) if not line.startswith(" ") else None
        if opening:
            name = opening.group(2)
            found[name] = []
            entry = name if opening.group(1) else entry
        elif name is not None:
            found[name].append(line)
    return found, entry


def _of(name: str, computations, devices: int) -> list[Collective]:
    found: list[Collective] = []
    for line in computations.get(name, ()):
        match = INSTRUCTION.search(line)
        if match:
            found += _instruction(match, devices)
            continue
        called = CALLED.findall(line)
        for branches in BRANCHES.findall(line):
            called += [part.strip().lstrip("%") for part in branches.split(",")]
        trips = TRIPS.search(line)
        times = int(trips.group(1)) if trips else 1
        for inner in called:
            for each in _of(inner, computations, devices):
                found.append(each._replace(times=each.times * times))
    return found


def _instruction(match, devices: int) -> list[Collective]:
    kind = match["kind"].removeprefix("ragged-")
    group = _group(match["rest"], kind, devices)
    sizes = [_bytes(*array) for array in ARRAY.findall(match["type"])]
    if match["start"] and kind != ALL_REDUCE:  # operands, then results, then flags
        sizes = sizes[1:2] if kind == PERMUTE else sizes[len(sizes) // 2 :]
    if kind == REDUCE_SCATTER:
        sizes = [size * group for size in sizes]
    if kind == ALL_TO_ALL and match["type"].startswith("(") and not match["start"]:
        sizes = [sum(sizes)]  # a part for each device
    return [Collective(kind, size, group) for size in sizes if group > 1 and size]


def _bytes(dtype: str, shape: str) -> int:
    count = math.prod(int(n) for n in shape.split(",") if n)
    digits = re.search(r"\d+", dtype)
    bits = BITS.get(dtype) or int(digits.group() if digits else 0)
    return count * bits // 8


def _group(rest: str, kind: str, devices: int) -> int:
    """Devices of a group: listed, or as an iota, or by the axes of a mesh."""
    if kind == PERMUTE:
        return 2
    if found := re.search(r"replica_groups=\{\{([\d,]+)\}", rest):
        return len(found.group(1).split(","))
    if found := re.search(r"replica_groups=\[([\d,]+)\]<=", rest):
        return int(found.group(1).split(",")[-1])
    if found := re.search(r"replica_groups=mesh\[([^\]]*)\]\s*\{([^}]*)\}", rest):
        lengths = dict(re.findall(r"'([^']+)'=(\d+)", found.group(1)))
        named = re.findall(r"'([^']+)'(?::\((\d+)\)(\d+))?", found.group(2))
        return math.prod(int(part or lengths[axis]) for axis, _, part in named)
    return devices
