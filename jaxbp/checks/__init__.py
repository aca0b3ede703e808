"""Is this derivative right? Comparisons that depend on nothing they judge.

Whatever differentiates (`jvp`, `vjp`, a hand-written gradient) comes in as an
argument. The public door, with the engine and JAX plugged in, is `jaxbp.check`.
"""

from .adjoint import adjoint_gap
from .closeness import closeness, difference_rtol, inner, largest_closeness, rtol
from .compare import compare
from .differences import Difference, difference, noise_level
from .report import Report
from .rows import Row
from .subject import Subject
from .witness import Witness

__all__ = [
    "Difference",
    "Report",
    "Row",
    "Subject",
    "Witness",
    "adjoint_gap",
    "closeness",
    "compare",
    "difference",
    "difference_rtol",
    "inner",
    "largest_closeness",
    "noise_level",
    "rtol",
]
