"""Dynamic programming: tables filled cell by cell, row by row, or swept."""

import jax
import jax.numpy as jnp
from jax import lax

from .listed import listed


def _two_series(draw, *, n):
    return ((draw.normal(n, scale=1), draw.normal(n, scale=1)),)


@listed(_two_series, dict(n=60), dict(n=3))
def soft_time_warping(series):
    """Soft dynamic time warping of two series, one cell a step."""
    a, b = series
    n, m = a.size, b.size
    D = (a[:, None] - b[None]) ** 2
    R = jnp.full((n + 1, m + 1), 1e4, a.dtype).at[0, 0].set(0)

    def cell(k, R):
        i, j = k // m + 1, k % m + 1
        before = jnp.stack([R[i - 1, j], R[i, j - 1], R[i - 1, j - 1]])
        return R.at[i, j].set(D[i - 1, j - 1] - jax.nn.logsumexp(-before))

    return lax.fori_loop(0, n * m, cell, R)[n, m]


def _scores(draw, *, n, m):
    return (draw.normal(n, m, scale=1),)


@listed(_scores, dict(n=70, m=70), dict(n=3, m=4))
def local_alignment(scores):
    """Smoothed local alignment: rows and cells, one loop in another."""
    n, m = scores.shape

    def row(i, H):
        def cell(j, H):
            gap = 0.9 * jnp.logaddexp(H[i - 1, j], H[i, j - 1]) - 0.1
            both = H[i - 1, j - 1] + scores[i - 1, j - 1]
            return H.at[i, j].set(jax.nn.softplus(jnp.logaddexp(both, gap)))

        return lax.fori_loop(1, m + 1, cell, H)

    start = jnp.zeros((n + 1, m + 1), scores.dtype)
    return jax.nn.logsumexp(lax.fori_loop(1, n + 1, row, start))


def _knapsack(draw, *, items, capacity):
    return draw.uniform(items), draw.integers(capacity // 2, items)


@listed(_knapsack, dict(items=50, capacity=3000), dict(items=3, capacity=12))
def soft_knapsack(values, weights):
    """A row of the table an item."""
    capacity = 60 * values.size if values.size > 10 else 12
    places = jnp.arange(capacity, dtype=weights.dtype)

    def item(i, T):
        moved = jnp.roll(T[i], weights[i]) + values[i]
        moved = jnp.where(places >= weights[i], moved, -1e4)
        return T.at[i + 1].set(jnp.logaddexp(T[i], moved))

    start = jnp.zeros((values.size + 1, capacity), values.dtype)
    return lax.fori_loop(0, values.size, item, start)[-1, -1]


def _chain(draw, *, states, steps):
    moves, seen = draw.normal(states, states), draw.normal(steps, states, scale=1)
    return ((moves, seen),)


@listed(_chain, dict(states=16, steps=1000), dict(states=3, steps=4))
def forward_table(model):
    """The forward table of a hidden Markov model, kept whole."""
    moves, seen = model
    logs = jax.nn.log_softmax(moves)

    def step(t, A):
        inside = A[t - 1][:, None] + logs
        return A.at[t].set(jax.nn.logsumexp(inside, axis=0) + seen[t])

    start = jnp.zeros_like(seen).at[0].set(seen[0])
    return jax.nn.logsumexp(lax.fori_loop(1, len(seen), step, start)[-1])


@listed(_scores, dict(n=48, m=48), dict(n=4, m=4))
def gauss_seidel(source):
    """One sweep over the inner points of a grid, each from its four neighbours."""
    n, m = source.shape

    def point(k, u):
        i, j = k // (m - 2) + 1, k % (m - 2) + 1
        near = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]
        return u.at[i, j].set(0.25 * (near + source[i, j]))

    u = lax.fori_loop(0, (n - 2) * (m - 2), point, jnp.zeros_like(source))
    return jnp.sum(u**2)


@listed(_scores, dict(n=200, m=500), dict(n=3, m=4))
def value_iteration(rewards):
    """Values of a chain of states at all times, from the last to the first."""
    steps = len(rewards)

    def back(k, V):
        t = steps - 1 - k
        left, right = jnp.roll(V[t + 1], 1), jnp.roll(V[t + 1], -1)
        return V.at[t].set(rewards[t] + 0.95 * jnp.logaddexp(left, right))

    start = jnp.zeros((steps + 1, rewards.shape[1]), rewards.dtype)
    return jnp.mean(lax.fori_loop(0, steps, back, start)[0])


@listed(_scores, dict(n=60, m=60), dict(n=3, m=3))
def cheapest_paths(costs):
    """A scan over rows: within one, cell after cell."""

    def row(above, cost):
        def cell(left, pair):
            up, c = pair
            here = c - jnp.logaddexp(-up, -left)
            return here, here

        return lax.scan(cell, jnp.asarray(5.0, costs.dtype), (above, cost))[1], None

    return lax.scan(row, jnp.zeros(costs.shape[1], costs.dtype), costs)[0][-1]
