"""Errors say where: primitive, equation and the user's line."""

import inspect

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import jaxbp
from jaxbp.errors import JaxbpError


def loop(a):
    return lax.while_loop(lambda x: x < 9, lambda x: x * a, 1.0)


def called_back(x):
    return jax.pure_callback(lambda x: x, jax.ShapeDtypeStruct((), x.dtype), x)


def full_svd(a):
    return jnp.linalg.svd(jnp.outer(jnp.ones(3), a), full_matrices=True)[0].sum()


STRICT = jaxbp.Options(strict_while=True)
CASES = [
    (loop, 2.0, "`while`"),
    (called_back, 2.0, "`pure_callback`"),
    (full_svd, jnp.arange(1.0, 3), "`svd`"),
]


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, jax.checkpoint])
@pytest.mark.parametrize(
    "f, x, primitive", CASES, ids=lambda v: getattr(v, "__name__", "")
)
def test_an_error_names_primitive_and_line(f, x, primitive, wrap):
    first = inspect.getsourcelines(f)[1]
    with pytest.raises(JaxbpError) as caught:
        jaxbp.grad(wrap(lambda x: f(x)), options=STRICT)(x)
    text = str(caught.value)
    assert primitive in text
    assert f"test_places.py:{first + 1} ({f.__name__})" in text
    assert text.count("Met at") == 1


def test_an_equation_of_a_program_is_numbered():
    with pytest.raises(JaxbpError, match="`while`, equation 1 of 2, "):
        jaxbp.grad(jax.jit(lambda a: jnp.sin(loop(a))), options=STRICT)(2.0)


def test_a_line_within_a_custom_rule():
    @jax.custom_jvp
    def f(x):
        return x

    @f.defjvp
    def rule(primals, tangents):
        (x,), (x_dot,) = primals, tangents
        return x, called_back(x_dot)

    with pytest.raises(JaxbpError, match=r"test_places.py:\d+ \(called_back\)"):
        jaxbp.grad(f)(2.0)
