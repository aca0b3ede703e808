"""How many bytes do a program's scans write, once per step, before anything runs?"""

from collections.abc import Callable, Iterator
from typing import Any

import jax

from jaxbp import ir


def stacked_bytes(f: Callable, *args) -> int:
    """Bytes that the scans of `f` write once per step, residuals and outputs, counted
    in its traced program; nothing is run."""
    return program_stacked_bytes(jax.make_jaxpr(f)(*args))


def program_stacked_bytes(program) -> int:
    """`stacked_bytes` of a closed program and of the programs inside it."""
    return sum(map(equation_stacked_bytes, ir.inner(program)[0].eqns))


def equation_stacked_bytes(equation) -> int:
    """`stacked_bytes` of one equation."""
    inside = sum(map(program_stacked_bytes, inner_programs(equation)))
    if equation.primitive.name != "scan":
        return inside
    _, carried = ir.scan_counts(equation.params)
    own = sum(leaf_bytes(variable.aval) for variable in equation.outvars[carried:])
    return own + equation.params["length"] * inside


def inner_programs(equation) -> Iterator[Any]:
    """The closed programs that an equation calls."""
    values = jax.tree.leaves(list(equation.params.values()), is_leaf=is_program)
    return filter(is_program, values)


def is_program(value) -> bool:
    """Is the value a closed program, as calls and loops hold one?"""
    return hasattr(value, "jaxpr") and hasattr(value, "consts")


def leaf_bytes(array) -> int:
    """Bytes of an array or of a shape with its dtype."""
    return array.size * array.dtype.itemsize
