"""Rules that walk programs: calls, branches, loops, functions with rules of their own.

Importing this package puts them into the table.
"""

# ruff: noqa: F401
from . import batching, branch, call, checkpoint, custom, high, shard, solve
from .loop import while_loop, within
