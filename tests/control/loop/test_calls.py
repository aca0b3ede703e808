"""A call in a loop's body, a part of which is the same at every step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.scipy.ndimage import map_coordinates

import jaxbp

N = 8
LINE = jnp.arange(float(N))
GRID = jnp.stack(jnp.meshgrid(LINE, LINE, indexing="ij"))


def carried_along(v, x):
    """An image moved by a constant speed (2,) at every step."""

    def step(x, _):
        return map_coordinates(x, list(GRID - v[:, None, None]), 1, "wrap"), None

    return jnp.sum(lax.scan(step, x, None, length=4)[0] ** 3)


@jax.jit
def inner(x, a):
    weights = jnp.exp(a) / jnp.sum(jnp.exp(a))
    return x @ weights, jnp.sin(x)


@jax.jit
def outer(x, a):
    moved, wave = inner(x, a * a)
    unused, _ = inner(x, a)
    return moved + wave * a[0]


def nested_calls(a, x):
    def step(x, _):
        return outer(x, a) * 0.5, outer(x + 1, a)[0]

    x, outs = lax.scan(step, x, None, length=5)
    return jnp.sum(x**2) + jnp.sum(outs)


@jax.jit
def handed_on(x, a):
    return x * jnp.cos(a * a), a


def an_operand_returned(a, x):
    def step(x, _):
        y, same = handed_on(x, a)
        return y + same, None

    return jnp.sum(lax.scan(step, x, None, length=3)[0] ** 2)


SQUARE = jnp.cos(jnp.arange(36.0)).reshape(6, 6)
PROGRAMS = [
    (carried_along, (jnp.array([0.3, -0.6]), jnp.sin(jnp.arange(64.0)).reshape(N, N))),
    (nested_calls, (SQUARE, SQUARE[0])),
    (an_operand_returned, (SQUARE, SQUARE + 0.1)),
]


@pytest.mark.parametrize("f, args", PROGRAMS)
def test_values(f, args):
    expected = jax.grad(f, (0, 1))(*args)
    for transform in (lambda g: g, jax.jit):
        found = transform(jaxbp.grad(f, (0, 1)))(*args)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, 1e-10, 1e-12)
    _, tangent = jaxbp.jvp(f, args, args)
    np.testing.assert_allclose(tangent, jax.jvp(f, args, args)[1], 1e-10)


@pytest.mark.parametrize("f, args", PROGRAMS[:1])
def test_batched_and_nested(f, args):
    v, x = args
    many = jnp.stack([v, v * 0.5])
    ours = jax.vmap(jaxbp.grad(f), (0, None))(many, x)
    np.testing.assert_allclose(ours, jax.vmap(jax.grad(f), (0, None))(many, x), 1e-10)
    hessian = jax.hessian(f)(v, x)
    np.testing.assert_allclose(jaxbp.hessian(f)(v, x), hessian, 1e-9, 1e-10)


def test_what_is_the_same_is_not_stacked():
    v, x = PROGRAMS[0][1]
    _, pull = jaxbp.vjp(carried_along, v, x)
    stacked = [leaf for leaf in jax.tree.leaves(pull) if leaf.shape[:1] == (4,)]
    assert not [leaf for leaf in stacked if np.issubdtype(leaf.dtype, np.integer)]
