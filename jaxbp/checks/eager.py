"""Compile what can be compiled; run the rest as it is."""

import jax

# What jit raises when a function needs its values: `if x > 0`, float(x), numpy calls.
NEEDS_VALUES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerBoolConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


def jit_where_possible(f):
    """`jax.jit(f)`, or `f` itself from the first time that `f` needs its values."""
    compiled = jax.jit(f)
    traceable = True

    def call(*args):
        nonlocal traceable
        if traceable:
            try:
                return compiled(*args)
            except NEEDS_VALUES:
                traceable = False
        return f(*args)

    return call
