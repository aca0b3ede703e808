"""The public functions: JAX's names, signatures and error behaviour, our engine.

`import jaxbp as jax_ad` can stand in for jax where a program calls these.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import ir, tree
from ..errors import DtypeMismatch, InvalidArgument, ShapeMismatch
from .forward import push_forward
from .linearize import linearize_flat


# Flat functions -------------------------------------------------------------


class _Flat:
    """A function of pytrees as one of leaves; keeps its output's structure and aux."""

    def __init__(self, fun, structure, has_aux, call):
        self.fun, self.structure, self.has_aux = fun, structure, has_aux
        self.call = call
        self.aux = self.out_structure = None

    def __call__(self, *leaves):
        out = self.call(self.structure.unflatten(leaves))
        if self.has_aux:
            if not isinstance(out, (tuple, list)) or len(out) != 2:
                raise InvalidArgument(
                    "with has_aux=True the function must return a pair (output, aux), "
                    f"but `{_name(self.fun)}` returned {_describe(out)}."
                )
            out, self.aux = out
        flat, self.out_structure = jax.tree.flatten(out)
        for name, leaf in tree.named_leaves("output", out):
            _check_array(name, leaf, self.fun)
        return flat


def _check_array(name, value, fun):
    try:
        ir.typeof(value)
    except TypeError as error:
        raise DtypeMismatch(
            f"`{name}` of `{_name(fun)}` must be an array or a number, but is "
            f"{_describe(value)}."
        ) from error


def _flatten_args(args, fun):
    leaves, structure = jax.tree.flatten(args)
    for place, leaf in enumerate(leaves):
        _check_array(f"argument leaf {place}", leaf, fun)
    return leaves, structure


def _active(leaves) -> list[bool]:
    return [ir.differentiable(ir.typeof(leaf)) for leaf in leaves]


def _name(fun) -> str:
    return getattr(fun, "__name__", repr(fun))


def _describe(value) -> str:
    return f"{type(value).__name__} {value!r}"[:120]


def _check_callable(fun):
    if not callable(fun):
        raise DtypeMismatch(f"`fun` must be callable, but is {_describe(fun)}.")


# Products with the Jacobian -------------------------------------------------


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
    _check_callable(fun)
    for name, value in (("primals", primals), ("tangents", tangents)):
        if not isinstance(value, (tuple, list)):
            raise DtypeMismatch(
                f"`{name}` must be a tuple or list of arguments, but is "
                f"{_describe(value)}. Write `({name[:-1]},)` for a single one."
            )
    primals, tangents = tuple(primals), tuple(tangents)
    tree.same_structure("tangents", tangents, "primals", primals)
    leaves, structure = _flatten_args(primals, fun)
    avals = [ir.tangent_aval(ir.typeof(x)) for x in leaves]
    tree.same_types("tangents", tangents, avals, "primals")
    pairs = zip(jax.tree.leaves(tangents), _active(leaves), strict=True)
    dots = [t if active else None for t, active in pairs]
    flat = _Flat(fun, structure, has_aux, lambda args: fun(*args))
    outs, out_dots = push_forward(flat, leaves, dots)
    out = flat.out_structure.unflatten(outs)
    out_tangent = flat.out_structure.unflatten(_dense_like(outs, out_dots))
    return (out, out_tangent, flat.aux) if has_aux else (out, out_tangent)


def _dense_like(values, dots):
    return tree.dense(dots, [ir.tangent_aval(ir.typeof(v)) for v in values])


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
    _check_callable(fun)
    leaves, structure = _flatten_args(primals, fun)
    flat = _Flat(fun, structure, has_aux, lambda args: fun(*args))
    active = _active(leaves)
    outs, program = linearize_flat(flat, leaves, active)
    static = (
        structure,
        tuple(ir.tangent_aval(ir.typeof(x)) for x in leaves),
        tuple(active),
        flat.out_structure,
        tuple(ir.tangent_aval(ir.typeof(y)) for y in outs),
    )
    out, linear = flat.out_structure.unflatten(outs), kind(program, static)
    return (out, linear, flat.aux) if has_aux else (out, linear)


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
    _no_reduce_axes(reduce_axes)
    return _linearized(Pullback, fun, primals, has_aux)


def _no_reduce_axes(reduce_axes):
    if tuple(reduce_axes):
        raise InvalidArgument(
            f"`reduce_axes` must be (), but is {reduce_axes!r}: sum over the axis with "
            "jax.lax.psum in the function instead."
        )


# Gradients ------------------------------------------------------------------


