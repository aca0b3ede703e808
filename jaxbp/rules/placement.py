"""Where and when an array exists: copies, devices, shardings, barriers, names.

None of these changes a value, and a cotangent goes back the same way.
"""

import functools

from jax.extend.core.primitives import device_put_p, name_p

from .. import ir
from ..linear.base import Edge, Params
from ..linear.labels import IDENTITY
from ..linear.primitive import JointlyThroughPrimitive
from .registry import MOVES, Linear, general, linear, register, zero


# Primitives that are their own transpose. Some of them JAX exports nowhere, so that the
# primitive is known only when it is met.
@functools.cache
def _bound_again(primitive):
    return Linear(
        lambda y_bar, x, **params: primitive.bind(y_bar, **params), None, IDENTITY
    )


def _own_transpose(walker, primitive, values, dots, params):
    return _bound_again(primitive)(walker, primitive, values, dots, params)


register("layout_constraint", _own_transpose, kind="moves")
register("sharding_constraint", _own_transpose, kind="moves")
register("with_memory_space_constraint", _own_transpose, kind="moves")

linear("copy", transpose=lambda y_bar, x: y_bar, form=IDENTITY)
linear("stage", transpose=lambda y_bar, x: y_bar, form=IDENTITY)
linear("xla_metadata_value", transpose=lambda y_bar, x, **params: y_bar, form=IDENTITY)


# Primitives of any number of arrays, each of which passes on its own: only those that
# carry tangents take part in the derivative.
def _side_by_side(transpose, narrowed):
    def rule(walker, primitive, values, dots, params):
        active = tuple(i for i, dot in enumerate(dots) if dot is not None)
        edge_map = JointlyThroughPrimitive(
            primitive,
            Params(narrowed(params, active)),
            transpose,
            tuple(ir.typeof(values[i]) for i in active),
            tuple(range(len(active))),
            tuple(range(len(active))),
            MOVES,
        )
        outs = ir.evaluate(primitive, values, params)
        return outs, walker.extend([Edge(edge_map, (), active, active)], dots, outs)

    return rule


register(
    "optimization_barrier",
    _side_by_side(lambda y_bars, *xs: ir.barrier(y_bars), lambda params, _: params),
    kind="moves",
)


# device_put: back to the place from which the array came, by a copy.
def _device_put_transpose(y_bars, *xs, devices, srcs, copy_semantics):
    def back(y_bar, device, src, semantics):
        copy = type(semantics).ALWAYS_COPY
        there = {"devices": (src,), "srcs": (device,), "copy_semantics": (copy,)}
        return device_put_p.bind(y_bar, **there)[0]

    routes = zip(y_bars, devices, srcs, copy_semantics, strict=True)
    return [None if y is None else back(y, *route) for y, *route in routes]


def _of_operands(params, active):
    return {name: tuple(values[i] for i in active) for name, values in params.items()}


register("device_put", _side_by_side(_device_put_transpose, _of_operands), kind="moves")


# reshard: the cotangent takes the sharding of the operand.
def _reshard(walker, primitive, values, dots, params):
    return _resharded(primitive)(walker, primitive, values, dots, params)


@functools.cache
def _resharded(primitive):
    def transpose(y_bar, x, *, dst_sharding, **params):
        return primitive.bind(y_bar, dst_sharding=x.sharding, **params)

    return Linear(transpose, None, IDENTITY)


register("reshard", _reshard, kind="moves")


# name: only the value bears the name, so that a policy that saves it by name keeps one
# array, not also its tangent.
def _name_jvp(primals, tangents, *, name):
    return name_p.bind(*primals, name=name), tangents[0]


general("name", jvp=_name_jvp)


# tie(x, y) is y, after x.
def _tie(walker, primitive, values, dots, params):
    outs = [primitive.bind(*values, **params)]
    return outs, [dots[1]]


register("tie", _tie, kind="moves")
zero("dce_sink")
