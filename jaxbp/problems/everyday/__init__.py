"""Programs as users write them whose gradients are easily dearer than they need be.

Differentiable physics, dynamic programming, models of states, probability, learning
with memory, finance and control: tables filled by index, histories, branches in loops,
kernels of all pairs. Each is a function of (params, *data), as in `problems.programs`;
`EVERYDAY` has them by name, with the maker of their arguments and two sizes.
"""

from . import learning, reading, signals, simulation, statistics, tables
from .listed import EVERYDAY

__all__ = [
    "EVERYDAY", "learning", "reading", "signals", "simulation", "statistics", "tables",
]  # fmt: skip
