"""Functions of JAX's own whose derivative is not that of their program.

Each is a jit of a program that holds a loop which reverse mode refuses, or that passes
by values which are not smooth where the function is. They are known by their names and
the files that define them; every other jit is walked.
"""

import functools
from collections.abc import Callable

from .. import ir

_functions: dict[str, tuple[str, Callable]] = {}


def function(name: str, file: str, rule: Callable) -> None:
    """Puts `rule` into the table for a jitted function of JAX's.

    Args:
      name: of the function.
      file: the end of the path of its source file.
      rule: as `registry.register` takes them, for operands that are matrices.
    """
    _functions[name] = file, rule


def by_function(rule: Callable) -> Callable:
    """`rule` of the primitive jit, but for functions that have a rule of their own."""

    @functools.wraps(rule)
    def called(walker, primitive, values, dots, params):
        own = _own_rule(values, params)
        return (own or rule)(walker, primitive, values, dots, params)

    return called


def _own_rule(values, params) -> Callable | None:
    if params.get("name") not in _functions:
        return None
    file, rule = _functions[params["name"]]
    info = getattr(ir.inner(ir.called(params))[0], "debug_info", None)
    source = getattr(info, "func_src_info", None) or ""
    if file not in source.replace("\\", "/"):
        return None
    # Under vmap there are more axes, in any order: its program is walked then.
    matrices = all(type(v) is not ir.Hole and ir.typeof(v).ndim == 2 for v in values)
    return rule if matrices else None
