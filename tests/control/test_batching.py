"""custom_vmap functions: their batching rule inside of derivatives.

The rule here computes another function than the plain body does, twice it, so that an
answer says which of the two it comes from.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp

custom_vmap = jax.custom_batching.custom_vmap


@custom_vmap
def product(x, w):
    return jnp.sin(x) * w, x


@product.def_vmap
def product_batched(size, batched, x, w):
    y = jax.vmap(twice, [0 if b else None for b in batched])(x, w)
    return (y, x), (batched[0] or batched[1], batched[0])


X, W = jnp.array([0.3, 0.7, -0.2]), jnp.array([2.0, -1.0, 0.5])


def first(x, w):
    return product(x, w)[0]


def twice(x, w):
    return 2 * jnp.sin(x) * w


WAYS = {
    "grad": lambda ad, f: ad.grad(f, (0, 1)),
    "jvp": lambda ad, f: lambda x, w: ad.jvp(f, (x, w), (w, x)),
    "value": lambda ad, f: ad.value_and_grad(f),
    "linearize": lambda ad, f: lambda x, w: ad.linearize(f, x, w)[1](w, x),
    "hessian": lambda ad, f: ad.hessian(f, (0, 1)),
    "grad of grad": lambda ad, f: ad.grad(lambda x, w: ad.grad(f)(x, w)),
    "jvp of jvp": lambda ad, f: (
        lambda x, w: ad.jvp(lambda x: ad.jvp(f, (x, w), (w, x))[1], (x,), (w,))
    ),
    "jit": lambda ad, f: jax.jit(ad.grad(f, (0, 1))),
    "of jit": lambda ad, f: ad.grad(jax.jit(f), (0, 1)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)], ids=str)
def test_mapped_derivatives_are_those_of_the_rule(way, axes):
    args = [x if axis == 0 else x[1] for x, axis in zip((X, W), axes, strict=True)]
    found = jax.vmap(WAYS[way](jaxbp, first), axes)(*args)
    expected = jax.vmap(WAYS[way](jax, twice), axes)(*args)
    jax.tree.map(np.testing.assert_allclose, found, expected)


@pytest.mark.parametrize("way", WAYS)
def test_unmapped_derivatives_are_those_of_the_body(way):
    """Also where they are mapped over directions, as in a Hessian."""
    found = WAYS[way](jaxbp, first)(X[0], W[0])
    expected = WAYS[way](jax, lambda x, w: twice(x, w) / 2)(X[0], W[0])
    jax.tree.map(np.testing.assert_allclose, found, expected)


def test_jacobians():
    for jacobian in (jaxbp.jacfwd, jaxbp.jacrev):
        found = jacobian(product)(X, W)
        np.testing.assert_allclose(found[0], jnp.diag(jnp.cos(X) * W))
        np.testing.assert_allclose(found[1], jnp.eye(3))


def test_mapped_jacobians():
    """One axis of points, another of directions."""
    points = jnp.stack([X, 2 * X])
    for name in ("jacfwd", "jacrev", "hessian"):
        found = jax.vmap(getattr(jaxbp, name)(lambda x: first(x, W)))(points)
        expected = jax.vmap(getattr(jax, name)(lambda x: twice(x, W)))(points)
        np.testing.assert_allclose(found, expected)


def test_closed_over_values():
    """What the function closes over is differentiated, too."""

    def loss(w):
        scaled = custom_vmap(lambda x: w * x)
        scaled.def_vmap(lambda size, batched, x: (w * x, batched[0]))
        return scaled(3.0)

    assert jaxbp.grad(loss)(2.0) == 3
    assert jaxbp.jvp(loss, (2.0,), (1.0,))[1] == 3


def test_in_a_loop():
    def loss(x):
        step = lambda c, w: (first(c, w), None)  # noqa: E731
        return jax.lax.scan(step, x, W)[0]

    def plain(x):
        step = lambda c, w: (twice(c, w), None)  # noqa: E731
        return jax.lax.scan(step, x, W)[0]

    found, expected = (jax.vmap(a.grad(f))(X) for a, f in ((jaxbp, loss), (jax, plain)))
    np.testing.assert_allclose(found, expected)
