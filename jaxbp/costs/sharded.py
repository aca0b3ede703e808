"""A function whose arguments lie on a mesh: what its program moves between devices."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
from jax.sharding import NamedSharding

from .. import tree
from ..linear.program import LinearProgram
from .amount import UNBOUNDED, Amount, exactly
from .collectives import Collective, moved_bytes
from .flat import LAID, Flat, flatten
from .linearized import Linearized
from .partition import Divided, Lies, divided, lies_of, whole
from .subject import PricedFunction, type_of


class Placed(NamedTuple):
    """Arguments on a mesh: the lengths of its axes, and how each leaf lies."""

    sizes: Mapping[str, int]
    lies: list[Lies]


def placed(leaves: Sequence[Any], flat: Flat) -> Placed | None:
    """How the inputs of a program lie: as the arrays, or types with shardings, that it
    is given, else as the program lays them out at once (`jit` with `in_shardings`).

    Args:
      leaves: one an input.

    Returns:
      None where all is on one device.
    """
    sizes: dict[str, int] = {}
    lies = []
    laid = {s.ins[0]: s.params["sharding"] for s in flat.steps if s.name == LAID}
    for leaf, value in zip(leaves, flat.ins, strict=True):
        sharding = getattr(leaf, "sharding", None)
        if not isinstance(sharding, NamedSharding):
            sharding = laid.get(value)
        if isinstance(sharding, NamedSharding):
            sizes |= dict(sharding.mesh.shape)
            lies.append(lies_of(sharding, len(value.aval.shape)))
        else:
            lies.append(whole(value.aval))
    for sharding in laid.values():
        sizes |= dict(sharding.mesh.shape)
    spread = any(length > 1 for length in sizes.values())
    return Placed(sizes, lies) if spread else None


def collectives(
    f: Callable, *args, out_shardings: Any = None, scatters: bool | None = None
) -> list[Collective]:
    """What `f(*args)` moves between devices, counted from its program: nothing is run.

    Args:
      f: a function of arrays; jitted or not, with `jax.shard_map` in it or not.
      *args: pytrees of arrays that lie on a mesh, or `jax.ShapeDtypeStruct` with a
        `sharding`; functions and names inside a model stay as they are.
      out_shardings: a tree like the output of how it is to lie, as for `jax.jit`; None,
        whole or for parts of it, where it may lie as it comes.
      scatters: whether sums that are divided at once are reduce-scatters. Left out: not
        on a CPU, where XLA writes an all-reduce.

    Returns:
      One `Collective` an array; `jaxbp.costs.compiled_collectives` is what XLA made.

    Cost: f is traced once.
    """
    given = tree.Parted(args)
    program, out = jax.make_jaxpr(
        lambda *leaves: f(*given.unflatten(leaves)), return_shape=True
    )(*map(type_of, given.leaves))
    flat, outs = flatten(program), _outs(out, out_shardings)
    place = placed(given.leaves, flat) or _on_one(flat)
    return divided(flat, place.lies, place.sizes, _scatters(scatters), outs).collectives


def _outs(out, shardings) -> list[Lies | None]:
    """Per output how it is to lie."""
    count = len(jax.tree.leaves(out))
    if shardings is None:
        return [None] * count

    def is_leaf(x):
        return x is None or isinstance(x, NamedSharding)

    leaves = jax.tree.broadcast(shardings, out, is_leaf=is_leaf)
    pairs = zip(
        jax.tree.leaves(leaves, is_leaf=is_leaf), jax.tree.leaves(out), strict=True
    )
    return [s if s is None else lies_of(s, len(leaf.shape)) for s, leaf in pairs]


def _on_one(flat: Flat) -> Placed:
    return Placed({}, [whole(value.aval) for value in flat.ins])


def _scatters(given: bool | None) -> bool:
    return jax.default_backend() != "cpu" if given is None else given


def moving(
    subject: PricedFunction,
    plain: Flat,
    amounts: Mapping[str, Any],
    linear: Linearized | None,
) -> tuple[dict[str, Amount], list[str]]:
    """The amounts of a report with what moves between devices, and remarks; none where
    all is on one device.

    Args:
      plain: the function's program.
      amounts: by name of the report's attribute; None where there is none.
    """
    pairs = list(zip(subject.leaves, subject.open, subject.moves, strict=True))
    place = placed([leaf for leaf, is_open, _ in pairs if is_open], plain)
    if place is None:
        return {}, []
    flats = {"f": plain}
    if amounts.get("jvp") is not None:
        flats["jvp"] = flatten(jax.make_jaxpr(subject.pushed)(*subject.types))
    found = {
        name: divided(flat, place.lies, place.sizes, _scatters(None))
        for name, flat in flats.items()
    }
    if linear is not None:
        own = [
            lies
            for (_, _, moves), lies in zip(
                [p for p in pairs if p[1]], place.lies, strict=True
            )
            if moves
        ]
        found |= _of_linear(linear, place, own)
    changed = {
        name: replace(
            amounts[name], collective_bytes=exactly(moved_bytes(walk.collectives))
        )
        for name, walk in found.items()
        if amounts.get(name) is not None
    }
    for name in ("jacobian_forward", "jacobian_reverse"):
        if amounts.get(name) is not None:
            changed[name] = replace(amounts[name], collective_bytes=UNBOUNDED)
    unknown = sorted(frozenset().union(*(walk.unknown for walk in found.values())))
    remarks = [
        "bytes between devices: how the compiler divides the program is assumed, from "
        "where the arguments lie; of whole Jacobians they are not counted."
    ]
    if unknown:
        remarks.append(
            f"bytes between devices: no entry for {', '.join(map(repr, unknown))}; "
            "its operands are counted as gathered."
        )
    return changed, remarks


def _of_linear(linear: Linearized, place: Placed, own) -> dict[str, Divided]:
    """What writing the tape, a pushforward and a pullback move."""
    scatters = _scatters(None)
    recorded = divided(linear.flat, place.lies, place.sizes, scatters)
    structure = linear.program.structure
    first = len(recorded.outs) - len(linear.program.tape)
    tape = recorded.outs[first:]
    results = [
        lies
        for lies, slot in zip(recorded.outs[:first], structure.outs, strict=True)
        if slot is not None
    ]
    sides = {
        "pushforward": (LinearProgram.push, structure.ins, own, None),
        "pullback": (LinearProgram.pull, structure.outs, results, own),
    }
    found = {"linearize": recorded}
    for name, (walk, slots, seeds, wanted) in sides.items():
        program = jax.make_jaxpr(walk)(linear.program, linear.seeds(slots))
        flat = flatten(program)
        outs = wanted if wanted and len(wanted) == len(flat.outs) else None
        found[name] = divided(flat, [*tape, *seeds], place.sizes, scatters, outs)
    return found
