"""The two modes; importing this package registers the rules that walk programs."""

from . import (
    batching,
    branches,
    calls,
    custom,
    high,
    loops,
    remat,
    sharded,
    solve,
    whiles,
)

__all__ = [
    "batching",
    "branches",
    "calls",
    "custom",
    "high",
    "loops",
    "remat",
    "sharded",
    "solve",
    "whiles",
]
