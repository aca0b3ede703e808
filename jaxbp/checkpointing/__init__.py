"""A budget of bytes for a gradient: what is kept, and what is run again."""

from .budget import Checkpointed, checkpointed
from .option import within_memory
from .plan import Choice, LoopRuns, Plan, Row

__all__ = [
    "Checkpointed",
    "Choice",
    "LoopRuns",
    "Plan",
    "Row",
    "checkpointed",
    "within_memory",
]
