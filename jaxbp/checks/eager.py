"""Compile what can be compiled; run the rest as it is."""

import jax

from .. import ir

# What jit raises when a function needs its values: `if x > 0`, float(x), numpy calls.
NEEDS_VALUES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerBoolConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
# XLA's options for what runs a few dozen times, and of many equations beside them.
QUICK = {"xla_backend_optimization_level": 1}
UNFUSED = {"xla_disable_hlo_passes": "fusion"}
MANY = 500  # equations


def compiled_quickly(f, like=None):
    """`jax.jit(f)` for a few dozen calls: on a CPU at the first level of optimization,
    which compiles in two thirds of the time and runs as quickly.

    Of many equations XLA's fusion is left out, too: it takes what is added up all along
    a residual network into each layer anew, and compiles for a time that grows with the
    square of its depth (of 60 layers 22 s, and 1.4 s without). `like` is the program
    that is counted where `f` adds to each of its equations what is to be fused.
    """
    if jax.default_backend() != "cpu" or jax.config.read(
        "jax_disable_most_optimizations"
    ):
        return jax.jit(f)
    compiled = None

    def call(*args):
        nonlocal compiled
        if compiled is None:
            program = like or jax.make_jaxpr(f)(*args)  # jit need not trace it again
            compiled = jax.jit(f, compiler_options=options_of(program))
        return compiled(*args)

    return call


def options_of(program):
    """How XLA is to compile a program for a few dozen calls on a CPU."""
    many = sum(1 for _ in ir.every_equation(program.jaxpr)) > MANY
    return QUICK | (UNFUSED if many else {})


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
