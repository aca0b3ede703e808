"""How many kernels a run of a compiled program starts, read from XLA's text of it.

A loop starts those of its body each time; one whose arrays are few bytes XLA for CPUs
may compile into a single kernel, which its text marks.
"""

import re
from collections.abc import Callable

STARTS = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
OPERATION = re.compile(r"^\s+(?:ROOT )?%[\w.\-]+ = .*? ([a-z][a-z\-]*)\(")
FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast"}
WHOLE = 'xla_cpu_small_call="true"'
LIBRARY = "kind=kCustom"  # a product by a library, whose threads are woken


def kernels_started(text: str, library: int = 1) -> int:
    """The number of kernels, each time that they are started.

    Args:
      text: `compiled.as_text()`. Loops whose length is not known there count once.
      library: what a kernel that calls a library counts.
    """
    parts: dict[str, list[str]] = {}
    entry, name = "", ""
    for line in text.splitlines():
        if found := STARTS.match(line):
            name = found[1]
            parts[name] = []
            entry = name if line.startswith("ENTRY") else entry
        elif name:
            parts[name].append(line)
    counts: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in counts:
            counts[name] = 0  # none calls itself
            lines = parts.get(name, ())
            counts[name] = sum(_of_line(line, of, library) for line in lines)
        return counts[name]

    return of(entry)


def _of_line(line: str, of: Callable[[str], int], library: int) -> int:
    found = OPERATION.match(line)
    if found is None or found[1] in FREE:
        return 0
    if found[1] == "while":
        inside = sum(map(of, _named(line, "body", "condition")))
        times = re.search(r'"known_trip_count":\{"n":"(\d+)"', line)
        return inside * int(times[1]) if times else inside
    if found[1] == "call" and WHOLE not in line:
        return sum(map(of, _named(line, "to_apply")))
    if found[1] == "conditional":
        branches = re.findall(r"%([\w.\-]+)", line.partition(")")[2])
        return max(map(of, branches), default=0)
    return library if LIBRARY in line else 1


def _named(line: str, *keys: str) -> list[str]:
    found = [re.search(rf"\b{key}=%?([\w.\-]+)", line) for key in keys]
    return [one[1] for one in found if one]
