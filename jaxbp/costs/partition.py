"""Where the arrays of a program lie on a mesh, and what must move between devices.

From where its inputs lie, a traced program is followed equation by equation. Each
equation has labels for the axes of its operands and outputs; axes with one label are
divided alike. An output axis is divided as the operand's is; a sum along a divided axis
leaves every device a part, which an all-reduce adds up; where two operands disagree,
the smaller one is gathered. A constraint is obeyed: what it divides more is cut, which
moves nothing, what it divides less is gathered. A sum that a constraint divides at once
is a reduce-scatter, where the compiler writes those (on a CPU XLA does not).

This is what divides a program by its batch, its features or its parameters as one would
by hand. It looks forward only and at one equation at a time; a compiler may do better,
and what has no entry here is gathered first, and said.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .. import ir
from .collectives import (
    ALL_GATHER,
    ALL_REDUCE,
    ALL_TO_ALL,
    REDUCE_SCATTER,
    Collective,
    written,
)
from .flat import LAID, Flat, Step, Value
from .labelled import WHOLE_ONLY, Labelled, labelled

# Behind these a sum can still be divided where it is added up.
HANDS_ON = ("transpose", "convert_element_type", "copy")
Lies = tuple[tuple[str, ...], ...]  # per axis of an array, the mesh axes that divide it


class Divided(NamedTuple):
    """What a program moves.

    Fields:
      collectives: in order.
      outs: per output, how it lies.
      unknown: primitives without an entry, whose operands were gathered.
    """

    collectives: list[Collective]
    outs: list[Lies]
    unknown: frozenset[str]


def divided(
    flat: Flat,
    ins: Sequence[Lies],
    sizes: Mapping[str, int],
    scatters: bool = True,
    outs: Sequence[Lies | None] | None = None,
) -> Divided:
    """Follow a program.

    Args:
      flat: the program.
      ins: per input, how it lies.
      sizes: of the mesh's axes.
      scatters: whether sums that are divided at once are reduce-scatters.
      outs: per output, how it is to lie; None where it may lie as it comes.
    """
    walk = _Walk(dict(sizes), scatters)
    found = walk.run(flat, ins)
    for place, wanted in enumerate(outs or ()):
        if wanted is not None:
            value = flat.outs[place]
            found[place] = walk.moved(value, found[place], wanted)
    return Divided(walk.collectives, found, frozenset(walk.unknown))


def whole(value: Any) -> Lies:
    """Of an array that every device has a copy of."""
    return ((),) * len(getattr(value, "shape", ()))


def lies_of(sharding: Any, rank: int) -> Lies:
    """How an array of a `NamedSharding` lies."""
    spec = tuple(sharding.spec)[:rank]
    parts = [
        () if p is None else tuple(p) if isinstance(p, tuple | list) else (p,)
        for p in spec
    ]
    return (*parts, *[()] * (rank - len(spec)))


class _Walk:
    def __init__(self, sizes: dict[str, int], scatters: bool):
        self.sizes, self.scatters = sizes, scatters
        self.collectives: list[Collective] = []
        self.unknown: set[str] = set()
        self.lies: dict[Value, Lies] = {}
        self.sums: dict[Value, int] = {}  # where the all-reduce of a value stands

    def run(self, flat: Flat, ins: Sequence[Lies]) -> list[Lies]:
        self.lies.update(zip(flat.ins, ins, strict=True))
        for step in flat.steps:
            self.step(step)
        return [self.of(value) for value in flat.outs]

    def of(self, value: Value) -> Lies:
        return self.lies.get(value, whole(value.aval))

    def parts(self, lies: Lies) -> int:
        """Into how many parts an array is divided."""
        return math.prod(self.sizes.get(name, 1) for axes in lies for name in axes)

    def local_bytes(self, value: Value, lies: Lies) -> int:
        return ir.nbytes(value.aval) // max(1, self.parts(lies))

    # Steps -------------------------------------------------------------------

    def step(self, step: Step) -> None:
        if step.axes:  # mapped over shards: its collectives are written out
            self.collectives += written(step)
        elif step.name == LAID:
            (value,), (out,) = step.ins, step.outs
            wanted = lies_of(step.params["sharding"], len(value.aval.shape))
            self.lies[out] = self.moved(value, self.of(value), wanted)
        elif step.name == "optimization_barrier":
            self.lies |= {
                y: self.of(x) for x, y in zip(step.ins, step.outs, strict=True)
            }
        elif step.name == "scan":
            self.scan(step)
        elif step.name in ("cond", "while"):
            self.control(step)
        else:
            self.labelled(step, labelled(step))

    def labelled(self, step: Step, found: Labelled | None) -> None:
        """Divide the labels, move what lies otherwise, add up what was summed."""
        if found is None:
            self.unknown.add(step.name)
            found = WHOLE_ONLY
        axes = self.chosen(step, found)
        handed_on = self.sums.get(step.ins[0]) if step.name in HANDS_ON else None
        for value, labels in zip(step.ins, found.ins or (), strict=False):
            if labels is not None:
                wanted = tuple(axes.get(label, ()) for label in labels)
                self.moved(value, self.of(value), wanted)
        if not found.ins:
            for value in step.ins:
                self.moved(value, self.of(value), whole(value.aval))
        for value, labels in zip(step.outs, found.outs, strict=False):
            lies = tuple(axes.get(label, ()) for label in labels)
            self.lies[value] = self.fitting(value, lies)
            if handed_on is not None:
                self.sums[value] = handed_on
            self.add_up(value, [axes.get(label, ()) for label in found.summed])

    def chosen(self, step: Step, found: Labelled) -> dict[Any, tuple[str, ...]]:
        """Which mesh axes divide each label: the largest operand's word counts first.

        A mesh axis divides one label only; one that cannot be divided stays whole.
        """
        axes: dict[Any, tuple[str, ...]] = {}
        pairs = [
            (value, labels)
            for value, labels in zip(step.ins, found.ins or (), strict=False)
            if labels is not None
        ]
        pairs.sort(key=lambda pair: -self.local_bytes(pair[0], self.of(pair[0])))
        used: set[str] = set()
        for value, labels in pairs:
            for label, names in zip(labels, self.of(value), strict=True):
                free = tuple(name for name in names if name not in used)
                if label in found.whole or label in axes or free != names or not names:
                    continue
                axes[label] = names
                used |= set(names)
        return axes

    def fitting(self, value: Value, lies: Lies) -> Lies:
        """Without axes that cannot be divided evenly."""
        return tuple(
            names if length % self.parts((names,)) == 0 else ()
            for length, names in zip(value.aval.shape, lies, strict=True)
        )

    # What moves --------------------------------------------------------------

    def moved(self, value: Value, found: Lies, wanted: Lies) -> Lies:
        """An array laid otherwise: gathered along what divides it no longer, exchanged
        where that divides another axis now; to be cut moves nothing."""
        leaving = [set(f) - set(w) for f, w in zip(found, wanted, strict=True)]
        coming = [set(w) - set(f) for f, w in zip(found, wanted, strict=True)]
        self.scattered(value, found, wanted)
        for names in leaving:
            for name in sorted(names):
                devices = self.sizes.get(name, 1)
                exchanged = any(name in others for others in coming)
                size = self.local_bytes(value, found)
                if exchanged:
                    self.add(ALL_TO_ALL, size, devices)
                else:
                    self.add(ALL_GATHER, size * devices, devices)
                    found = tuple(tuple(n for n in f if n != name) for f in found)
        return wanted

    def scattered(self, value: Value, found: Lies, wanted: Lies) -> None:
        """A sum that is cut at once along the axes it was added up over."""
        place = self.sums.pop(value, None)
        if place is None or not self.scatters:
            return
        each = self.collectives[place]
        cut = self.parts(wanted) // max(1, self.parts(found))
        if cut == each.devices:
            self.collectives[place] = each._replace(kind=REDUCE_SCATTER)

    def add_up(self, value: Value, summed: Sequence[tuple[str, ...]]) -> None:
        devices = self.parts(tuple(summed))
        if devices > 1:
            self.sums[value] = len(self.collectives)
            self.add(ALL_REDUCE, self.local_bytes(value, self.of(value)), devices)

    def add(self, kind: str, size: int, devices: int) -> None:
        if devices > 1 and size:
            self.collectives.append(Collective(kind, size, devices))

    # Loops and branches ------------------------------------------------------

    def scan(self, step: Step) -> None:
        """The body as often as it runs, its carry lying as the body leaves it."""
        (body,) = step.inner
        consts, carries, xs = ir.scan_split(step.ins, step.params)
        stacked = [self.whole_stack(x) for x in xs]
        lies = [*map(self.of, consts), *map(self.of, carries), *stacked]
        first, count = len(consts), len(carries)
        kept = step.kept if step.kept is not None else range(len(step.outs))
        made: dict[int, Lies] = {}
        for _ in range(3):
            inner = _Walk(self.sizes, self.scatters)
            made = dict(zip(kept, inner.run(body, lies), strict=True))
            later = [made.get(c, lies[first + c]) for c in range(count)]
            if later == lies[first : first + count]:
                break
            lies[first : first + count] = later
        self.take(inner, step.params["length"])
        for place, lie in made.items():
            self.lies[step.outs[place]] = ((), *lie) if place >= count else lie

    def whole_stack(self, value: Value) -> Lies:
        """A stack of a scan, gathered along the axis it steps over."""
        lies = self.of(value)
        return self.moved(value, lies, ((), *lies[1:]))[1:]

    def control(self, step: Step) -> None:
        """A branch: the one that moves most. A loop of unknown trips: its body once."""
        operands = step.ins[1:] if step.name == "cond" else step.ins
        walks = []
        for program in step.inner:
            inner = _Walk(self.sizes, self.scatters)
            lies = [self.of(v) for v in _operands(step, program, operands)]
            walks.append((inner, inner.run(program, lies)))
        if step.name == "while":
            for inner, _ in walks:
                if inner.collectives:
                    self.unknown.add("while (its body counted once)")
                self.take(inner, 1)
        elif walks:
            most = max(
                walks, key=lambda w: sum(c.moved_bytes for c in w[0].collectives)
            )
            self.take(most[0], 1)
        kept = step.kept if step.kept is not None else range(len(step.outs))
        for place, lies in zip(kept, walks[-1][1], strict=True):
            self.lies[step.outs[place]] = lies

    def take(self, inner: "_Walk", times: int) -> None:
        """What a program inside moves, so many times."""
        self.unknown |= inner.unknown
        self.collectives += [
            each._replace(times=each.times * times) for each in inner.collectives
        ]


def _operands(step: Step, program: Flat, operands: Sequence[Value]) -> Sequence[Value]:
    """What a branch, or the condition or the body of a loop, is given."""
    if step.name == "cond":
        return operands
    of_condition, of_body, carries = ir.while_split(operands, step.params)
    return [*(of_condition if program is step.inner[0] else of_body), *carries]
