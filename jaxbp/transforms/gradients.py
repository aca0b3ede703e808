"""Gradients of scalar functions, by reverse mode."""

from collections.abc import Callable, Sequence

import jax

from .. import ir, settings, tree
from ..errors import ShapeMismatch, StructureMismatch
from ..settings import Options
from . import arguments
from .products import Pullback, linearized


def value_and_grad(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence = (),
    *,
    options: Options | None = None,
) -> Callable:
    """A function that gives the value of `fun` and its gradient.

    Args:
      fun: scalar-valued.
      argnums: which positional arguments to differentiate; they must be floating (or
        complex, with holomorphic=True) or pytrees of such arrays.
      has_aux: `fun` returns (value, aux).
      holomorphic: `fun` is holomorphic, from complex to complex.
      allow_int: integer leaves are allowed; their gradient is float0 zeros.
      options: a `jaxbp.Options`; None: those in force where the gradient is traced,
        which a function that `jax.jit` has traced before does not see change.

    Returns:
      A function with the arguments of `fun` that gives (value, gradient), or
      ((value, aux), gradient); a tuple of gradients if `argnums` is a sequence.

    Raises:
      DtypeMismatch: an argument or the value has a dtype that has no gradient.
      ShapeMismatch: the value is not a scalar.

    Cost: 2 to 5 evaluations of `fun`, whatever the number of parameters.
    Source: Linnainmaa 1970; Griewank and Walther 2008, section 3.2.
    """
    arguments.check_callable(fun)
    arguments.no_reduce_axes(reduce_axes)
    argnums = arguments.indices(argnums)

    @arguments.named_after(
        fun, "Value and gradient of {fun} by its arguments {argnums}.", argnums
    )
    def value_and_grad_of(*args, **kwargs):
        partial, primals = arguments.chosen(fun, argnums, args, kwargs)
        arguments.check_inputs(fun, primals, holomorphic, allow_int, "grad")
        with settings.using(options):
            outs, pullback, aux = linearized(Pullback, partial, fun, primals, has_aux)
        structure = pullback.signature.out_structure
        _check_scalar(structure, outs, fun, holomorphic)
        x_bars = pullback.pull([ir.one(ir.typeof(outs[0]))])
        gradients = pullback.signature.structure.unflatten(x_bars)
        value = structure.unflatten(outs)
        gradient = gradients[0] if isinstance(argnums, int) else gradients
        return ((value, aux), gradient) if has_aux else (value, gradient)

    return value_and_grad_of


def grad(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence = (),
    *,
    options: Options | None = None,
) -> Callable:
    """A function that gives the gradient of `fun`: see `value_and_grad`.

    Returns:
      A function with the arguments of `fun` that gives the gradient, or
      (gradient, aux) with has_aux=True.
    """
    argnums = arguments.indices(argnums)
    both = value_and_grad(
        fun, argnums, has_aux, holomorphic, allow_int, reduce_axes, options=options
    )

    @arguments.named_after(
        fun, "Gradient of {fun} by its arguments {argnums}.", argnums
    )
    def grad_of(*args, **kwargs):
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return grad_of


_SCALAR = jax.tree.structure(0)


def _check_scalar(structure, outs, fun, holomorphic):
    name = tree.name_of(fun)
    if structure != _SCALAR:
        raise StructureMismatch(
            f"grad is defined for scalar-valued functions, but `{name}` returned a "
            f"tree {tree.spelled(structure)}. Return one scalar; has_aux=True lets "
            "others pass."
        )
    shape = ir.typeof(outs[0]).shape
    if shape != ():
        raise ShapeMismatch(
            f"grad is defined for scalar-valued functions, but the output of `{name}` "
            f"has shape {shape}. Sum or average it, or use jacrev, jacfwd or vjp."
        )
    arguments.check_outputs(structure.unflatten(outs), holomorphic, "grad")
