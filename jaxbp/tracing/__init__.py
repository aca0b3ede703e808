"""The evaluation trace of a function: every value, tangent and cotangent in a table."""

from .record import trace
from .report import Trace
from .row import Row

__all__ = ["Row", "Trace", "trace"]
