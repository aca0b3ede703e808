"""The derivatives of the front door, for rooms below it that time what they are handed.

A clock must not know the engine that it measures; `jaxbp/__init__.py` fills this in.
"""

from collections.abc import Callable
from typing import Any

DERIVATIVES: dict[str, Callable[..., Any]] = {}  # "value_and_grad", "jvp", "vjp"
