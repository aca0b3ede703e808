"""Arrays read by index: one element, one row, one entry of a table at a time."""

import jax
import jax.numpy as jnp
from jax import lax

from .listed import listed


def _vector(draw, *, n):
    return (draw.normal(n, scale=1),)


def _matrix(draw, *, n, m):
    return (draw.normal(n, m, scale=1),)


def _table(draw, *, n, steps):
    return draw.normal(n, scale=0.5), draw.uniform(steps)


@listed(_vector, dict(n=200_000), dict(n=5))
def reads_of_a_vector(x):
    """A Python loop that reads single elements of a long vector."""
    step = max(1, x.size // 200)
    near = [x[i] * x[i + 1] for i in range(0, x.size - 1, step)]
    return sum(jnp.sin(y) for y in near)


@listed(_matrix, dict(n=4000, m=64), dict(n=4, m=3))
def reads_of_rows(x):
    """The same with rows of a matrix."""
    step = max(1, len(x) // 60)
    return sum(jnp.sum(jnp.tanh(x[i]) * x[i - 1]) for i in range(0, len(x), step))


def _smooth_table(draw, *, n, steps):
    """Neighbours differ by 1 / n: else the loop is chaotic, and its gradient huge."""
    table, times = _table(draw, n=n, steps=steps)
    return table.cumsum(dtype=table.dtype) / table.dtype.type(n), times


@listed(_smooth_table, dict(n=50_000, steps=300), dict(n=9, steps=3))
def table_in_a_loop(table, times):
    """Interpolation in a table that a loop captures."""

    def step(c, t):
        place = jnp.abs(jnp.sin(c + t)) * (table.size - 2)
        i = jnp.floor(place).astype(jnp.int32)
        w = place - i.astype(place.dtype)
        value = (1 - w) * table[i] + w * table[i + 1]
        return jnp.tanh(c + 0.1 * value), value

    c, values = lax.scan(step, jnp.zeros((), table.dtype), times)
    return c + jnp.sum(values)


@listed(_table, dict(n=3000, steps=4000), dict(n=5, steps=4))
def ratings(r, times):
    """Elo ratings: two players' entries at every game."""
    games = jnp.arange(times.size)
    pairs = jnp.stack([(7 * games) % r.size, (11 * games + 1) % r.size], 1)

    def game(r, pair):
        p = jax.nn.sigmoid(r[pair[0]] - r[pair[1]])
        r = r.at[pair[0]].add(0.3 * (1 - p)).at[pair[1]].add(-0.3 * (1 - p))
        return r, jnp.log(p)

    r, logs = lax.scan(game, r, pairs)
    return jnp.sum(r**3) - jnp.sum(logs)


@listed(_table, dict(n=5000, steps=1000), dict(n=9, steps=3))
def relaxed_groups(x, times):
    """Eight entries at once are moved towards their mean."""
    at = jnp.arange(8 * times.size).reshape(-1, 8) ** 2 % x.size

    def step(x, i):
        near = x[i]
        return x.at[i].set(0.5 * near + 0.5 * jnp.mean(jnp.sin(near))), None

    return jnp.sum(lax.scan(step, x, at)[0] ** 2)


@listed(_table, dict(n=4000, steps=4000), dict(n=5, steps=5))
def conditional_writes(x, times):
    """A buffer that is written in one of seven steps."""

    def step(carry, i):
        s, buffer = carry
        s = jnp.tanh(s + x[i % x.size])
        put = lambda b: b.at[i // 7].set(s)  # noqa: E731
        return (s, lax.cond(i % 7 == 0, put, lambda b: b, buffer)), None

    start = jnp.zeros((), x.dtype), jnp.zeros_like(x)
    return jnp.sum(lax.scan(step, start, jnp.arange(times.size))[0][1] ** 2)


@listed(_matrix, dict(n=20_000, m=3), dict(n=6, m=3))
def mesh_energy(points):
    """Edges of a mesh: their ends are gathered, their forces summed by point."""
    n = len(points)
    edges = jnp.stack([jnp.arange(n), (jnp.arange(n) * 7 + 1) % n])
    lengths = jnp.sum((points[edges[0]] - points[edges[1]]) ** 2, axis=1)
    at_points = jax.ops.segment_sum(jnp.sqrt(lengths + 0.1), edges[0], n)
    return jnp.sum(at_points**2)
