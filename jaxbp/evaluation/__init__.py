"""The evaluation trace of a function: every value, tangent and cotangent in a table."""

from .record import trace
from .report import EvaluationTrace
from .row import TraceRow

__all__ = ["TraceRow", "EvaluationTrace", "trace"]
