"""Simulations that keep their trajectories, and solvers written by hand."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from .listed import listed


def _state(draw, *, n, steps):
    return draw.normal(n, scale=0.5), draw.uniform(steps)


@listed(_state, dict(n=6, steps=5000), dict(n=4, steps=5))
def stored_trajectory(start, times):
    """Positions and momenta of oscillators, every step stored in a table."""
    half = start.size // 2

    def step(t, T):
        q, p = T[t - 1][:half], T[t - 1][half:]
        p = p - 0.01 * jnp.sin(q)
        return T.at[t].set(jnp.concatenate([q + 0.01 * p, p]))

    T = jnp.zeros((times.size, start.size), start.dtype).at[0].set(start)
    return jnp.mean(lax.fori_loop(1, times.size, step, T) ** 2)


@listed(_state, dict(n=512, steps=400), dict(n=3, steps=4))
def row_history(x, times):
    """Rows of a history by dynamic_slice and dynamic_update_slice."""

    def step(t, H):
        before = lax.dynamic_slice(H, (t - 1, 0), (1, x.size))
        return lax.dynamic_update_slice(H, jnp.tanh(before + 0.1 * x[None]), (t, 0))

    H = jnp.zeros((times.size, x.size), x.dtype).at[0].set(x)
    return jnp.sum(lax.fori_loop(1, times.size, step, H) ** 2)


@listed(_state, dict(n=64, steps=2000), dict(n=3, steps=4))
def multistep(y, times):
    """Adams and Bashforth's method of four steps, slopes kept in a table."""
    scale = jnp.sin(jnp.arange(y.size, dtype=y.dtype))

    def step(k, carry):
        y, F = carry
        F = F.at[k + 3].set(jnp.sin(y) * scale - 0.1 * y)
        slope = 55 * F[k + 3] - 59 * F[k + 2] + 37 * F[k + 1] - 9 * F[k]
        return y + 0.01 * slope / 24, F

    start = y, jnp.zeros((times.size + 3, y.size), y.dtype)
    return jnp.sum(lax.fori_loop(0, times.size, step, start)[0] ** 2)


@listed(_state, dict(n=2000, steps=100), dict(n=4, steps=3))
def ring_of_oscillators(y, times):
    """Runge and Kutta's method of four stages, with neighbours by roll."""

    def slope(y):
        return 0.9 * jnp.sin(y) - 0.1 * jnp.roll(y, 1)

    def step(y, _):
        h = 0.01
        k1 = slope(y)
        k2 = slope(y + 0.5 * h * k1)
        k3 = slope(y + 0.5 * h * k2)
        k4 = slope(y + h * k3)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    return jnp.sum(lax.scan(step, y, None, length=times.size)[0] ** 2)


@listed(_state, dict(n=16, steps=4000), dict(n=3, steps=4))
def logged_states(s, times):
    """States written to a log that nothing of the loop reads."""

    def step(t, carry):
        s, log = carry
        s = jnp.sin(s + 0.1 * jnp.roll(s, 1))
        return s, log.at[t].set(s)

    start = s, jnp.zeros((times.size, s.size), s.dtype)
    return jnp.mean(lax.fori_loop(0, times.size, step, start)[1] ** 2)


def _rows(draw, *, n):
    rows = draw.normal(4, n, scale=0.1)
    rows[1] += 3
    return (rows,)


@listed(_rows, dict(n=5000), dict(n=5))
def tridiagonal(rows):
    """Thomas's algorithm: two vectors forwards, one backwards."""
    a, b, c, d = rows
    n = a.size

    def forwards(i, carry):
        u, v = carry
        pivot = b[i] - a[i] * u[i - 1]
        return u.at[i].set(c[i] / pivot), v.at[i].set((d[i] - a[i] * v[i - 1]) / pivot)

    zeros = jnp.zeros_like(a)
    start = zeros.at[0].set(c[0] / b[0]), zeros.at[0].set(d[0] / b[0])
    u, v = lax.fori_loop(1, n, forwards, start)

    def backwards(k, x):
        i = n - 2 - k
        return x.at[i].set(v[i] - u[i] * x[i + 1])

    x = lax.fori_loop(0, n - 1, backwards, zeros.at[n - 1].set(v[n - 1]))
    return jnp.sum(x**2)


def _system(draw, *, n):
    L = np.tril(draw.normal(n, n, scale=0.3 / n)) + np.eye(n)
    return ((L.astype(draw.dtype), draw.normal(n, scale=1)),)


@listed(_system, dict(n=300), dict(n=4))
def forward_substitution(system):
    """A triangular system, row after row."""
    L, b = system
    row = lambda i, x: x.at[i].set((b[i] - L[i] @ x) / L[i, i])  # noqa: E731
    return jnp.sum(lax.fori_loop(0, b.size, row, jnp.zeros_like(b)) ** 2)


@listed(_system, dict(n=200), dict(n=4))
def arnoldi(system):
    """An orthonormal basis of a Krylov space, and the matrix in it."""
    A, b = system
    m = min(40, b.size - 1)

    def column(k, carry):
        Q, H = carry
        w = A @ Q[k]
        h = Q @ w
        w = w - Q.T @ h
        length = jnp.sqrt(jnp.sum(w * w) + 1e-6)
        return Q.at[k + 1].set(w / length), H.at[:, k].set(h).at[k + 1, k].set(length)

    Q = jnp.zeros((m + 1, b.size), b.dtype).at[0].set(b / jnp.sqrt(jnp.sum(b * b)))
    H = lax.fori_loop(0, m, column, (Q, jnp.zeros((m + 1, m), b.dtype)))[1]
    return jnp.sum(jnp.sin(H))


@listed(_state, dict(n=64, steps=2000), dict(n=3, steps=4))
def rare_events(x, times):
    """A branch that is taken once in fifty steps."""
    W = 0.1 * jnp.sin(jnp.arange(x.size**2, dtype=x.dtype)).reshape(x.size, x.size)

    def step(x, t):
        rare = lambda x: jnp.tanh(jnp.sin(x @ W) @ W)  # noqa: E731
        return lax.cond(t % 50 == 0, rare, lambda x: x * 1.001, x), None

    return jnp.sum(lax.scan(step, x, jnp.arange(times.size))[0] ** 2)


@listed(_state, dict(n=256, steps=1000), dict(n=3, steps=5))
def switched_dynamics(x, times):
    """One of four laws at every step."""
    laws = [
        jnp.tanh,
        lambda x: jnp.sin(x) * x,
        lambda x: 0.5 * x * x,
        lambda x: jnp.exp(-x * x),
    ]

    def step(x, i):
        return lax.switch(i, laws, x) + 0.01, None

    return jnp.sum(lax.scan(step, x, jnp.arange(times.size) % 4)[0])


@listed(_state, dict(n=4, steps=3000), dict(n=4, steps=4))
def bouncing_ball(state, times):
    """Ballistic flight, turned round at the ground."""

    def step(s, _):
        q, v = s[:2], s[2:]
        q = q + 0.01 * v
        v = lax.cond(q[0] < 0, lambda v: -0.9 * v, lambda v: v - 0.01 * jnp.sin(q), v)
        return jnp.concatenate([q, v]), None

    return jnp.sum(lax.scan(step, state, None, length=times.size)[0] ** 2)