def value_and_grad(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence = (),
) -> Callable:
    """A function that gives the value of `fun` and its gradient.

    Args:
      fun: scalar-valued.
      argnums: which positional arguments to differentiate; they must be floating (or
        complex, with holomorphic=True) or pytrees of such arrays.
      has_aux: `fun` returns (value, aux).
      holomorphic: `fun` is holomorphic, from complex to complex.
      allow_int: integer leaves are allowed; their gradient is float0 zeros.

    Returns:
      A function with the arguments of `fun` that gives (value, gradient), or
      ((value, aux), gradient); a tuple of gradients if `argnums` is a sequence.

    Raises:
      DtypeMismatch: an argument or the value has a dtype that has no gradient.
      ShapeMismatch: the value is not a scalar.

    Cost: 2 to 5 evaluations of `fun`, whatever the number of parameters.
    Source: Linnainmaa 1970; Griewank and Walther 2008, section 3.2.
    """
    _check_callable(fun)
    _no_reduce_axes(reduce_axes)

    @functools.wraps(fun, assigned=("__name__", "__qualname__", "__module__"))
    def value_and_grad_of(*args, **kwargs):
        places = _places(argnums, args, fun)
        chosen = tuple(args[i] for i in places)
        leaves, structure = _flatten_args(chosen, fun)
        for name, leaf in tree.named_leaves("args", chosen):
            _check_input(name, leaf, holomorphic, allow_int, "grad")
        call = lambda given: fun(*_merged(args, places, given), **kwargs)
        flat = _Flat(fun, structure, has_aux, call)
        active = _active(leaves)
        outs, program = linearize_flat(flat, leaves, active)
        _check_scalar(flat.out_structure, outs, fun, holomorphic)
        x_bars = iter(program.pull([jnp.ones((), ir.typeof(outs[0]).dtype)]))
        whole = [next(x_bars) if a else None for a in active]
        found = structure.unflatten(_dense_like(leaves, whole))
        gradient = found[0] if isinstance(argnums, int) else found
        value = flat.out_structure.unflatten(outs)
        return ((value, flat.aux), gradient) if has_aux else (value, gradient)

    return value_and_grad_of


def grad(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence = (),
) -> Callable:
    """A function that gives the gradient of `fun`: see `value_and_grad`.

    Returns:
      A function with the arguments of `fun` that gives the gradient, or
      (gradient, aux) with has_aux=True.
    """
    both = value_and_grad(fun, argnums, has_aux, holomorphic, allow_int, reduce_axes)

    @functools.wraps(fun, assigned=("__name__", "__qualname__", "__module__"))
    def grad_of(*args, **kwargs):
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return grad_of


def _places(argnums, args, fun) -> tuple[int, ...]:
    wanted = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for place in wanted:
        if not -len(args) <= place < len(args):
            raise InvalidArgument(
                f"`argnums` must name positional arguments of `{_name(fun)}`, which was "
                f"called with {len(args)}, but is {argnums!r}. Pass the argument by "
                "position to differentiate it."
            )
    return tuple(place % len(args) for place in wanted)


def _merged(args, places, given):
    merged = list(args)
    for place, value in zip(places, given, strict=True):
        merged[place] = value
    return merged


def _check_input(name, leaf, holomorphic, allow_int, caller):
    dtype = ir.typeof(leaf).dtype
    if holomorphic and not jax.dtypes.issubdtype(dtype, np.complexfloating):
        raise DtypeMismatch(
            f"{caller} with holomorphic=True requires inputs with complex dtype, but "
            f"`{name}` has dtype {dtype}."
        )
    if jax.dtypes.issubdtype(dtype, jax.dtypes.extended) or not (
        jax.dtypes.issubdtype(dtype, np.inexact) or allow_int
    ):
        raise DtypeMismatch(
            f"{caller} requires real- or complex-valued inputs (a dtype that is a "
            f"sub-dtype of np.inexact), but `{name}` has dtype {dtype}. Convert it with "
            ".astype(float), leave it out of argnums, use vjp, or set allow_int=True."
        )
    if jax.dtypes.issubdtype(dtype, np.complexfloating) and not holomorphic:
        if caller != "grad" and caller != "jacrev":
            raise DtypeMismatch(
                f"{caller} requires real-valued inputs, but `{name}` has dtype {dtype}. "
                "For holomorphic differentiation pass holomorphic=True; for "
                "non-holomorphic functions of complex inputs use jvp directly."
            )


def _check_output(name, value, holomorphic, caller):
    dtype = ir.typeof(value).dtype
    if holomorphic:
        if not jax.dtypes.issubdtype(dtype, np.complexfloating):
            raise DtypeMismatch(
                f"{caller} with holomorphic=True requires outputs with complex dtype, "
                f"but `{name}` has dtype {dtype}."
            )
    elif not jax.dtypes.issubdtype(dtype, np.floating):
        raise DtypeMismatch(
            f"{caller} requires real-valued outputs (a dtype that is a sub-dtype of "
            f"np.floating), but `{name}` has dtype {dtype}. For holomorphic "
            "differentiation pass holomorphic=True; for others use vjp directly."
        )


