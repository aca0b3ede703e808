"""`jaxbp.jacobian` and `jaxbp.hessian`: whole Jacobians in the cheapest order."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax

from .. import ir, settings, tree
from ..errors import DtypeMismatch, JaxbpError
from ..settings import Options
from ..transforms import arguments, chunks
from ..transforms.chunks import split_columns, split_rows
from ..transforms.jacobians import assembled
from ..transforms.jacobians import by_columns as pushed_again
from ..transforms.products import Again, Pullback, linearized
from .copies import copies
from .modes import MODES
from .report import Plan, Way
from .timed import timed
from .whole import Whole, by_columns, by_rows
from .within import fit, told_within


def jacobian(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    budget_bytes: int | str | None = None,
    options: Options | None = None,
) -> Callable:
    """A function that gives the Jacobian, in the order that is predicted cheapest.

    The linear program of `fun` is taken apart into edges with a structure each:
    diagonals, masks, broadcasts, sums, slices, gathers, dense matrices. Its vertices
    are eliminated in the cheapest order, without multiplying with an identity; where
    that is not clearly cheaper than one of the two modes, that mode is taken. What it
    depends on is shapes alone, and how many examples `jax.vmap` makes of them, so that
    it is settled when the Jacobian is traced.

    Args:
      fun: a function of arrays or pytrees of them.
      argnums: which positional arguments to differentiate.
      has_aux: `fun` returns (output, aux).
      holomorphic: `fun` is holomorphic.
      allow_int: integer arguments are allowed; their Jacobians are zero.
      budget_bytes: bytes, or such as "60MB". XLA's plan of the compiled function,
        arguments, tape, Jacobian and what stands between, takes no more: by the order
        planned if it does, else by a mode in chunks of columns or rows. It is compiled
        a few times to find out, under `vmap` for one example.
      options: as for `jacrev`.

    Returns:
      A function that gives the Jacobian as `jacrev` does: per output leaf and input
      leaf an array of shape (*output, *input); with has_aux=True (Jacobian, aux). Its
      `plan(*args)` tells which way is taken, and why; `plan(*args, measure=True)` has
      the time of each way, too.

    Raises:
      InvalidArgument: `budget_bytes` is less than any way needs; it names the least.

    Where a local derivative is infinite, a mode multiplies it with the zeros of its
    columns or rows and spreads NaN to entries that are zero; an order of elimination
    has no such products, and leaves them zero.

    Cost: one evaluation, then what the plan says; tracing plans it, in milliseconds.
    Source: Griewank and Walther, Evaluating Derivatives, 2nd ed., 2008, chapters 9, 10.
    """
    arguments.check_callable(fun)
    budget = chunks.checked(budget_bytes)
    argnums = arguments.indices(argnums)

    @arguments.named_after(
        fun, "Jacobian of {fun} by its arguments {argnums}.", argnums
    )
    def jacobian_of(*args, **kwargs):
        found = Point(fun, argnums, args, kwargs, has_aux)
        found.check(holomorphic, allow_int, "jacobian")
        with settings.using(options):
            found.record()
            arguments.check_outputs(found.y, holomorphic, "jacobian")
            result = found.result(budget)
        return (result, found.aux) if has_aux else result

    def plan(*args, measure: bool = False, **kwargs) -> Plan:
        point = Point(fun, argnums, args, kwargs, has_aux)
        check = lambda at: at.check(holomorphic, allow_int, "jacobian")  # noqa: E731
        return traced_plan(point, check, options, measure, budget)

    jacobian_of.plan = plan
    return jacobian_of


def hessian(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    budget_bytes: int | str | None = None,
    options: Options | None = None,
) -> Callable:
    """A function that gives the Hessian: the Jacobian of the gradient, in the order
    that is predicted cheapest, or forward or reverse mode over reverse mode.

    Args and returns: as `jacobian`; per output leaf and two input leaves an array of
    shape (*output, *input, *input).

    Cost: at most n pushforwards, or pullbacks, of the gradient for n inputs.
    """
    arguments.check_callable(fun)
    budget = chunks.checked(budget_bytes)
    argnums = arguments.indices(argnums)
    slope = gradient(fun, argnums, has_aux, holomorphic)

    @arguments.named_after(fun, "Hessian of {fun} by its arguments {argnums}.", argnums)
    def hessian_of(*args, **kwargs):
        found = Point(slope, argnums, args, kwargs, has_aux, hessian=True)
        found.check(holomorphic, False, "hessian")
        with settings.using(options):
            found.record()
            arguments.check_outputs(found.y, holomorphic, "hessian")
            result = found.result(budget)
        return (result, found.aux) if has_aux else result

    def plan(*args, measure: bool = False, **kwargs) -> Plan:
        point = Point(slope, argnums, args, kwargs, has_aux, hessian=True)
        check = lambda at: at.check(holomorphic, False, "hessian")  # noqa: E731
        found = traced_plan(point, check, options, measure, budget)
        return dataclasses.replace(found, what="Hessian")

    hessian_of.plan = plan
    return hessian_of


def gradient(fun: Callable, argnums, has_aux: bool, holomorphic: bool) -> Callable:
    """The Jacobian by rows, as a function; of one number its gradient."""

    def rows_of(*args, **kwargs):
        found = Point(fun, argnums, args, kwargs, has_aux)
        found.check(holomorphic, False, "hessian")
        found.record()
        arguments.check_outputs(found.y, holomorphic, "hessian")
        if [jax.numpy.shape(y) for y in found.outs] == [()]:
            one = ir.one(ir.tangent_aval(ir.typeof(found.outs[0])))
            blocks = [found.linear.pull([one])]
        else:
            blocks = by_rows(found.linear, found.primals, found.y)
        result = found.assembled(blocks)
        return (result, found.aux) if has_aux else result

    rows_of.__name__ = tree.name_of(fun)
    return rows_of


def traced_plan(
    point: "Point", check: Callable, options: Options | None, measure: bool,
    budget: int | None = None,
) -> Plan:  # fmt: skip
    """The plan at a point, from the types of its arguments alone; then what a budget
    makes of it, and its times."""
    found = []
    given, at = point.opened()

    def traced(given):
        one = at(given)
        check(one)
        with settings.using(options):
            one.record()
            found.extend([one, one.whole().plan()])
        return 0

    jax.eval_shape(traced, given)
    one, plan = found
    sizes = [chunks.size_of(v) for v in (jax.tree.leaves(one.primals), one.outs)]
    plan = dataclasses.replace(plan, inputs=sizes[0], outputs=sizes[1])
    if budget is not None:
        with settings.using(options):
            told = told_within(one, plan, budget, given, at)
        plan = dataclasses.replace(plan, notes=(*plan.notes, told))
    return timed(plan, at, given, options) if measure else plan


class Point:
    """A function at a point, and its Jacobian there.

    Attributes, after `record`:
      linear: its derivative.
      hessian: whether the function is a gradient.
      outs, aux: its leaves, and what it gives beside them.
    """

    def __init__(
        self, fun, argnums, args, kwargs, has_aux, modes=MODES, hessian: bool = False
    ):
        self.fun, self.argnums, self.has_aux = fun, argnums, has_aux
        self.args, self.kwargs, self.modes = args, kwargs, modes
        self.hessian = hessian
        self.partial, self.primals = arguments.chosen(fun, argnums, args, kwargs)
        _check_arrays(fun, self.primals)
        self.linear: Pullback
        self.outs: list
        self.aux: Any = None
        self.holomorphic = False

    def at(self, args) -> "Point":
        """The same at other arguments."""
        own = self.has_aux, self.modes, self.hessian
        return Point(self.fun, self.argnums, args, self.kwargs, *own)

    def opened(self) -> tuple[list, Callable]:
        """The leaves of its arguments that are arrays, and the point at others like
        these. Python numbers that are held keep their values."""
        leaves, structure = jax.tree.flatten(self.args)
        wanted = jax.tree.leaves(self.primals)
        kept = [
            not hasattr(x, "dtype") and not any(x is one for one in wanted)
            for x in leaves
        ]

        def at(given) -> "Point":
            rest = iter(given)
            whole = [x if k else next(rest) for x, k in zip(leaves, kept, strict=True)]
            return self.at(structure.unflatten(whole))

        return [x for x, k in zip(leaves, kept, strict=True) if not k], at

    def check(self, holomorphic: bool, allow_int: bool, caller: str) -> None:
        """Raises unless its arguments can be differentiated by."""
        arguments.check_inputs(self.fun, self.primals, holomorphic, allow_int, caller)
        self.holomorphic = holomorphic

    def record(self) -> None:
        """Runs the function, and writes its derivative down."""
        self.outs, self.linear, self.aux = linearized(
            Pullback, self.partial, self.fun, self.primals, self.has_aux
        )

    @property
    def y(self):
        return self.linear.signature.out_structure.unflatten(self.outs)

    def whole(self) -> Whole:
        found = copies([*jax.tree.leaves(self.primals), *self.outs])
        return Whole(self.linear, self.modes, found, self.hessian)

    def result(self, budget: int | None):
        """What is asked for: a tree of the output, of trees of the inputs."""
        if budget is None or self.is_plain:
            return self.assembled(self.blocks())
        taken, at = self.opened()
        return fit(self, self.whole().plan(), budget, taken, at).function(taken)

    @property
    def is_plain(self) -> bool:
        """Whether rows alone will do: of integers, of nothing, of complex numbers."""
        signature = self.linear.signature
        real = all(_is_real(a) for a in signature.avals) or self.holomorphic
        return not (all(signature.active) and self.outs and real)

    def blocks(self) -> list[list]:
        """Per output leaf and input leaf the array (*y, *x)."""
        if self.is_plain:
            return by_rows(self.linear, self.primals, self.y)
        whole = self.whole()
        plan = whole.plan(every=False)
        way = plan.chosen
        try:
            return self.by(way, whole)
        except JaxbpError as error:  # a map has one direction alone
            for other in plan.ways:
                if not other.order and other.name != way.name:
                    return self.by(other, whole)
            raise error

    def by(
        self, way: Way, whole: Whole, size: int | None = None, again: bool = False
    ) -> list[list]:
        """By a mode, so many columns or rows at a time, or by an order.

        Args:
          again: the function runs again for each chunk, and no tape is kept.
        """
        if way.order:
            return self.across(whole, way)
        leaves, forward = jax.tree.leaves(self.primals), way.name == "forward"
        if not again and (size is None or size >= self.count(way)):
            if forward:
                return self.forward(whole)
            return by_rows(self.linear, self.primals, self.y, whole.known)
        sweep, split, program = chunks.rows, split_rows, self.linear.program
        if forward:
            sweep, split = chunks.columns, split_columns
        if again:
            program = Again(self.partial, self.fun, self.primals, self.has_aux)
        found = sweep(program, leaves, self.outs, size or self.count(way))
        return split(found, self.primals, self.outs)

    def count(self, way: Way) -> int:
        """How many columns or rows a mode has; an order has one sweep."""
        if way.order:
            return 1
        if way.name == "forward":
            return chunks.size_of(jax.tree.leaves(self.primals))
        return chunks.size_of(self.outs)

    def forward(self, whole: Whole) -> list[list]:
        """By columns; the function runs again where `whole.loops`."""
        if whole.loops:
            seeds = tree.basis(self.primals, whole.known)
            call = self.partial, self.fun, self.primals, self.has_aux
            columns = jax.tree.leaves(pushed_again(*call, seeds)[1])
            found = split_columns(columns, self.primals, self.outs)
        else:
            found = by_columns(self.linear, self.primals, self.outs, whole.known)
        inputs = jax.tree.leaves(self.primals)
        return [list(map(_as_input, row, inputs)) for row in found]

    def across(self, whole: Whole, way: Way) -> list[list]:
        inputs = self.linear.signature.avals
        return [
            [_filled(block, y, x) for block, x in zip(row, inputs, strict=True)]
            for row, y in zip(whole.blocks(way), self.outs, strict=True)
        ]

    def assembled(self, blocks: list[list]):
        """The tree of the output, of the trees of the inputs."""
        return assembled(blocks, self.linear.signature, self.argnums)


def _check_arrays(fun: Callable, primals) -> None:
    """Raises where a leaf to differentiate by is no array: a function in a model."""
    for name, leaf in tree.named_leaves("args", primals):
        if not tree.is_array(leaf) and not hasattr(leaf, "__jax_array__"):
            raise DtypeMismatch(
                f"`{name}` of `{tree.name_of(fun)}` must be an array or a number, "
                f"but is {tree.describe(leaf)}. Differentiate by the arrays of "
                "the model alone: `arrays, rest = equinox.partition(model, "
                "equinox.is_inexact_array)`, and in the function `model = "
                "equinox.combine(arrays, rest)`; or leave it out of `argnums`."
            )


def _is_real(aval) -> bool:
    return jax.numpy.issubdtype(aval.dtype, jax.numpy.floating)


def _as_input(block, x):
    """In the type of the input, as pulling back gives it."""
    dtype = ir.typeof(x).dtype
    return block if block.dtype == dtype else ir.cast(block, dtype)


def _filled(block, y, x):
    if block is None:
        block = jax.numpy.zeros((*jax.numpy.shape(y), *x.shape), x.dtype)
    return ir.as_weak_as(block, x)
