"""Parameters that lie divided, gathered where a program uses them, each time anew.

A fully sharded step must never hold all parameters at once. Who computes the gradient
does not know of it, and need not: in the program of its value and gradient, a parameter
is an input that some equations read. Here each of these reads a copy gathered just
before, behind a barrier after the equation before it, so that no compiler gathers once
for all, or all at the beginning; and each gradient is scattered as soon as it is there.
Inside the body of a scan a parameter's slice is gathered in the step that uses it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax import lax
from jax.sharding import PartitionSpec

from .. import ir
from .layout import Layout
from .specs import mentions, without


class Stored(NamedTuple):
    """A parameter as it lies."""

    value: Any
    spec: PartitionSpec


def gathered_at_use(value_and_grad: Callable, layout: Layout) -> Callable:
    """The same function of parameters that lie along the data axis.

    Args:
      value_and_grad: (params, *batch) -> (loss, grads like params), pure.
      layout: of these parameters; those that it divides along the data axis are
        gathered along it, other axes left alone.
    """

    def function(params, *batch):
        program, out = jax.make_jaxpr(value_and_grad, return_shape=True)(params, *batch)
        held = zip(jax.tree.leaves(params), layout.leaves, strict=True)
        operands = [
            Stored(leaf, spec) if mentions(spec, layout.data_axis) else leaf
            for leaf, spec in held
        ]
        operands += jax.tree.leaves(batch)
        wanted = _gradients(out, layout)
        outs = _Walk(layout).run(program, operands, wanted)
        return jax.tree.structure(out).unflatten(outs)

    return function


def _gradients(out, layout: Layout) -> list[PartitionSpec | None]:
    """Per output of the program, how it is to lie; None for what is no gradient."""
    count = len(jax.tree.leaves(out))
    first = count - len(layout.leaves)  # what is no pair the step refuses, later
    return [None] * first + list(layout.leaves) if first >= 0 else [None] * count


class _Walk:
    """Evaluates a program; knows the value that was computed last."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self.last: tuple[dict, Any] | None = None  # where it is kept, its variable

    def run(self, program, operands: Sequence, wanted: Sequence) -> list:
        """Outputs, laid out as wanted, of operands some of which are `Stored`."""
        jaxpr, consts = ir.inner(program)
        env = dict(zip(jaxpr.constvars, consts, strict=True))
        env |= dict(zip(jaxpr.invars, operands, strict=True))
        specs = {
            atom: spec
            for atom, spec in zip(jaxpr.outvars, wanted, strict=True)
            if spec is not None and not isinstance(atom, ir.Literal)
        }
        for eqn in jaxpr.eqns:
            values = [ir.read_value(env, atom) for atom in eqn.invars]
            out_specs = [specs.get(var) for var in eqn.outvars]
            outs = self._equation(eqn, values, out_specs)
            env.update(zip(eqn.outvars, outs, strict=True))
            if outs and ir.differentiable(eqn.outvars[0].aval):
                self.last = env, eqn.outvars[0]
        outs = [ir.read_value(env, atom) for atom in jaxpr.outvars]
        return [y.value if type(y) is Stored else y for y in outs]

    def _equation(self, eqn, values, out_specs) -> list:
        name = eqn.primitive.name
        if name == "scan":
            return self._scan(eqn, values, out_specs)
        if name in ir.CALLS and (
            any(type(v) is Stored for v in values) or any(out_specs)
        ):
            return self.run(ir.called(eqn.params), values, out_specs)
        values = [self._gathered(v) if type(v) is Stored else v for v in values]
        with ir.equation_context(eqn):
            params = ir.call_params(eqn.primitive, eqn.params)
            outs = ir.evaluate(eqn.primitive, values, params)
        return [
            y if spec is None else self.layout.hold(y, spec)
            for y, spec in zip(outs, out_specs, strict=True)
        ]

    def _gathered(self, stored: Stored):
        """A whole copy, to be made after what was computed last."""
        value = stored.value
        if self.last is not None:
            env, var = self.last
            value, after = ir.barrier([value, env[var]])
            env[var] = after
        return self.layout.hold(value, without(stored.spec, self.layout.data_axis))

    def _scan(self, eqn, values, out_specs) -> list:
        """A scan whose body gathers, unless its carry is a parameter."""
        params = eqn.params
        consts, carries, xs = ir.scan_split(values, params)
        carries = [self._gathered(c) if type(c) is Stored else c for c in carries]
        xs = [self._sliced(x) for x in xs]
        of_carries = out_specs[: len(carries)]
        of_slices = [None if s is None else _rest(s) for s in out_specs[len(carries) :]]

        def body(carry, slices):
            marked = [
                Stored(value, _rest(x.spec)) if type(x) is Stored else value
                for x, value in zip(xs, slices, strict=True)
            ]
            outs = _Walk(self.layout).run(
                params["jaxpr"],
                [*consts, *carry, *marked],
                [*[None] * len(carries), *of_slices],
            )
            return outs[: len(carries)], outs[len(carries) :]

        plain = [x.value if type(x) is Stored else x for x in xs]
        found, stacked = lax.scan(
            body, carries, plain, params["length"], params["reverse"], params["unroll"]
        )
        return [
            y if spec is None else self.layout.hold(y, spec)
            for y, spec in zip(
                [*found, *stacked],
                [*of_carries, *out_specs[len(carries) :]],
                strict=True,
            )
        ]

    def _sliced(self, x):
        """A stack of parameters; gathered if it is divided along the stack."""
        if type(x) is not Stored:
            return x
        along = PartitionSpec(*x.spec[:1])
        return self._gathered(x) if mentions(along, self.layout.data_axis) else x


def _rest(spec: PartitionSpec) -> PartitionSpec:
    """The spec of one slice of a stack."""
    return PartitionSpec(*spec[1:])
