"""`jaxbp.checkpointed`: a function whose gradient keeps within a number of bytes."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax

from .. import ir, tree
from ..costs.subject import NEEDS_VALUES, type_of
from ..errors import InvalidArgument
from ..settings import bytes_of
from ..transforms import arguments
from .chain import chain_of
from .nested import scheduled
from .plan import Plan
from .planner import Planner, planner_of
from .timed import timed


def checkpointed(
    fun: Callable, budget: int | str, argnums: int | Sequence[int] = 0
) -> "Checkpointed":
    """`fun` with its values, whose gradient keeps within a budget of memory.

    The program is cut into a chain of segments where few bytes are alive; which of them
    are taped, and which states are kept so that others are run again, follows by
    dynamic programming: the least time within the budget. The gradient is compiled, and
    where XLA needs more than was predicted, a smaller schedule is taken. It is written
    as nested functions that run again, each from states that depend on the cotangent,
    so that no compiler undoes it, with any scheduler. Loops of known length keep a
    whole tape, or starts of blocks and one block's tape (`Options.loop_bytes`).

    The gradient may be jaxbp's or JAX's. That which is compiled, and held to the
    budget, is jaxbp's; JAX's takes about as much, by some percent more or less.

    Args:
      fun: a function of pytrees of arrays, whose shapes do not depend on values. True,
        False, texts and None among its arguments keep their values.
      budget: bytes, or such as "60MB", "1.5 GiB": what XLA's program of values and
        gradients takes beside its arguments: temporaries and outputs.
      argnums: the arguments that it will be differentiated by.

    Returns:
      A function called as `fun`; `.plan(*args)` says what it does, predicted and
      measured. Where anything is run again, forward mode by JAX refuses it, as it does
      every function with a rule of its own: it keeps nothing, and `fun` itself will do.

    Raises:
      InvalidArgument: the budget is no number of bytes; or, when called, no schedule
        keeps within it: the message has the least that one takes; or it is
        differentiated by an argument that `argnums` does not name, or `argnums` names
        none that can be differentiated by; or `fun` needs the value of an array.

    Cost: at the first call with given shapes, `fun` is traced, and its gradient is
    compiled about four times, a dozen where none fits. Other budgets of a program take
    what is known of it already. The gradient runs `fun` forward at most 6 times.

    Source: Beaumont et al., "Optimal checkpointing for heterogeneous chains", 2024.
    """
    arguments.check_callable(fun)
    return Checkpointed(fun, bytes_of(budget), arguments.indices(argnums))


class Checkpointed:
    """A function whose gradient keeps within a budget; see `checkpointed`."""

    def __init__(self, fun: Callable, budget: int, argnums: int | Sequence[int]):
        functools.update_wrapper(self, fun, updated=())
        self._fun, self.budget, self._argnums = fun, budget, argnums

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        traced = _Traced(self._fun, args, kwargs, self._argnums)
        plan = traced.planner().plan(self.budget, traced.name)
        chain = chain_of(traced.program, traced.moving)
        run = scheduled(chain, plan.chosen.tree)
        guard = _declared_alone(traced.name, self._argnums)
        pairs = zip(traced.moving, traced.arrays, strict=True)
        given = [array if moves else guard(array) for moves, array in pairs]
        outs = run([guard(value) for value in chain.consts], given)
        return jax.tree.unflatten(traced.out_structure, outs)

    def plan(self, *args: Any, measure: bool = False, **kwargs: Any) -> Plan:
        """What the gradient at arguments of these types does and takes.

        Args:
          *args, **kwargs: arrays, or `jax.ShapeDtypeStruct`s in their places.
          measure: run the plain gradient and the planned one, too: seconds of both,
            beside those that this device's measured roofs predict. It takes arrays.

        Raises:
          InvalidArgument: no schedule keeps within the budget.
        """
        traced = _Traced(self._fun, args, kwargs, self._argnums)
        planner = traced.planner()
        plan = planner.plan(self.budget, traced.name)
        return timed(plan, planner, traced.program, traced.arrays) if measure else plan

    def __repr__(self) -> str:
        name = tree.name_of(self._fun)
        return f"checkpointed({name}, budget={self.budget})"


def _declared_alone(name: str, argnums) -> Callable:
    """The identity on arrays that the schedule knows no cotangent of: one would be
    dropped in silence."""

    @jax.custom_jvp
    def guard(value):
        return value

    @guard.defjvp
    def refused(primals, tangents):
        raise InvalidArgument(
            f"`checkpointed({name}, argnums={argnums})` is differentiated by an array "
            "that is none of these arguments: another argument, or one that it closes "
            "over. Name it in `argnums`; what is closed over, make an argument."
        )

    def guarded(value):
        return guard(value) if ir.differentiable(ir.typeof(value)) else value

    return guarded


class _Traced:
    """A function traced at the types of its arguments.

    Attributes:
      program: closed; its inputs are the arrays.
      arrays: of the arguments; types where types were given.
      moving: per input of the program: is it differentiated by.
      out_structure: of the output.
    """

    def __init__(self, fun: Callable, args, kwargs, argnums):
        self.name = tree.name_of(fun)
        leaves, structure = jax.tree.flatten((args, kwargs))
        places = arguments.places_of(argnums, args, fun)
        chosen = [
            place in places
            for place, arg in enumerate(args)
            for _ in jax.tree.leaves(arg)
        ]
        chosen += [False] * (len(leaves) - len(chosen))
        kinds = zip(leaves, chosen, strict=True)
        is_open = [_is_array(leaf) or (on and _is_number(leaf)) for leaf, on in kinds]
        pairs = list(zip(leaves, is_open, strict=True))
        self.arrays = [leaf for leaf, on in pairs if on]

        def call(*given):
            rest = iter(given)
            now = [next(rest) if on else leaf for leaf, on in pairs]
            args, kwargs = structure.unflatten(now)
            out = fun(*args, **kwargs)
            arguments.check_arrays("output", out, self.name)
            return out

        types = [type_of(leaf) for leaf in self.arrays]
        try:
            self.program, out = jax.make_jaxpr(call, return_shape=True)(*types)
        except NEEDS_VALUES as error:
            raise InvalidArgument(
                f"`checkpointed` traces `{self.name}`, which needs the value of one of "
                "its arrays or numbers. Bind what decides by functools.partial, or use "
                "jax.lax.cond, jnp.where or a loop of jax.lax. JAX says: "
                f"{str(error).splitlines()[0]}"
            ) from error
        self.out_structure = jax.tree.structure(out)
        wanted = [c for c, on in zip(chosen, is_open, strict=True) if on]
        inputs = ir.inner(self.program)[0].invars
        flags = zip(wanted, inputs, strict=True)
        self.moving = [w and ir.differentiable(var.aval) for w, var in flags]
        if not any(self.moving):
            raise InvalidArgument(self._nothing_moves(fun, args, places))

    def planner(self) -> Planner:
        return planner_of(self.program, self.moving)

    def _nothing_moves(self, fun, args, places) -> str:
        names = arguments.leaf_names(fun, args)
        kept = (
            (place, leaf) for place, arg in enumerate(args)
            for leaf in jax.tree.leaves(arg)
        )  # fmt: skip
        found = [
            f"`{name}` is {_said(leaf)}"
            for name, (place, leaf) in zip(names, kept, strict=False)
            if place in places
        ]
        return (
            f"`checkpointed` plans the gradient of `{self.name}` by the arguments that "
            f"`argnums` names, but none of them holds real or complex numbers: "
            f"{', '.join(found[:3]) or 'they hold no arrays'}. Name others there."
        )


def _said(leaf) -> str:
    if hasattr(leaf, "dtype"):
        return f"of dtype {leaf.dtype}"
    return tree.describe(leaf)


def _is_array(leaf) -> bool:
    """Also a number: what is stepped from call to call is not planned for anew."""
    return hasattr(leaf, "dtype") or (_is_number(leaf) and not isinstance(leaf, bool))


def _is_number(leaf) -> bool:
    return isinstance(leaf, bool | int | float | complex)
