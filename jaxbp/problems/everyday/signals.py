"""Filters and recurrences written with `.at[...].set` and ring buffers."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from .listed import listed


def _signal(draw, *, n):
    return (draw.normal(n, scale=0.3),)


def _filter(draw, *, n):
    parts = draw.normal(n, scale=0.1), draw.uniform(2, high=0.4), draw.uniform(3)
    return (parts,)


@listed(_signal, dict(n=5000), dict(n=5))
def recurrence(x):
    """x[i] from x[i - 1], in place."""
    step = lambda i, x: x.at[i].set(jnp.sin(x[i - 1]) + x[i])  # noqa: E731
    return lax.fori_loop(1, x.size, step, x)[-1]


@listed(_filter, dict(n=5000), dict(n=6))
def recursive_filter(model):
    """A second-order filter: outputs read at two places, inputs at three."""
    x, a, b = model

    def sample(n, y):
        inside = b[0] * x[n] + b[1] * x[n - 1] + b[2] * x[n - 2]
        return y.at[n].set(inside + a[0] * y[n - 1] + a[1] * y[n - 2])

    return jnp.sum(jnp.tanh(lax.fori_loop(2, x.size, sample, jnp.zeros_like(x))) ** 2)


@listed(_signal, dict(n=5000), dict(n=8))
def delay_line(x):
    """An echo through a ring buffer, read at two places and written at one."""
    length = 1500 if x.size > 100 else 4

    def sample(carry, new):
        ring, k = carry
        at = k % length
        y = new + 0.4 * jnp.tanh(ring[at]) + 0.3 * ring[(k + 3) % length]
        return (ring.at[at].set(y), k + 1), y

    start = jnp.zeros(length, x.dtype), 0
    return jnp.sum(lax.scan(sample, start, x)[1] ** 2)


@listed(_signal, dict(n=4000), dict(n=60))
def sliding_windows(x):
    """Windows that overlap, each rewritten from the one before."""

    def window(k, x):
        w = lax.dynamic_slice(x, (16 * k,), (48,))
        new = jnp.sin(w[:16]) + 0.3 * w[16:32] - 0.1 * w[32:]
        return lax.dynamic_update_slice(x, new, (16 * k + 16,))

    return jnp.sum(lax.fori_loop(0, (x.size - 48) // 16 + 1, window, x) ** 2)


def _correlations(draw, *, n):
    r = float(draw.uniform(1, low=0.8, high=0.9)[0]) ** np.arange(n)
    r[0] += 0.5
    return (r.astype(draw.dtype),)


@listed(_correlations, dict(n=400), dict(n=5))
def levinson(r):
    """Levinson's recursion for a Toeplitz system."""
    n = r.size
    places = jnp.arange(n)

    def order(k, carry):
        a, error = carry
        turned = jnp.where(places < k, r[jnp.clip(k - places, 0, n - 1)], 0)
        gain = -jnp.dot(a, turned) / error
        back = jnp.where(places <= k, a[jnp.clip(k - places, 0, n - 1)], 0)
        return a + gain * back, error * (1 - gain**2)

    start = jnp.zeros(n, r.dtype).at[0].set(1), r[0]
    a, error = lax.fori_loop(1, n, order, start)
    return jnp.log(error) + jnp.sum(a**2)


def _rates(draw, *, n, m):
    return (draw.uniform(n, m, low=0.9, high=1.1),)


@listed(_rates, dict(n=300, m=500), dict(n=4, m=3))
def compound_growth(rates):
    """Cumulative products down the rows."""
    return jnp.mean(jnp.log1p(jnp.cumprod(rates, axis=0)))


@listed(_signal, dict(n=3000), dict(n=6))
def adaptive_filter(x):
    """Least mean squares: weights and a history of inputs, shifted at every step."""
    taps = 32 if x.size > 100 else 3

    def sample(carry, new):
        w, past = carry
        error = new - jnp.dot(w, past)
        past = jnp.roll(past, 1).at[0].set(new)
        return (w + 0.01 * error * past, past), error

    start = jnp.zeros(taps, x.dtype), jnp.zeros(taps, x.dtype)
    return jnp.mean(lax.scan(sample, start, x)[1] ** 2)
