"""Products with the Jacobian: the pushforward, the pullback, and both at a point."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from .. import ir, settings, tree
from ..errors import InvalidArgument, NotOffered, StructureMismatch
from ..linear.odd_types import types_explained
from ..offered import PLANS
from ..settings import Options
from ..walkers.forward import push_forward
from ..walkers.linearize import linearize_flat
from . import arguments


def jvp(
    fun: Callable,
    primals: Sequence,
    tangents: Sequence,
    has_aux: bool = False,
    *,
    options: Options | None = None,
):
    """Value and directional derivative: the pushforward of `fun` (forward mode).

    Args:
      fun: a function of arrays or pytrees of them.
      primals: tuple or list of arguments: the point.
      tangents: the direction: same structure, shapes and dtypes as `primals`; of dtype
        float0 for integers and booleans.
      has_aux: `fun` returns (output, aux); aux is not differentiated.
      options: a `jaxbp.Options`; None: those in force where the derivative is traced,
        which a function that `jax.jit` has traced before does not see change.

    Returns:
      (output, output tangent), or (output, output tangent, aux).

    Raises:
      StructureMismatch, ShapeMismatch, DtypeMismatch: `tangents` do not fit `primals`.
      MissingRule: a primitive of `fun` has no rule.

    Cost: primal and tangent in one sweep, 2 to 3 times `fun`; nothing is kept.
    """
    arguments.check_callable(fun)
    for name, value in (("primals", primals), ("tangents", tangents)):
        if not isinstance(value, (tuple, list)):
            raise StructureMismatch(
                f"`{name}` must be a tuple or list of arguments, but is "
                f"{tree.describe(value)}. Write `({name[:-1]},)` for a single one."
            )
    if type(primals) is not type(tangents):
        raise StructureMismatch(
            f"`primals` is a {type(primals).__name__}, but `tangents` is a "
            f"{type(tangents).__name__}: write both as tuples, or both as lists."
        )
    with settings.using(options):
        return directional(lambda given: fun(*given), fun, primals, tangents, has_aux)


def directional(call: Callable, fun: Callable, primals, tangents, has_aux: bool):
    """`jvp` of a function of one pytree, all its arguments; `fun` names it."""
    tree.same_structure("tangents", tangents, "primals", primals)
    leaves, structure = arguments.flatten(primals, fun)
    avals = [ir.tangent_aval(ir.typeof(x)) for x in leaves]
    tree.same_types("tangents", tangents, avals, "primals")
    pairs = zip(jax.tree.leaves(tangents), avals, strict=True)
    dots = [
        ir.as_weak_as(ir.array(t), a) if ir.differentiable(a) else None
        for t, a in pairs
    ]
    flat = arguments.LeafFunction(call, structure, has_aux, tree.name_of(fun))
    outs, out_dots, extras = push_forward(flat, leaves, dots)
    out = flat.structure.unflatten(outs)
    out_tangent = flat.structure.unflatten(arguments.dense_like(outs, out_dots))
    return (out, out_tangent, flat.aux(extras)) if has_aux else (out, out_tangent)


class Again:
    """A pushforward without a tape: the function runs again with each tangent."""

    def __init__(self, call: Callable, fun: Callable, primals, has_aux: bool):
        self.leaves, structure = arguments.flatten(primals, fun)
        name = tree.name_of(fun)
        self.flat = arguments.LeafFunction(call, structure, has_aux, name)

    def push(self, x_dots: Sequence) -> list:
        """As `LinearProgram.push`."""
        return push_forward(self.flat, self.leaves, x_dots)[1]


class Signature(NamedTuple):
    """Static: what a linear function takes and gives."""

    structure: Any  # of the arguments
    avals: tuple  # of their tangents
    active: tuple[bool, ...]  # which of them the linear program has as inputs
    out_structure: Any
    out_avals: tuple
    name: str  # of the function differentiated


class _LinearFunction:
    """A linear program with the structures of its arguments and results: a pytree."""

    def __init__(self, program, signature: Signature):
        self.program, self.signature = program, signature

    def tree_flatten(self):
        return (self.program,), self.signature

    @classmethod
    def tree_unflatten(cls, signature, children):
        return cls(children[0], signature)

    def __repr__(self) -> str:
        it = self.signature
        return f"{type(self).__name__} of {it.name}\n{self.program!r}"

    @property
    def out_nzs(self):
        """Which outputs may have a tangent: a tree of bools, like the output."""
        flags = [slot is not None for slot in self.program.structure.outs]
        return self.signature.out_structure.unflatten(flags)


@jax.tree_util.register_pytree_node_class
class Pushforward(_LinearFunction):
    """x_dot -> y_dot at a fixed point: what `linearize` returns.

    Attributes:
      program: the linear program; `program.tape` holds its residuals.
    """

    def __call__(self, *tangents):
        it = self.signature
        expected = it.structure.unflatten(it.avals)
        tree.same_structure("tangents", tangents, "primals", expected)
        tree.same_types("tangents", tangents, it.avals, "primals")
        pairs = zip(jax.tree.leaves(tangents), it.active, strict=True)
        y_dots = self.program.push([ir.array(t) for t, a in pairs if a])
        return it.out_structure.unflatten(tree.dense(y_dots, it.out_avals))


@jax.tree_util.register_pytree_node_class
class Pullback(_LinearFunction):
    """y_bar -> x_bars at a fixed point: what `vjp` returns; crosses jit boundaries.

    Attributes:
      program: the linear program; `program.tape` holds its residuals.
    """

    def __call__(self, cotangent, *others):
        if others:
            raise InvalidArgument(
                f"the pullback of `{self.signature.name}` takes one cotangent, of the "
                f"structure of its output, but was called with {1 + len(others)} "
                "arguments. Where the output is a tuple, pass a tuple."
            )
        it = self.signature
        expected = it.out_structure.unflatten(it.out_avals)
        tree.same_structure("cotangent", cotangent, "output", expected)
        y_bars = [
            _cotangent(y_bar, a)
            for y_bar, a in zip(jax.tree.leaves(cotangent), it.out_avals, strict=True)
        ]
        checked = it.out_structure.unflatten(y_bars)
        tree.same_types("cotangent", checked, it.out_avals, "output")
        return it.structure.unflatten(self.pull(y_bars))

    def pull(self, y_bars: Sequence) -> list:
        """One cotangent per leaf of the arguments, from one per leaf of the output."""
        it = self.signature
        pairs = zip(y_bars, it.out_avals, strict=True)
        given = [y_bar if ir.differentiable(a) else None for y_bar, a in pairs]
        with types_explained():
            x_bars = iter(self.program.pull(given))
        whole = [next(x_bars) if a else None for a in it.active]
        return tree.dense(whole, it.avals)


def _cotangent(y_bar, aval):
    """As an array; an integer's says nothing: any of its shape will do."""
    if ir.differentiable(aval):
        return ir.array(y_bar)
    return np.zeros(np.shape(y_bar), aval.dtype)


