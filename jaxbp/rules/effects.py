"""Primitives that reach outside the program: printing, checks, callbacks.

What watches a value passes; what computes outside JAX has no derivative that JAX or
this engine could know, and says so when it is asked for one.
"""

from ..errors import MissingRule
from .registry import register, zero

zero("check", "debug_callback", "debug_print", "inspect_sharding")


class Refused:
    """No derivative: the error says what to do instead."""

    def __init__(self, what):
        self.what = what

    def __call__(self, walker, primitive, values, dots, params):
        raise MissingRule(
            f"{self.what} (`{primitive.name}`) runs outside JAX: its derivative is not "
            "known. Give it one with jax.custom_jvp or jax.custom_vjp, or stop its "
            "operands with jax.lax.stop_gradient."
        )


register("ffi_call", Refused("a foreign function"))
register("io_callback", Refused("a callback"))
register("pure_callback", Refused("a callback"))
