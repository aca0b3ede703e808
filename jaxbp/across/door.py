"""`jaxbp.jacobian` and `jaxbp.hessian`: whole Jacobians in the cheapest order."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from .. import ir, settings, tree
from ..errors import NoTranspose
from ..settings import Options
from ..transforms import arguments
from ..transforms.jacobians import jacfwd, jacrev
from ..transforms.products import Pullback, linearized
from .order import MODES, Plan
from .whole import Whole, by_columns, by_rows


def jacobian(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    options: Options | None = None,
) -> Callable:
    """A function that gives the Jacobian, in the order that is predicted cheapest.

    The linear program of `fun` is taken apart into edges with a structure each:
    diagonals, masks, broadcasts, sums, slices, gathers, dense matrices. Its vertices
    are eliminated in the cheapest order, without multiplying with an identity; where
    that is not clearly cheaper than one of the two modes, that mode is taken. What it
    depends on is shapes alone, so that it is settled when the Jacobian is traced.

    Args:
      fun: a function of arrays or pytrees of them.
      argnums: which positional arguments to differentiate.
      has_aux: `fun` returns (output, aux).
      holomorphic: `fun` is holomorphic.
      allow_int: integer arguments are allowed; their Jacobians are zero.
      options: as for `jacrev`.

    Returns:
      A function that gives the Jacobian as `jacrev` does: per output leaf and input
      leaf an array of shape (*output, *input); with has_aux=True (Jacobian, aux). Its
      `plan(*args)` tells which way is taken, and why.

    Where a local derivative is infinite, a mode multiplies it with the zeros of its
    columns or rows and spreads NaN to entries that are zero; an order of elimination
    has no such products, and leaves them zero.

    Cost: one evaluation, then what the plan says; tracing plans it, in milliseconds.
    Source: Griewank and Walther, Evaluating Derivatives, 2nd ed., 2008, chapters 9, 10.
    """
    arguments.check_callable(fun)
    argnums = arguments.indices(argnums)

    @arguments.named_after(fun, "Jacobian of {fun} by its arguments {argnums}.", argnums)
    def jacobian_of(*args, **kwargs):
        found = _Point(fun, argnums, args, kwargs, has_aux, options)
        found.check(holomorphic, allow_int)
        with settings.using(options):
            found.record()
            found.check_outputs(holomorphic)
            result = found.jacobian()
        return (result, found.aux) if has_aux else result

    def plan(*args, **kwargs) -> Plan:
        return _plan(fun, argnums, args, kwargs, has_aux, options)

    jacobian_of.plan = plan
    return jacobian_of


def _plan(fun, argnums, args, kwargs, has_aux, options) -> Plan:
    plans = []

    def traced(*args):
        found = _Point(fun, argnums, args, kwargs, has_aux, options)
        with settings.using(options):
            found.record()
            plans.append(found.plan())
        return 0

    jax.eval_shape(traced, *args)
    return plans[0]


class _Point:
    """A function at a point: what its Jacobian is had from."""

    def __init__(self, fun, argnums, args, kwargs, has_aux, options):
        self.fun, self.argnums, self.has_aux = fun, argnums, has_aux
        self.args, self.kwargs, self.options = args, kwargs, options
        self.partial, self.primals = arguments.chosen(fun, argnums, args, kwargs)
        self.linear: Pullback
        self.outs: list
        self.aux: Any = None

    def check(self, holomorphic: bool, allow_int: bool) -> None:
        arguments.check_inputs(
            self.fun, self.primals, holomorphic, allow_int, "jacobian"
        )
        self.holomorphic = holomorphic

    def record(self) -> None:
        self.outs, self.linear, self.aux = linearized(
            Pullback, self.partial, self.fun, self.primals, self.has_aux
        )

    @property
    def y(self):
        return self.linear.signature.out_structure.unflatten(self.outs)

    def check_outputs(self, holomorphic: bool) -> None:
        arguments.check_outputs(self.y, holomorphic, "jacobian")

    def whole(self) -> Whole:
        return Whole(self.linear)

    def plan(self) -> Plan:
        return self.whole().plan()

    def jacobian(self):
        return self.assembled(self.blocks())

    def blocks(self) -> list[list]:
        signature = self.linear.signature
        real = all(_is_real(a) for a in signature.avals)
        if not all(signature.active) or not self.outs or not (real or self.holomorphic):
            return by_rows(self.linear, self.primals, self.y)
        whole = self.whole()
        plan = whole.plan()
        name = plan.chosen.name
        if name == "forward":
            return by_columns(self.linear, self.primals, self.outs)
        if name == "reverse":
            return by_rows(self.linear, self.primals, self.y)
        inputs = signature.avals
        return [
            [_filled(block, y, x) for block, x in zip(row, inputs, strict=True)]
            for row, y in zip(whole.blocks(plan.chosen.order), self.outs, strict=True)
        ]

    def assembled(self, blocks: list[list]):
        """The tree of the output, of the trees of the inputs."""
        structure = jax.tree.structure(self.primals)
        rows = [structure.unflatten(row) for row in blocks]
        if isinstance(self.argnums, int):
            rows = [row[0] for row in rows]
        return self.linear.signature.out_structure.unflatten(rows)


def _is_real(aval) -> bool:
    return jax.numpy.issubdtype(aval.dtype, jax.numpy.floating)


def _filled(block, y, x):
    if block is None:
        block = jax.numpy.zeros((*jax.numpy.shape(y), *x.shape), x.dtype)
    return ir.as_weak_as(block, x)
