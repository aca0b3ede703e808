"""jaxbp: derivatives you can read, check, price, and then use."""

import importlib

from . import modes, rules
from .modes.transforms import (
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linearize,
    value_and_grad,
    vjp,
)
from .rules import foreign

__version__ = "0.1.0"

_LAZY = {"check": "check"}  # public names whose modules are imported on first use
_SUBMODULES = ("checks", "cost", "layers", "problems", "study", "timing", "training")


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module `jaxbp` has no attribute `{name}`")
