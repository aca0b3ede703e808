"""A budget of bytes for a gradient: what is kept, and what is run again."""

from .budget import Checkpointed, checkpointed
from .plan import Choice, Plan

__all__ = ["Checkpointed", "Choice", "Plan", "checkpointed"]
