"""Primitives that reach outside the program: printing, checks, callbacks.

What watches a value passes; what computes outside JAX has no derivative that JAX or
this engine could know, and says so when it is asked for one.
"""

import contextlib

from .. import ir
from ..errors import MissingRule
from .registry import register, zero

zero("check", "debug_callback", "debug_print", "inspect_sharding")


_rules: list[bool] = []  # custom rules that are running


@contextlib.contextmanager
def custom_rule():
    """Within, what is evaluated is a user's own derivative rule."""
    _rules.append(True)
    try:
        yield
    finally:
        _rules.pop()


class Refused:
    """No derivative: the error says what to do instead."""

    def __init__(self, what):
        self.what = what

    def __call__(self, walker, primitive, values, dots, params):
        raise MissingRule(
            f"{self.what} (`{primitive.name}`) runs outside JAX: its derivative is not "
            f"known. {self._remedy(values)}"
        )

    def _remedy(self, values) -> str:
        if any(type(v) is ir.Hole for v in values):
            return (
                "The rule of a custom_jvp function hands it a tangent, which reverse "
                "mode cannot take back. Let the rule compute a slope outside JAX and "
                "multiply the tangent with it, or define the function by custom_vjp."
            )
        if _rules:
            return (
                "It is called by the derivative rule of a function, which is to be "
                "differentiated once more: for that, what the rule calls needs a rule "
                "of its own (jax.custom_jvp)."
            )
        return (
            "Give it one with jax.custom_jvp or jax.custom_vjp, or stop its operands "
            "with jax.lax.stop_gradient."
        )


register("ffi_call", Refused("a foreign function"))
register("io_callback", Refused("a callback"))
register("pure_callback", Refused("a callback"))
