"""Slopes of a few values, as those of |x| and of a maximum, take a byte in a stack."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp

X = jnp.linspace(-1.2, 1.3, 7)
Y = jnp.asarray([[0.3, -0.2, 0.0, 1.0, 0.5, -0.5, 0.1]] * 5)


def loop(step):
    def f(x, ys):
        last, outs = lax.scan(step, x, ys)
        return jnp.sum(last * last) + jnp.sum(jnp.cos(outs))

    return f


def sizes(x, y):
    s = x * y + 0.2
    return jnp.abs(s) + jnp.sin(x), jnp.abs(s * y)


def larger(x, y):
    s = x * y
    return jnp.maximum(jnp.sin(x), s * s) + 0.1 * x, jnp.minimum(s, jnp.cos(s))


def ties(x, y):
    return jnp.maximum(x * 1.0, x * 1.0) + y, jnp.abs(x - x) + jnp.minimum(x * x, x * x)


def probabilities(x, y):
    a = jax.nn.logsumexp(x[:, None] + (y * x)[None], axis=0)
    return a - y, a


STEPS = [sizes, larger, ties, probabilities]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("residuals", ["auto", "stack"])
def test_values(step, residuals):
    f = loop(step)
    with jaxbp.loops(residuals):
        ours = jax.jit(jaxbp.value_and_grad(f, (0, 1)))(X, Y)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12),
        ours,
        jax.value_and_grad(f, (0, 1))(X, Y),
    )


@pytest.mark.parametrize("step", STEPS)
def test_batched_and_nested(step):
    f = loop(step)
    xs = jnp.stack([X, X[::-1] * 0.7])
    ours = jax.vmap(jaxbp.grad(f), (0, None))(xs, Y)
    np.testing.assert_allclose(ours, jax.vmap(jax.grad(f), (0, None))(xs, Y), 1e-12)
    hessian = jax.hessian(f)(X, Y)
    for inner, outer in [("grad", "jacfwd"), ("grad", "jacrev")]:
        found = getattr(jaxbp, outer)(getattr(jaxbp, inner)(f))(X, Y)
        np.testing.assert_allclose(found, hessian, 1e-10, 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, jnp.bfloat16])
def test_keeps_the_type(dtype):
    x, y = X.astype(dtype), Y.astype(dtype)
    found = jaxbp.grad(loop(sizes))(x, y)
    assert found.dtype == dtype
    expected = jax.grad(loop(sizes))(x, y)
    error = 20 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(
        found.astype(float), expected.astype(float), error, error
    )


def test_a_byte_an_element_is_kept():
    def step(x, y):
        return jnp.abs(jnp.exp(x) - y), None

    def f(x, ys):
        return jnp.sum(lax.scan(step, x, ys)[0])

    with jaxbp.loops("stack"):
        _, pull = jaxbp.vjp(f, jnp.ones((20, 7)), jnp.ones((5, 20, 7)))
    stacks = [x for x in jax.tree.leaves(pull) if x.shape == (5, 20, 7)]
    assert sorted(x.dtype.name for x in stacks) == ["float64", "int8"]
