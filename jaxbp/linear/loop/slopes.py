"""What a step's tape would take if the slope of every equation were stored.

This is the tape of a reverse mode that multiplies tangents by stored numbers, as JAX's
does. Ours keeps operands and outputs that serve several slopes; what it saves may be
spent on cotangents that wait until after the loop.
"""

import functools
import math
from collections.abc import Callable, Sequence

from ... import ir
from ..base import Edge
from ..diagonal import Broadcast, Diagonal
from ..program import Structure


def slope_bytes(structure: Structure, avals: Sequence, free: Sequence[bool]) -> int:
    """Bytes of the distinct stored slopes of one step.

    Args:
      structure: of the step's linear program.
      avals: per place of its tape the residual's type, None where it does not change
        from step to step.
      free: per place: is the residual there anyway (an element, an output).
    """
    sizes: dict = {}
    for place, edge in enumerate(structure.edges):
        moving = [r for r in edge.residuals if avals[r] is not None]
        slope = computed(edge)
        if moving and slope is not None:
            itemsize = structure.avals[edge.outs[0]].dtype.itemsize
            itemsize = 1 if getattr(slope, "stepped", False) else itemsize
            size = max(math.prod(avals[r].shape) for r in moving)
            sizes["slope", place] = itemsize * size
        else:
            sizes |= {r: ir.nbytes(avals[r]) for r in moving if not free[r]}
    return sum(sizes.values())


def computed(edge: Edge) -> Callable | None:
    """The edge's slope if it is an array of its own, not one of its residuals."""
    linear_map = edge.map.inner if isinstance(edge.map, Broadcast) else edge.map
    if not isinstance(linear_map, Diagonal) or _is_residual(linear_map.slope):
        return None
    return linear_map.slope


@functools.cache
def _is_residual(slope: Callable) -> bool:
    probe = object()
    try:
        return slope(probe) is probe
    except (AttributeError, TypeError):  # it calculates
        return False
