"""What moves between devices: collectives, their bytes, and what these take.

A collective is counted by the bytes that a device sends, on a ring, which is the least
that can be: an all-reduce of B bytes over n devices sends 2 B (n-1)/n in 2 (n-1) steps,
a gather or a scatter half of that, an exchange B (n-1)/n, a shift B in one step. Trees
send an all-reduce's 2 B in 2 log2 n steps, a gather's in log2 n: sooner for small
arrays on many devices.

Source: Thakur, Rabenseifner, Gropp 2005, doi:10.1177/1094342005051521; the trees:
Sanders, Speck, Traff 2009, doi:10.1016/j.parco.2009.09.001.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .. import ir
from .flat import Step

ALL_REDUCE, ALL_GATHER = "all-reduce", "all-gather"
REDUCE_SCATTER, ALL_TO_ALL = "reduce-scatter", "all-to-all"
PERMUTE = "collective-permute"

# What JAX's primitives are; of which side the bytes are, the whole array's.
PRIMITIVES = {
    **dict.fromkeys(
        "psum psum_invariant unreduced_psum pmax pmin".split(), (ALL_REDUCE, "ins")
    ),
    **dict.fromkeys(
        "all_gather all_gather_invariant all_gather_reduced".split(),
        (ALL_GATHER, "outs"),
    ),
    **dict.fromkeys(
        "reduce_scatter unreduced_reduce_scatter".split(), (REDUCE_SCATTER, "ins")
    ),
    **dict.fromkeys("all_to_all ragged_all_to_all".split(), (ALL_TO_ALL, "ins")),
    **dict.fromkeys("ppermute pbroadcast pbroadcast_dynamic".split(), (PERMUTE, "ins")),
}


class Collective(NamedTuple):
    """One collective, seen from one device.

    Fields:
      kind: as XLA calls it: "all-reduce", "all-gather", "reduce-scatter", "all-to-all",
        "collective-permute".
      array_bytes: of the whole array: what is reduced, what a gather gives, what is
        scattered, exchanged or shifted.
      devices: of a group that takes part.
      times: how often it runs.
    """

    kind: str
    array_bytes: int
    devices: int
    times: int = 1

    @property
    def moved_bytes(self) -> float:
        """Bytes that a device sends, on a ring, all times together."""
        if self.devices < 2:
            return 0.0
        part = (self.devices - 1) / self.devices
        share = {ALL_REDUCE: 2 * part, PERMUTE: 1.0}.get(self.kind, part)
        return self.times * share * self.array_bytes

    @property
    def steps(self) -> int:
        """Messages that follow one another, on a ring, all times together."""
        if self.devices < 2:
            return 0
        once = {ALL_REDUCE: 2 * (self.devices - 1), PERMUTE: 1}
        return self.times * once.get(self.kind, self.devices - 1)


class Link(NamedTuple):
    """What joins the devices: a device's bytes a second one way, seconds a message."""

    bytes_per_s: float
    latency_s: float = 0.0

    def time_s(self, found: Iterable[Collective]) -> float:
        """Seconds of some collectives, one after another, each on a ring or, where that
        is sooner, on a tree: an all-reduce on two of them, a gather or a scatter by
        halves, in log2 n messages instead of n - 1."""
        return sum(self._one_s(each) for each in found)

    def _one_s(self, each: Collective) -> float:
        ring_s = each.moved_bytes / self.bytes_per_s + each.steps * self.latency_s
        if each.devices < 2 or each.kind in (ALL_TO_ALL, PERMUTE):
            return ring_s
        levels = math.ceil(math.log2(each.devices))
        moved, messages = each.moved_bytes, levels * each.times
        if each.kind == ALL_REDUCE:
            moved, messages = 2 * each.array_bytes * each.times, 2 * messages
        return min(ring_s, moved / self.bytes_per_s + messages * self.latency_s)


def moved_bytes(found: Iterable[Collective]) -> float:
    """Bytes that a device sends in some collectives, on rings."""
    return sum(each.moved_bytes for each in found)


def written(step: Step) -> list[Collective]:
    """The collectives of a step of a program mapped over shards (`jax.shard_map`)."""
    if step.name not in PRIMITIVES:
        return []
    kind, side = PRIMITIVES[step.name]
    devices = _group(step.params, step.axes)
    arrays = step.ins if side == "ins" else step.outs
    if step.name.startswith(("ragged", "pbroadcast")):
        arrays = arrays[:1]
    if devices < 2:
        return []
    return [Collective(kind, ir.nbytes(array.aval), devices) for array in arrays]


def _group(params: Mapping[str, Any], sizes: Mapping[str, int]) -> int:
    """How many devices take part together."""
    groups = params.get("axis_index_groups")
    if groups:
        return max(map(len, groups))
    named = params.get("axes", params.get("axis_name", ()))
    named = named if isinstance(named, tuple | list) else (named,)
    return math.prod(sizes.get(name, 1) for name in named if not isinstance(name, int))