def linearized(kind, call: Callable, fun, primals, has_aux: bool, in_nzs=None):
    """The leaves of the output, the linear function at `primals`, and more.

    Args:
      kind: Pushforward or Pullback.
      call: the function, of all its arguments as one pytree.
      fun: what it is called after.

    Returns:
      (output leaves, linear function, aux or None).
    """
    leaves, structure = arguments.flatten(primals, fun)
    flat = arguments.LeafFunction(call, structure, has_aux, tree.name_of(fun))
    avals = tuple([ir.tangent_aval(ir.typeof(x)) for x in leaves])
    active = tuple([ir.differentiable(a) for a in avals])
    if in_nzs is not None:
        wanted = tree.flags("in_nzs", in_nzs, structure)
        active = tuple([a and w for a, w in zip(active, wanted, strict=True)])
    run = flat
    if kind is Pullback and settings.current().memory is not None:
        run = PLANS["memory"](flat, leaves, active)
    outs, program, extras = linearize_flat(run, leaves, active)
    out_avals = tuple([ir.tangent_aval(ir.typeof(y)) for y in outs])
    static = Signature(structure, avals, active, flat.structure, out_avals, flat.name)
    return outs, kind(program, static), flat.aux(extras) if has_aux else None


def _public(kind, fun, primals, has_aux, in_nzs, options):
    arguments.check_callable(fun)
    with settings.using(options):
        outs, linear, aux = linearized(
            kind, lambda given: fun(*given), fun, primals, has_aux, in_nzs
        )
    out = linear.signature.out_structure.unflatten(outs)
    return (out, linear, aux) if has_aux else (out, linear)


def linearize(
    fun: Callable,
    *primals,
    has_aux: bool = False,
    in_nzs: Any = None,
    options: Options | None = None,
):
    """Value and pushforward at a point, for use with many tangents.

    Args:
      fun: a function of arrays or pytrees of them.
      *primals: the point.
      has_aux: `fun` returns (output, aux).
      in_nzs: which primals may have a nonzero tangent: a tree of bools, a prefix of
        `primals` (tuples may stand for other containers). None: all. The tangents of
        the others are taken as zero; `pushforward.out_nzs` says which outputs may have
        one.
      options: as for `jvp`; the pushforward keeps them.

    Returns:
      (output, pushforward), or (output, pushforward, aux); `pushforward(*tangents)`.

    Cost: one evaluation; the tape keeps the residuals until the pushforward is dropped.
    """
    return _public(Pushforward, fun, primals, has_aux, in_nzs, options)


def vjp(
    fun: Callable,
    *primals,
    has_aux: bool = False,
    reduce_axes: Sequence = (),
    saveable_args: Any = True,
    in_nzs: Any = None,
    options: Options | None = None,
):
    """Value and pullback at a point (reverse mode).

    Args:
      fun: a function of arrays or pytrees of them.
      *primals: the point.
      has_aux: `fun` returns (output, aux).
      saveable_args: True; JAX's masks of residuals to be restored are not offered.
      in_nzs: as for `linearize`; the cotangents of the others are zero.
      options: as for `jvp`; the pullback keeps them, wherever it is called.

    Returns:
      (output, pullback), or (output, pullback, aux); `pullback(cotangent)` gives a
      tuple with one cotangent per primal, float0 zeros for integers. The pullback is a
      pytree.

    Cost: one evaluation; the pullback costs 1 to 3 more and reads the tape.
    """
    arguments.no_reduce_axes(reduce_axes)
    if saveable_args is not True:
        raise NotOffered(
            f"`saveable_args` must be True, but is {saveable_args!r}. Recompute what "
            "is not to be kept: differentiate jax.checkpoint(fun)."
        )
    return _public(Pullback, fun, primals, has_aux, in_nzs, options)
