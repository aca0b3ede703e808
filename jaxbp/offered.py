"""What rooms below the front door are handed by it: `jaxbp/__init__.py` fills this in.

A clock must not know the engine that it measures; nor reverse mode those who plan what
it keeps.
"""

from collections.abc import Callable
from typing import Any

DERIVATIVES: dict[str, Callable[..., Any]] = {}  # "value_and_grad", "jvp", "vjp"
PLANS: dict[str, Callable[..., Any]] = {}  # "memory": a function within a budget
