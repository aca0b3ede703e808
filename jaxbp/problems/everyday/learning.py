"""Networks with memories, and layers whose gradients are heavy on some platforms."""

import jax
import jax.numpy as jnp
from jax import lax

from .listed import listed


def _decoder(draw, *, steps, d):
    return (draw.normal(3, d, d, scale=0.1), draw.normal(d, scale=1)), draw.zeros(steps)


@listed(_decoder, dict(steps=256, d=64), dict(steps=4, d=3))
def cached_decoder(params, steps):
    """Attention over a cache of keys and values, one token a step."""
    (query, key, value), start = params
    n, d = steps.size, start.size

    def token(carry, t):
        x, K, V = carry
        K = lax.dynamic_update_slice(K, (x @ key)[None], (t, 0))
        V = V.at[t].set(x @ value)
        inside = jnp.where(jnp.arange(n) <= t, K @ (x @ query) / d**0.5, -1e4)
        x = jnp.tanh(x + jax.nn.softmax(inside) @ V)
        return (x, K, V), x[0]

    cache = jnp.zeros((n, d), start.dtype)
    return jnp.sum(lax.scan(token, (start, cache, cache), jnp.arange(n))[1])


def _series(draw, *, steps, d):
    return (draw.normal(steps, d, scale=0.5),)


@listed(_series, dict(steps=300, d=8), dict(steps=4, d=3))
def memory_network(X):
    """A memory that every step reads as a whole and writes one row of."""

    def step(carry, x):
        M, t = carry
        y = jnp.tanh(jax.nn.softmax(M @ x) @ M + 0.5 * x)
        return (M.at[t].set(y), t + 1), y

    return jnp.sum(lax.scan(step, (jnp.zeros_like(X), 0), X)[1] ** 2)


def _embedding(draw, *, words, d, steps):
    params = {"E": draw.normal(words, d, scale=0.1), "W": draw.normal(d, d)}
    return params, draw.integers(words, steps)


@listed(_embedding, dict(words=3000, d=32, steps=400), dict(words=4, d=3, steps=3))
def embedded_recurrence(params, tokens):
    """A recurrent net that looks its inputs up in its loop."""

    def step(h, token):
        h = jnp.tanh(h @ params["W"] + params["E"][token])
        return h, h[0]

    start = jnp.zeros(params["W"].shape[0], params["W"].dtype)
    return jnp.sum(lax.scan(step, start, tokens)[1] ** 2)


def _images(draw, *, batch, side, channels):
    return (draw.normal(batch, side, side, channels, scale=1),)


@listed(_images, dict(batch=8, side=48, channels=16), dict(batch=1, side=5, channels=2))
def overlapping_pool(x):
    """Max pooling of 3 by 3 places, every second one."""
    window, strides = (1, 3, 3, 1), (1, 2, 2, 1)
    y = lax.reduce_window(x, -jnp.inf, lax.max, window, strides, "SAME")
    return jnp.sum(jnp.sin(y))


@listed(_images, dict(batch=8, side=32, channels=32), dict(batch=1, side=4, channels=2))
def depthwise_filter(x):
    """A depthwise convolution whose filter is made of the images."""
    channels = x.shape[-1]
    kernel = jnp.tanh(jnp.mean(x[:, :3, :3], axis=0))[:, :, None]
    y = lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", feature_group_count=channels,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    return jnp.mean(y**2)


@listed(_series, dict(steps=256, d=64), dict(steps=3, d=2))
def masked_attention(X):
    """Attention that sees no later place, with distances as a bias."""
    n = len(X)
    apart = jnp.arange(n)[:, None] - jnp.arange(n)[None]
    far = jnp.abs(apart).astype(X.dtype)
    inside = X @ X.T / X.shape[1] ** 0.5 - 0.1 * far
    weights = jax.nn.softmax(jnp.where(apart >= 0, inside, -1e4))
    return jnp.sum(jnp.tanh(weights @ X) ** 2)


@listed(_series, dict(steps=400, d=64), dict(steps=3, d=2))
def padded_recurrence(X):
    """A recurrent net whose last steps are padding, passed over by a branch."""
    d = X.shape[1]
    W = jnp.eye(d, dtype=X.dtype) * 0.5 + 0.1 * jnp.outer(X[0], X[1]) / d

    def step(h, pair):
        x, t = pair
        new = lambda h: jnp.tanh(h @ W + x)  # noqa: E731
        return lax.cond(t < 3 * len(X) // 4 + 1, new, lambda h: h, h), None

    start = jnp.zeros(d, X.dtype)
    return jnp.sum(lax.scan(step, start, (X, jnp.arange(len(X))))[0] ** 2)
