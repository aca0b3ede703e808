"""shard_map: the derivative is mapped over the shards as the function is."""

from typing import Any

from .. import ir
from ..linear.base import Edge
from ..linear.sharded import Mapped, Sharded, lifted, mentioned
from ..rules.registry import register
from .forward import Pusher
from .linearize import linearize_program, solid
from .places import Places


def shard_map_rule(walker, primitive, values, dots, params):
    """Walks the program of one shard, on all of them."""
    mesh = params["mesh"]
    axes = tuple(a for a in mesh.axis_names if a in params["newly_manual_axes"])
    mapped = Mapped(mesh, axes, params["check_vma"])
    rule = _push if isinstance(walker, Pusher) else _record
    return rule(walker, mapped, solid(values), dots, params)


def _push(walker, mapped, values, dots, params):
    in_specs, out_specs = params["in_specs"], params["out_specs"]
    active = [i for i, d in enumerate(dots) if d is not None]
    count = len(values)

    def body(*shards):
        shard_dots: list = [None] * count
        for place, dot in zip(active, shards[count:], strict=True):
            shard_dots[place] = dot
        program = ir.closed(params["jaxpr"])
        outs, out_dots = Pusher().run(program, shards[:count], shard_dots)
        return [*outs, *out_dots], [*out_specs, *out_specs]

    args = [*values, *(dots[i] for i in active)]
    found = mapped.call(body, args, [*in_specs, *(in_specs[i] for i in active)])
    return found[: len(out_specs)], found[len(out_specs) :]


def _record(walker, mapped, values, dots, params):
    in_specs, out_specs = params["in_specs"], params["out_specs"]
    active = tuple(d is not None for d in dots)
    tape = _Tape(mapped, in_specs, out_specs)
    found: list = []

    def body(*shards):
        outs, linear = linearize_program(ir.closed(params["jaxpr"]), shards, active)
        found.append(linear.structure)
        own = tape.sort(linear.tape, shards, outs)
        return [*outs, *own], [*out_specs, *tape.own_specs]

    results = mapped.call(body, values, in_specs)
    outs, own = results[: len(out_specs)], results[len(out_specs) :]
    (structure,) = found
    ins = tuple(i for i, a in enumerate(active) if a)
    targets = tuple(i for i, slot in enumerate(structure.outs) if slot is not None)
    edge_map = Sharded(
        structure.picked(targets),
        mapped,
        tape.specs,
        tuple(in_specs[i] for i in ins),
        tuple(out_specs[i] for i in targets),
    )
    edge = Edge(edge_map, tape.whole(values, outs, own), ins, targets)
    return outs, walker.extend([edge], dots, outs)


class _Tape:
    """Where the residuals of a shard's program are, seen from outside.

    Operands and outputs are held anyway, whole; the others leave the shards beside the
    outputs.
    """

    def __init__(self, mapped: Mapped, in_specs, out_specs):
        self.mapped, self.in_specs, self.out_specs = mapped, in_specs, out_specs
        self.places: list[tuple[str, int]] = []
        self.specs: Any = ()
        self.own_specs: list = []

    def sort(self, residuals, shards, outs) -> list:
        """Notes where each of `residuals` is; gives those that are nowhere else."""
        seen = [y if self._whole(y, i) else None for i, y in enumerate(outs)]
        places, specs = Places(**{"in": shards, "out": seen}), []
        outside = {"in": self.in_specs, "out": self.out_specs}
        for value in residuals:
            kind, place = places.find(value)
            self.places.append((kind, place))
            if kind == "own":
                specs.append((self.mapped.spec_of_residual(value), not value.shape))
            else:
                specs.append((outside[kind][place], False))
        self.specs = tuple(specs)
        self.own_specs = [self.mapped.spec_of_residual(value) for value in places.own]
        return [lifted(value) for value in places.own]

    def _whole(self, y, place) -> bool:
        """Whether the output as it leaves the shards enters them again unchanged."""
        varying = ir.varying(ir.typeof(y))
        return not self.mapped.typed or varying == mentioned(self.out_specs[place])

    def whole(self, values, outs, own) -> tuple:
        """The residuals, from the operands, the outputs and those that left."""
        found = {"in": values, "out": outs, "own": own}
        return tuple([found[kind][place] for kind, place in self.places])


register("shard_map", shard_map_rule)
