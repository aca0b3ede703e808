"""The rules: importing this package fills the table.

Public are the declarations: `elementwise`, `linear`, `bilinear`, `mixed`, `general`,
`rewritten` and `zero`, one per kind of primitive; `register` for a rule of one's own
making, `unregister`; `kind_of` says what a primitive's rule knows of it.
"""

# ruff: noqa: F401
from . import (
    collective,
    complex,
    contraction,
    cumulative,
    effects,
    fourier,
    indexing,
    linalg,
    piecewise,
    placement,
    ragged,
    reduction,
    scatter,
    scatter_extremes,
    schur,
    shape,
    smooth,
    sorting,
    sparse,
    special,
    spectral,
    windows,
)
from .mixed import mixed as mixed
from .registry import MOVES as MOVES
from .registry import bilinear as bilinear
from .registry import elementwise as elementwise  # noqa: F811 (shadows the module)
from .registry import general as general
from .registry import kind_of as kind_of
from .registry import known as known
from .registry import linear as linear
from .registry import lookup as lookup
from .registry import register as register
from .registry import rewritten as rewritten
from .registry import table as table
from .registry import unregister as unregister
from .registry import zero as zero

__all__ = [
    "MOVES",
    "bilinear",
    "elementwise",
    "general",
    "kind_of",
    "linear",
    "mixed",
    "register",
    "rewritten",
    "unregister",
    "zero",
]


def __dir__():
    return __all__
