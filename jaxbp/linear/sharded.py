"""The derivative of a function mapped over the shards of its arguments.

The same linear program runs on every device, on that device's part of the residuals and
of the tangents. What an argument's `PartitionSpec` does not mention, all devices have a
copy of: going back, the cotangent of such an argument is the sum of the devices'.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
from jax import lax
from jax.sharding import PartitionSpec

from .. import ir
from .base import LinearMap
from .program import LinearProgram, Structure


class Mapped(NamedTuple):
    """Over what a function is mapped: a mesh, and those of its axes that it names.

    With `typed`, types say along which axes values vary, and casts between types carry
    the sums (`check_vma` of `jax.shard_map`); without it, they are made here.
    """

    mesh: Any
    axes: tuple
    typed: bool

    def call(self, body: Callable, args: Sequence, specs: Sequence) -> list:
        """`body(*shards) -> values, specs of the values`; None among values passes."""
        out_specs: list = []  # told by the body, before they are read

        def on_shards(*shards):
            values, found = body(*shards)
            pairs = zip(values, found, strict=True)
            out_specs[:] = [None if v is None else spec for v, spec in pairs]
            return list(values)

        mapped = jax.shard_map(
            on_shards, mesh=self.mesh, in_specs=tuple(specs), out_specs=out_specs,
            axis_names=set(self.axes), check_vma=self.typed,
        )  # fmt: skip
        return mapped(*args)

    def unmentioned(self, spec) -> tuple:
        """The axes along which every device has a copy."""
        named = mentioned(spec)
        return tuple(axis for axis in self.axes if axis not in named)

    def spec_of_residual(self, value) -> PartitionSpec:
        """How devices' values are put side by side along the first axis."""
        varying = ir.varying(ir.typeof(value)) if self.typed else self.axes
        names = tuple(axis for axis in self.axes if axis in varying)
        return PartitionSpec(names) if names else PartitionSpec()


def mentioned(spec) -> set:
    """Names of the mesh axes over which a `PartitionSpec` divides an array."""
    return {
        name
        for part in spec
        if part is not None
        for name in (part if isinstance(part, tuple) else (part,))
    }


def lifted(value):
    """A scalar as an array of one element, which can lie beside those of others."""
    return value if ir.typeof(value).shape else lax.broadcast(value, (1,))


@dataclass(slots=True, unsafe_hash=True)
class Sharded(LinearMap):
    """A linear program on every shard.

    Fields:
      structure: of the program on a shard.
      mapped: over what.
      tape_specs: per residual: its spec, and whether it was a scalar on the shards.
      in_specs, out_specs: of the tangents.
    """

    structure: Structure
    mapped: Mapped
    tape_specs: tuple
    in_specs: tuple
    out_specs: tuple

    @property
    def structures(self):
        return (self.structure,)

    def push(self, residuals, x_dots):
        def body(program, x_dots):
            return program.push(x_dots), self.out_specs

        return self._call(body, residuals, x_dots, self.in_specs)

    def pull(self, residuals, y_bars):
        def body(program, y_bars):
            if not self.mapped.typed:
                pairs = zip(y_bars, self.out_specs, strict=True)
                y_bars = [self._share(y_bar, spec) for y_bar, spec in pairs]
            x_bars = program.pull(y_bars)
            if not self.mapped.typed:
                pairs = zip(x_bars, self.in_specs, strict=True)
                x_bars = [self._total(x_bar, spec) for x_bar, spec in pairs]
            return x_bars, self.in_specs

        return self._call(body, residuals, y_bars, self.out_specs)

    def _call(self, body, residuals, dots, specs):
        """`body(linear program, dots) -> values, specs` on the shards."""
        present = [i for i, dot in enumerate(dots) if dot is not None]
        count = len(residuals)

        def on_shards(*shards):
            tape = [
                lax.squeeze(shard, (0,)) if scalar else shard
                for shard, (_, scalar) in zip(
                    shards[:count], self.tape_specs, strict=True
                )
            ]
            whole: list = [None] * len(dots)
            for place, shard in zip(present, shards[count:], strict=True):
                whole[place] = shard
            return body(LinearProgram(self.structure, tape), whole)

        args = [*residuals, *(dots[i] for i in present)]
        in_specs = [*(s for s, _ in self.tape_specs), *(specs[i] for i in present)]
        return self.mapped.call(on_shards, args, in_specs)

    def _share(self, y_bar, spec):
        """Of an output that all devices have a copy of, each is given its part."""
        axes = self.mapped.unmentioned(spec)
        count = math.prod(self.mapped.mesh.shape[axis] for axis in axes)
        return y_bar if y_bar is None or count == 1 else y_bar / count

    def _total(self, x_bar, spec):
        axes = self.mapped.unmentioned(spec)
        return x_bar if x_bar is None or not axes else lax.psum(x_bar, axes)
