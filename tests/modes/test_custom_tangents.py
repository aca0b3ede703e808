"""Custom functions in the tangent part of a rule, their own or another's."""

import jax
import jax.numpy as jnp
import pytest

from tests.modes.standin import same

X = jnp.arange(1.0, 4.0)


@jax.custom_jvp
def recursive(x):
    return 2 * x


@recursive.defjvp
def recursive_jvp(primals, tangents):
    return recursive(*primals), recursive(*tangents)


@jax.custom_jvp
def cubed(x):
    return x**3


@cubed.defjvp
def cubed_jvp(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    return cubed(x), 1.5 * x**2 * recursive(x_dot) / 2


@pytest.mark.parametrize("function", [recursive, cubed], ids=["own", "another's"])
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_custom_function_of_a_tangent(function, wrap):
    def loss(x):
        return jnp.sum(jnp.sin(function(x)))

    same(lambda ad: wrap(ad.grad(loss))(X))
    same(lambda ad: wrap(lambda x: ad.linearize(loss, x)[1](x))(X))
    same(lambda ad: wrap(ad.hessian(loss))(X))
