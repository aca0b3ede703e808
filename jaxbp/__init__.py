"""jaxbp: derivatives you can read, check, price, and then use."""

import importlib

from jax import checkpoint

from . import modes as _modes  # noqa: F401 (registers the rules that walk programs)
from .modes.gradients import grad, value_and_grad
from .modes.jacobians import hessian, hvp, jacfwd, jacobian, jacrev
from .modes.products import jvp, linearize, vjp
from .settings import (
    Options,
    association,
    foreign,
    loops,
    options,
    strict_custom_vjp,
)

__version__ = "0.1.0"

__all__ = [
    "Options",
    "association",
    "check",
    "checkpoint",
    "cost",
    "foreign",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "linearize",
    "loops",
    "options",
    "strict_custom_vjp",
    "trace",
    "value_and_grad",
    "vjp",
]

# Public names whose modules are imported on first use.
_LAZY = {"check": "checking", "cost": "costs", "trace": "tracing"}
_SUBMODULES = frozenset(
    "checks costs layers problems scalar study timing training worked".split()
)


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module `jaxbp` has no attribute `{name}`")