def _check_scalar(structure, outs, fun, holomorphic):
    if structure != jax.tree.structure(0):
        raise DtypeMismatch(
            f"grad is defined for scalar-valued functions, but `{_name(fun)}` returned "
            f"a tree {structure}. Return one scalar; has_aux=True lets others pass."
        )
    shape = ir.typeof(outs[0]).shape
    if shape != ():
        raise ShapeMismatch(
            f"grad is defined for scalar-valued functions, but the output of "
            f"`{_name(fun)}` has shape {shape}. Sum or average it, or use jacrev, "
            "jacfwd or vjp."
        )
    _check_output("output", outs[0], holomorphic, "grad")


# Jacobians ------------------------------------------------------------------


def jacfwd(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable:
    """A function that gives the Jacobian, column by column (forward mode).

    Args:
      fun: a function of arrays or pytrees of them.
      argnums: which positional arguments to differentiate.
      has_aux: `fun` returns (output, aux).
      holomorphic: `fun` is holomorphic.

    Returns:
      A function that gives the Jacobian: per output leaf and input leaf an array of
      shape (*output, *input); with has_aux=True (Jacobian, aux).

    Cost: n pushforwards for n inputs, batched by vmap.
    """
    _check_callable(fun)

    @functools.wraps(fun, assigned=("__name__", "__qualname__", "__module__"))
    def jacfwd_of(*args, **kwargs):
        places = _places(argnums, args, fun)
        chosen = tuple(args[i] for i in places)
        for name, leaf in tree.named_leaves("args", chosen):
            _check_input(name, leaf, holomorphic, False, "jacfwd")
        partial = lambda *given: fun(*_merged(args, places, given), **kwargs)
        push = lambda seeds: jvp(partial, chosen, seeds, has_aux)
        axes = (None, -1, None) if has_aux else (None, -1)
        found = jax.vmap(push, out_axes=axes)(tree.basis(chosen))
        y, columns, aux = found if has_aux else (*found, None)
        for name, leaf in tree.named_leaves("output", y):
            if holomorphic:
                _check_output(name, leaf, holomorphic, "jacfwd")
        wanted = chosen[0] if isinstance(argnums, int) else chosen
        jacobian = jax.tree.map(lambda c: tree.split_axis(c, wanted, -1), columns)
        return (jacobian, aux) if has_aux else jacobian

    return jacfwd_of


def jacrev(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable:
    """A function that gives the Jacobian, row by row (reverse mode).

    Args and returns: as `jacfwd`.

    Cost: one evaluation and m pullbacks for m outputs, batched by vmap.
    """
    _check_callable(fun)

    @functools.wraps(fun, assigned=("__name__", "__qualname__", "__module__"))
    def jacrev_of(*args, **kwargs):
        places = _places(argnums, args, fun)
        chosen = tuple(args[i] for i in places)
        for name, leaf in tree.named_leaves("args", chosen):
            _check_input(name, leaf, holomorphic, allow_int, "jacrev")
        partial = lambda *given: fun(*_merged(args, places, given), **kwargs)
        y, pullback, *aux = vjp(partial, *chosen, has_aux=has_aux)
        for name, leaf in tree.named_leaves("output", y):
            _check_output(name, leaf, holomorphic, "jacrev")
        rows = jax.vmap(pullback)(tree.basis(y))
        rows = rows[0] if isinstance(argnums, int) else rows
        by_input = jax.tree.map(lambda r: tree.split_axis(r, y, 0), rows)
        wanted = chosen[0] if isinstance(argnums, int) else chosen
        jacobian = jax.tree.transpose(
            jax.tree.structure(wanted), jax.tree.structure(y), by_input
        )
        return (jacobian, aux[0]) if has_aux else jacobian

    return jacrev_of


jacobian = jacrev


def hessian(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable:
    """A function that gives the Hessian: forward mode over reverse mode.

    Cost: n pushforwards of the gradient for n inputs.
    """
    rows = jacrev(fun, argnums, has_aux, holomorphic)
    return jacfwd(rows, argnums, has_aux, holomorphic)


def hvp(fun: Callable, primals: Sequence, tangents: Sequence, has_aux: bool = False):
    """Hessian times vector, without the Hessian: forward mode over reverse mode.

    Args:
      fun: scalar-valued.
      primals: tuple of arguments: the point.
      tangents: the vector, same structure.
      has_aux: `fun` returns (value, aux).

    Returns:
      The product: like the one primal, or a tuple with one entry per primal; with
      has_aux=True (product, aux).

    Cost: about twice a gradient.
    Source: Pearlmutter 1994, doi:10.1162/neco.1994.6.1.147.
    """
    argnums: Any = 0 if len(primals) == 1 else tuple(range(len(primals)))
    found = jvp(grad(fun, argnums, has_aux), primals, tangents, has_aux)
    return found[1:] if has_aux else found[1]

