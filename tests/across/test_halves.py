"""The Laplacian in two halves, and matrix products that read the larger as it lies."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.across.factor import Factor, multiplied
from jaxbp.across.places import Label

draw = np.random.default_rng(0).normal


def layers(*widths):
    return [jnp.asarray(draw(size=s) / s[0] ** 0.5) for s in itertools.pairwise(widths)]


def network(weights, x, act=jnp.tanh):
    for w in weights[:-1]:
        x = act(x @ w)
    return jnp.sum(x @ weights[-1])


def residual(weights, x):
    for w in weights:
        x = x + jnp.sin(x @ w)
    return jnp.sum(x**2)


def attention(weights, x):
    q, k, v = (x @ w for w in weights)
    return jnp.sum((jax.nn.softmax(q @ k.T) @ v) ** 2)


def steps(weights, x):
    return lax.scan(lambda x, w: (jnp.tanh(w @ x), x.sum()), x, weights)[0].sum()


def branch(weights, x):
    first, second = lambda x: network(weights, x), lambda x: jnp.prod(x) + x[0] ** 3
    return lax.cond(x[1] > 0, first, second, x) + jnp.sum(jnp.sort(x) * x)


CASES = {
    "network": (network, layers(3, 6, 5, 4, 1), (3,)),
    "nodes": (partial(network, act=jax.nn.silu), layers(2, 5, 5, 5, 1), (4, 2)),
    "residual": (residual, layers(4, 4, 4, 4), (4,)),
    "attention": (attention, layers(3, 3, 3, 3), (5, 3)),
    "steps": (steps, jnp.stack(layers(3, 3, 3, 3)), (3,)),
    "branch": (branch, layers(4, 4, 1), (4,)),
    "linear": (lambda w, x: jnp.sum(x) * w, 3.0, (3,)),
    "one": (lambda w, x: jnp.sum(jnp.exp(x) * x), 0.0, (1,)),
}


def batched(f):
    return lambda x: jax.vmap(f)(jnp.stack([x, 2 * x]))[0]


@pytest.mark.parametrize("name", CASES)
def test_the_trace_and_the_diagonal(name):
    of, weights, shape = CASES[name]
    f = lambda x: of(weights, x)  # noqa: E731
    x = jnp.asarray(np.random.default_rng(1).uniform(0.2, 1, shape))
    wanted = np.asarray(jax.hessian(f)(x)).reshape(x.size, x.size)
    diagonal = np.diagonal(wanted).reshape(shape)
    for run in (lambda f: f, jax.jit, batched):
        found = run(jaxbp.laplacian(f))(x), run(jaxbp.hessian_diagonal(f))(x)
        np.testing.assert_allclose(found[0], np.trace(wanted), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found[1], diagonal, rtol=1e-10, atol=1e-12)


def compiled_flops(f, *args):
    return jax.jit(f).lower(*args).compile().cost_analysis()["flops"]


def test_rows_are_columns_and_computed_once():
    """Of a deep network the products with n columns are those of one direction."""
    n, h, count = 16, 32, 6
    weights = layers(n, *[h] * count, 1)
    x = jnp.ones(n)
    flops = compiled_flops(jaxbp.laplacian(lambda x: network(weights, x)), x)
    products = 2 * n * h * h * (count - 1)
    assert products < flops < 1.5 * products  # of any order of elimination twice


def test_a_diagonal_is_multiplied_last():
    """The second slopes of hidden numbers, with the sums of squares of their weights:
    no pass over the weights more than by hand."""
    hidden, n = 256, 64
    W, v, x = (jnp.asarray(draw(size=s)) for s in ((hidden, n), hidden, n))

    def by_hand(x, W, v):
        t = jnp.tanh(W @ x)
        return jnp.sum(v * (-2 * t * (1 - t**2)) * jnp.sum(W**2, axis=1))

    laplacian = jaxbp.laplacian(lambda x, W, v: v @ jnp.tanh(W @ x))
    np.testing.assert_allclose(laplacian(x, W, v), by_hand(x, W, v), rtol=1e-10)
    ours, hands = (compiled_flops(f, x, W, v) for f in (laplacian, by_hand))
    assert ours < hands + hidden * n / 2


SIZES = (2, 3, 64)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("turned", list(itertools.product([0, 1], repeat=2)))
def test_products_whichever_way_they_lie(turned, wide):
    """A[i, k] B[k, j] with either transposed, and either the larger."""
    i, k, j = (Label(n) for n in (SIZES if wide else SIZES[::-1]))
    sides = []
    for labels, is_turned in zip(((i, k), (k, j)), turned, strict=True):
        labels = labels[::-1] if is_turned else labels
        sides.append(Factor(labels, jnp.asarray(draw(size=[x.size for x in labels]))))
    a, b = sides
    found = multiplied(a, b, (i, j), np.dtype(np.float64), None)
    plain = [
        np.asarray(f.array).T if t else f.array
        for f, t in zip(sides, turned, strict=True)
    ]
    wanted = np.asarray(plain[0]) @ np.asarray(plain[1])
    order = [found.labels.index(label) for label in (i, j)]
    np.testing.assert_allclose(np.transpose(found.array, order), wanted, rtol=1e-12)
