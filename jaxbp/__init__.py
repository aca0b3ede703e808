"""jaxbp: derivatives you can read, check, price, and then use.

As in JAX: `grad`, `value_and_grad`, `jvp`, `vjp`, `linearize`, `jacfwd`, `jacrev`,
`jacobian`, `hessian`, `checkpoint`.

`jacobian` and `hessian` take the order that is predicted cheapest.

Ours: `hvp` (Hessian times vector), `laplacian`, `hessian_diagonal`, `check` (is a
gradient right?), `Checker` (and at many points?), `cost` (what does it take?), `trace`
(every value on the way), `tape` (what does reverse mode keep?), `explain_nan` (where is
a NaN born?), `check_rules` (which custom rule is wrong?), `growth` (where does it
explode?), `checkpointed` (a gradient within so many bytes), `coverage` (which
primitives have rules).

What `linearize` and `vjp` return: `Pushforward`, `Pullback`; both hold a
`LinearProgram`, which can be printed.

Options, by `with`: `Options`, `options`, `association`, `foreign`, `loops`,
`strict_custom_vjp`.

Modules: `layers` (networks with backward passes by hand), `scalar` (a tape of single
numbers), `worked` (an exercise, every number), `problems` (functions and data),
`training`, `scale` (many devices), `timing`, `study` (tables and pictures), `checks`,
`checkpointing`, `costs`, `sparse` (Jacobians of which most is zero), `rules` (add a
primitive), `errors`. The command line is `jaxbp --help`.
"""

from . import early as _early  # noqa: F401 (first: what Ctrl-C does while all comes)

# isort: split

import functools
import importlib
from typing import Any

from jax import checkpoint

from .examples import with_examples
from .offered import DERIVATIVES, PLANS
from .settings import Options, association, foreign, loops, options, strict_custom_vjp

__version__ = "0.1.0"

__all__ = [
    "Checker",
    "LinearProgram",
    "Options",
    "Pullback",
    "Pushforward",
    "association",
    "check",
    "check_rules",
    "checkpoint",
    "checkpointed",
    "cost",
    "coverage",
    "explain_nan",
    "foreign",
    "grad",
    "growth",
    "hessian",
    "hessian_diagonal",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "laplacian",
    "linearize",
    "loops",
    "options",
    "strict_custom_vjp",
    "tape",
    "trace",
    "value_and_grad",
    "vjp",
]

# Public names whose modules are imported on first use: `import jaxbp` costs what
# `import jax` does. What an editor sees of all names is in `__init__.pyi`.
_LAZY = {
    "Checker": "witnesses",
    "LinearProgram": "linear.program",
    "Pullback": "transforms.products",
    "Pushforward": "transforms.products",
    "check": "witnesses",
    "check_rules": "diagnosis",
    "checkpointed": "checkpointing",
    "cost": "costs",
    "coverage": "covering",
    "explain_nan": "diagnosis",
    "grad": "transforms.gradients",
    "growth": "diagnosis",
    "hessian": "across",
    "hessian_diagonal": "across",
    "hvp": "transforms.jacobians",
    "jacfwd": "transforms.jacobians",
    "jacobian": "across",
    "jacrev": "transforms.jacobians",
    "jvp": "transforms.products",
    "laplacian": "across",
    "linearize": "transforms.products",
    "tape": "costs",
    "trace": "evaluation",
    "value_and_grad": "transforms.gradients",
    "vjp": "transforms.products",
}
_SUBMODULES = frozenset(
    "checkpointing checks costs errors layers problems rules scalar scale sparse study "
    "timing training worked".split()
)


def __getattr__(name):
    if name in _LAZY:
        found = getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
        with_examples({name: found})
        globals()[name] = found
        return found
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module `jaxbp` has no attribute `{name}`")


def _offered(name, *args, **kwargs):
    function: Any = __getattr__(name)
    return function(*args, **kwargs)


def __dir__():
    return sorted({*__all__, *_SUBMODULES, "__version__"})


with_examples(globals())
for _name in ("value_and_grad", "jvp", "vjp"):
    DERIVATIVES[_name] = functools.partial(_offered, _name)
PLANS["memory"] = lambda *given: __getattr__("checkpointing").within_memory(*given)
