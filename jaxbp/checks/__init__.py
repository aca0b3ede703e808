"""Is this derivative right? Comparisons that depend on nothing they judge.

Whatever differentiates (`jvp`, `vjp`, a hand-written gradient) comes in as an
argument. The public door, with the engine and JAX plugged in, is `jaxbp.check`.
"""

from .adjoint import adjoint_gap
from .bench import Bench
from .closeness import closeness, difference_rtol, inner, largest_closeness, rtol
from .compare import compare, compare_at
from .differences import Slope, ladder, slope
from .report import Report, WrongGradient
from .rows import Row
from .subject import Subject
from .witness import Witness

__all__ = [
    "Bench",
    "Report",
    "Row",
    "Slope",
    "Subject",
    "Witness",
    "WrongGradient",
    "adjoint_gap",
    "closeness",
    "compare",
    "compare_at",
    "difference_rtol",
    "inner",
    "ladder",
    "largest_closeness",
    "rtol",
    "slope",
]
