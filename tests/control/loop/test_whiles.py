"""Reverse mode through loops of unknown length: values, any order, any trip count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from tests.control.loop.loop_programs import PROGRAMS, bounded


def close(ours, theirs, rtol=1e-9):
    ours, theirs = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol, 1e-10)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_gradient_and_its_derivatives_agree_with_a_bounded_form(name):
    f, point = PROGRAMS[name]
    point = tuple(map(jnp.asarray, point))
    argnums = tuple(range(len(point)))
    way = jax.tree.map(jnp.ones_like, point)

    def ours(*xs):
        gradient = jaxbp.grad(lambda *xs: f(lax.while_loop, *xs), argnums)
        forward = jaxbp.jvp(gradient, xs, way)
        return *forward, jaxbp.vjp(gradient, *xs)[1](way)

    def theirs(*xs):
        gradient = jax.grad(lambda *xs: f(bounded, *xs), argnums)
        value, product = jax.jvp(gradient, xs, way)
        return value, product, product

    close(jax.jit(ours)(*point), jax.jit(theirs)(*point))
