"""A failing program as a test: plain JAX source that can be pasted into a file."""

import inspect
import textwrap

import numpy as np

from tests.fuzz import derivatives
from tests.fuzz.compare import Question, operands, wide
from tests.fuzz.programs import Program

HEAD = """\
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxbp

jax.config.update("jax_enable_x64", True)
"""
ANSWER = """\
def answer(outer, inner, ad):
{program}
    f = functools.partial(program, ints)
    derivative = {derivative}(outer, inner, {inside})
    return {outside}(xs, x_dots, y_bars)


found, expected = answer({outer}, {inner}, {within}), answer(jax, jax, jax)
jax.tree.map(np.testing.assert_allclose, found, expected)
"""


def as_test(program: Program, question: Question) -> str:
    """Source that fails where the modules disagree on the program."""
    functions = [inspect.getsource(question.derivative)]
    if "batched" in question.outside:
        functions.append(inspect.getsource(derivatives.batched))
    names = ("ints", "xs", "x_dots", "y_bars")
    pairs = zip(names, operands(program), strict=True)
    inputs = "".join(f"{name} = {literal(values)}\n" for name, values in pairs)
    answer = ANSWER.format(
        program=textwrap.indent(program.source, "    "),
        **question._asdict() | {"derivative": question.derivative.__name__},
    )
    return "\n\n".join([HEAD, *functions, inputs, answer])


def literal(x) -> str:
    """Source of nested tuples and lists of numpy arrays."""
    if isinstance(x, (tuple, list)):
        inner = ", ".join(map(literal, x))
        return f"[{inner}]" if isinstance(x, list) else f"({inner},)"
    if x.size == 0:
        return f"jnp.zeros({x.shape}, jnp.{x.dtype.name})"
    exact = x if x.dtype.kind == "i" else np.round(wide(x), 2)
    return f"jnp.array({exact.tolist()}, jnp.{x.dtype.name})"
