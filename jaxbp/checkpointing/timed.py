"""A plan on the clock: the plain gradient and the planned one, run in turn."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax

from .. import ir
from ..costs import amount_of
from ..costs.count import Given
from ..errors import InvalidArgument
from .plan import Plan, Seconds

if TYPE_CHECKING:
    from .planner import Planner

ROUNDS = 7
BUDGET_S = 5.0  # of sampling; three rounds in any case


def timed(plan: Plan, planner: "Planner", program, arrays: Sequence) -> Plan:
    """The plan with seconds of the plain gradient, and of its own.

    Args:
      program: closed, of the function.
      arrays: that it is called with.

    Raises:
      InvalidArgument: there are types in the place of arrays.

    Cost: two compilations and their samples; measuring the device's roofs, once.
    """
    from ..timing import device_roofs, time_calls

    if any(isinstance(x, jax.ShapeDtypeStruct) for x in arrays):
        raise InvalidArgument(
            "measuring needs arrays, but there are types (`jax.ShapeDtypeStruct`). "
            "Give arrays, or plan without `measure=True`."
        )
    consts = planner.consts_of(program)
    roofs = device_roofs(_widest(arrays))
    arrays = [list(consts), list(map(ir.array, arrays)), planner.ones()]
    traced = dict(zip(("plain", "planned"), planner.programs(plan.chosen), strict=True))
    built = {name: (it.lower().compile(), tuple(arrays)) for name, it in traced.items()}
    times = time_calls(built, rounds=ROUNDS, budget_s=BUDGET_S)
    given = Given(roofs=roofs)
    plain_s = amount_of(traced["plain"].jaxpr, given).time_s.high
    again_s = plan.extra * amount_of(program, given).time_s.high if plan.extra else 0.0
    plain = Seconds(plain_s, times["plain"].median_s)
    mine = Seconds(plain_s + again_s, times["planned"].median_s)
    return dataclasses.replace(plan, plain_seconds=plain, seconds=mine)


def _widest(arrays: Sequence) -> str:
    wide = any(ir.typeof(x).dtype.itemsize >= 8 for x in arrays if _is_real(x))
    return "float64" if wide else "float32"


def _is_real(x) -> bool:
    return jax.numpy.issubdtype(ir.typeof(x).dtype, jax.numpy.floating)
