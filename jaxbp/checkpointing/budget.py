"""`jaxbp.checkpointed`: a function whose gradient keeps within a number of bytes."""

import functools
from collections.abc import Callable, Sequence

import jax

from .. import ir
from ..costs.subject import type_of
from ..errors import InvalidArgument
from ..settings import bytes_of
from ..transforms import arguments
from .chain import chain_of
from .nested import scheduled
from .plan import Plan
from .planner import Planner


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
      fun: a function of pytrees of arrays, whose shapes do not depend on values.
      budget: bytes, or such as "60MB", "1.5 GiB": what XLA's program of values and
        gradients takes beside its arguments: temporaries and outputs.
      argnums: the arguments that it will be differentiated by.

    Returns:
      A function called as `fun`; `.plan(*args)` says what it does, predicted and
      measured. Forward mode by JAX refuses it, as it does every function with a rule of
      its own: nothing is kept there, so that `fun` itself will do.

    Raises:
      InvalidArgument: the budget is no number of bytes; or, when called, no schedule
        keeps within it: the message has the least that one takes; or it is
        differentiated by an argument that `argnums` does not name.

    Cost: at the first call with given shapes, `fun` is traced and its gradient compiled
    a few times. The gradient runs `fun` forward at most 6 times.

    Source: Beaumont et al., "Optimal checkpointing for heterogeneous chains", 2024.
    """
    arguments.check_callable(fun)
    return Checkpointed(fun, bytes_of(budget), argnums)


class Checkpointed:
    """A function whose gradient keeps within a budget; see `checkpointed`."""

    def __init__(self, fun: Callable, budget: int, argnums: int | Sequence[int]):
        functools.update_wrapper(self, fun, updated=())
        self._fun, self.budget, self._argnums = fun, budget, argnums
        self._planners: dict = {}

    def __call__(self, *args, **kwargs):
        traced = _Traced(self._fun, args, kwargs)
        plan = self._planned(traced, args)
        moving = traced.moving(self._argnums, args, self._fun)
        chain = chain_of(traced.program, moving)
        run = scheduled(chain, plan.chosen.tree)
        guard = _declared_alone(traced.name, self._argnums)
        pairs = zip(moving, traced.arrays, strict=True)
        given = [array if moves else guard(array) for moves, array in pairs]
        outs = run([guard(value) for value in chain.consts], given)
        return jax.tree.unflatten(traced.out_structure, outs)

    def plan(self, *args, **kwargs) -> Plan:
        """What the gradient at arguments of these types does and takes.

        Args:
          *args, **kwargs: arrays, or `jax.ShapeDtypeStruct`s in their places.

        Raises:
          InvalidArgument: no schedule keeps within the budget.
        """
        return self._planned(_Traced(self._fun, args, kwargs), args)

    def _planned(self, traced: "_Traced", args) -> Plan:
        key = traced.key
        if key not in self._planners:
            moving = traced.moving(self._argnums, args, self._fun)
            self._planners[key] = Planner(traced.name, traced.program, moving)
        return self._planners[key].plan(self.budget)

    def __repr__(self) -> str:
        name = arguments.name_of(self._fun)
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
      open: per leaf of the arguments: it is an array.
      out_structure: of the output.
      key: equal for calls that are alike.
    """

    def __init__(self, fun: Callable, args, kwargs):
        self.name = arguments.name_of(fun)
        leaves, structure = jax.tree.flatten((args, kwargs))
        self.open = [_is_open(leaf) for leaf in leaves]
        pairs = list(zip(leaves, self.open, strict=True))
        self.arrays = [leaf for leaf, on in pairs if on]

        def call(*given):
            rest = iter(given)
            now = [next(rest) if on else leaf for leaf, on in pairs]
            args, kwargs = structure.unflatten(now)
            return fun(*args, **kwargs)

        types = [type_of(leaf) for leaf in self.arrays]
        self.program, out = jax.make_jaxpr(call, return_shape=True)(*types)
        self.out_structure = jax.tree.structure(out)
        held = tuple([repr(leaf) for leaf, on in pairs if not on])
        size = len(ir.inner(self.program)[0].eqns)
        avals = [ir.inner(self.program)[0].invars[i].aval for i in range(len(types))]
        self.key = structure, tuple(map(str, avals)), held, size

    def moving(self, argnums, args, fun) -> list[bool]:
        """Per input of the program: is it differentiated by."""
        places = arguments.places_of(argnums, args, fun)
        chosen = [
            place in places
            for place, arg in enumerate(args)
            for _ in jax.tree.leaves(arg)
        ]
        chosen += [False] * (len(self.open) - len(chosen))
        wanted = [c for c, on in zip(chosen, self.open, strict=True) if on]
        inputs = ir.inner(self.program)[0].invars
        return [
            w and ir.differentiable(var.aval)
            for w, var in zip(wanted, inputs, strict=True)
        ]


def _is_open(leaf) -> bool:
    return hasattr(leaf, "dtype") or isinstance(leaf, bool | int | float | complex)
