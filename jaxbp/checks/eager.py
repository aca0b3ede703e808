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


def compiled_quickly(f):
    """`jax.jit(f)` for a few dozen calls: on a CPU at the first level of optimization,
    which compiles in two thirds of the time and runs as quickly."""
    full = jax.default_backend() != "cpu" or jax.config.read(
        "jax_disable_most_optimizations"
    )
    options = None if full else {"xla_backend_optimization_level": 1}
    return jax.jit(f, compiler_options=options)


def jit_where_possible(f):
    """`f` compiled, or `f` itself from the first time that it needs its values."""
    compiled = compiled_quickly(f)
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
