"""The rules: importing this package fills the table."""

from . import contraction, elementwise, indexing, piecewise, reduction, shape, windows
from .registry import (
    bilinear,
    foreign,
    general,
    known,
    linear,
    lookup,
    register,
    unregister,
    zero,
)
from .registry import elementwise as elementwise  # noqa: PLC0414 (shadows the module)
