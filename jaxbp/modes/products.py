"""Products with the Jacobian: the pushforward, the pullback, and both at a point."""

from collections.abc import Callable, Sequence

import jax

from .. import ir, tree
from ..errors import DtypeMismatch
from . import doors
from .forward import push_forward
from .linearize import linearize_flat


def jvp(fun: Callable, primals: Sequence, tangents: Sequence, has_aux: bool = False):
    """Value and directional derivative: the pushforward of `fun` (forward mode).

    Args:
      fun: a function of arrays or pytrees of them.
      primals: tuple or list of arguments: the point.
      tangents: the direction: same structure, shapes and dtypes as `primals`; of dtype
        float0 for integers and booleans.
      has_aux: `fun` returns (output, aux); aux is not differentiated.

    Returns:
      (output, output tangent), or (output, output tangent, aux).

    Raises:
      StructureMismatch, ShapeMismatch, DtypeMismatch: `tangents` do not fit `primals`.
      MissingRule: a primitive of `fun` has no rule.

    Cost: primal and tangent in one sweep, 2 to 3 times `fun`; nothing is kept.
    """
    doors.check_callable(fun)
    for name, value in (("primals", primals), ("tangents", tangents)):
        if not isinstance(value, (tuple, list)):
            raise DtypeMismatch(
                f"`{name}` must be a tuple or list of arguments, but is "
                f"{doors.describe(value)}. Write `({name[:-1]},)` for a single one."
            )
    primals, tangents = tuple(primals), tuple(tangents)
    tree.same_structure("tangents", tangents, "primals", primals)
    leaves, structure = doors.flatten(primals, fun)
    avals = [ir.tangent_aval(ir.typeof(x)) for x in leaves]
    tree.same_types("tangents", tangents, avals, "primals")
    pairs = zip(jax.tree.leaves(tangents), doors.active_leaves(leaves), strict=True)
    dots = [t if active else None for t, active in pairs]

    def call(args):
        return fun(*args)

    flat = doors.Flat(call, structure, has_aux, doors.name_of(fun))
    outs, out_dots, extras = push_forward(flat, leaves, dots)
    out = flat.structure.unflatten(outs)
    out_tangent = flat.structure.unflatten(doors.dense_like(outs, out_dots))
    return (out, out_tangent, flat.aux(extras)) if has_aux else (out, out_tangent)


@jax.tree_util.register_pytree_node_class
class _LinearFunction:
    """A linear program with the structures of its arguments and results: a pytree."""

    def __init__(self, program, static):
        self.program, self.static = program, static

    def tree_flatten(self):
        return (self.program,), self.static

    @classmethod
    def tree_unflatten(cls, static, children):
        return cls(children[0], static)


@jax.tree_util.register_pytree_node_class
class Pushforward(_LinearFunction):
    """x_dot -> y_dot at a fixed point: what `linearize` returns.

    Attributes:
      program: the linear program; `program.tape` holds its residuals.
    """

    def __call__(self, *tangents):
        in_structure, in_avals, active, out_structure, out_avals = self.static
        expected = in_structure.unflatten(in_avals)
        tree.same_structure("tangents", tangents, "primals", expected)
        tree.same_types("tangents", tangents, in_avals, "primals")
        pairs = zip(jax.tree.leaves(tangents), active, strict=True)
        y_dots = self.program.push([t for t, a in pairs if a])
        return out_structure.unflatten(tree.dense(y_dots, out_avals))


@jax.tree_util.register_pytree_node_class
class Pullback(_LinearFunction):
    """y_bar -> x_bars at a fixed point: what `vjp` returns; crosses jit boundaries.

    Attributes:
      program: the linear program; `program.tape` holds its residuals.
    """

    def __call__(self, cotangent):
        in_structure, in_avals, active, out_structure, out_avals = self.static
        expected = out_structure.unflatten(out_avals)
        tree.same_structure("cotangent", cotangent, "output", expected)
        tree.same_types("cotangent", cotangent, out_avals, "output")
        pairs = zip(jax.tree.leaves(cotangent), out_avals, strict=True)
        x_bars = iter(
            self.program.pull([y if ir.differentiable(a) else None for y, a in pairs])
        )
        whole = [next(x_bars) if a else None for a in active]
        return in_structure.unflatten(tree.dense(whole, in_avals))


def _linearized(kind, fun, primals, has_aux):
    doors.check_callable(fun)
    leaves, structure = doors.flatten(primals, fun)

    def call(args):
        return fun(*args)

    flat = doors.Flat(call, structure, has_aux, doors.name_of(fun))
    active = doors.active_leaves(leaves)
    outs, program, extras = linearize_flat(flat, leaves, active)
    static = (
        structure,
        tuple(ir.tangent_aval(ir.typeof(x)) for x in leaves),
        tuple(active),
        flat.structure,
        tuple(ir.tangent_aval(ir.typeof(y)) for y in outs),
    )
    out, linear = flat.structure.unflatten(outs), kind(program, static)
    return (out, linear, flat.aux(extras)) if has_aux else (out, linear)


def linearize(fun: Callable, *primals, has_aux: bool = False):
    """Value and pushforward at a point, for use with many tangents.

    Args:
      fun: a function of arrays or pytrees of them.
      *primals: the point.
      has_aux: `fun` returns (output, aux).

    Returns:
      (output, pushforward), or (output, pushforward, aux); `pushforward(*tangents)`.

    Cost: one evaluation; the tape keeps the residuals until the pushforward is dropped.
    """
    return _linearized(Pushforward, fun, primals, has_aux)


def vjp(fun: Callable, *primals, has_aux: bool = False, reduce_axes: Sequence = ()):
    """Value and pullback at a point (reverse mode).

    Args:
      fun: a function of arrays or pytrees of them.
      *primals: the point.
      has_aux: `fun` returns (output, aux).

    Returns:
      (output, pullback), or (output, pullback, aux); `pullback(cotangent)` gives a tuple
      with one cotangent per primal, float0 zeros for integers. The pullback is a pytree.

    Cost: one evaluation; the pullback costs 1 to 3 more and reads the tape.
    """
    doors.no_reduce_axes(reduce_axes)
    return _linearized(Pullback, fun, primals, has_aux)
