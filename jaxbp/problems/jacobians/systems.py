"""Right sides and energies of systems, and their Jacobians as one writes them by hand.

Each function takes the state first; each `..._by_hand` takes the same and gives the
Jacobian, or the Hessian: an array, or of a banded one a BCOO matrix, by row, then
column. Its three bands alone, (3, n), are what stands at columns i - 1, i and i + 1 of
row i, indices modulo n.
"""

import jax.numpy as jnp
import numpy as np
from jax.experimental.sparse import BCOO


def lotka_volterra(x, r, A):
    """Species that eat each other: x (r + A x)."""
    return x * (r + A @ x)


def lotka_volterra_args(draw, n):
    """n species."""
    return draw.uniform(n, low=0.5), draw.normal(n), draw.normal(n, n)


def lotka_volterra_by_hand(x, r, A):
    """A diagonal, and rows scaled."""
    return x[:, None] * A + jnp.diag(r + A @ x)


def kuramoto(x, w, k):
    """Coupled phases."""
    return w + k / x.size * jnp.sin(x[None] - x[:, None]).sum(1)


def kuramoto_args(draw, n):
    """n phases."""
    return draw.normal(n, scale=1), draw.normal(n), np.asarray(2, draw.dtype)


def kuramoto_by_hand(x, w, k):
    """One cosine a pair, its rows' sums on the diagonal."""
    slope = k / x.size * jnp.cos(x[None] - x[:, None])
    return slope - jnp.diag(slope.sum(1))


def lennard_jones(x):
    """The energy of atoms at x, (atoms, 3)."""
    gap = x[:, None] - x[None]
    alone = jnp.eye(x.shape[0], dtype=x.dtype)
    s = jnp.sum(gap**2, axis=-1) + alone
    return 2 * jnp.sum((1 - alone) * (s**-6 - s**-3))


def lennard_jones_args(draw, side):
    """Atoms near the points of a cube's lattice."""
    points = np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3)
    return ((1.2 * points + draw.normal(*points.shape, scale=0.05)).astype(draw.dtype),)


def lennard_jones_by_hand(x):
    """A 3x3 block a pair; the blocks of an atom's row add up to nothing."""
    n = x.shape[0]
    gap = x[:, None] - x[None]
    alone = jnp.eye(n, dtype=x.dtype)
    s = jnp.sum(gap**2, axis=-1) + alone
    first = (1 - alone) * 4 * (-6 * s**-7 + 3 * s**-4)
    second = (1 - alone) * 4 * (42 * s**-8 - 12 * s**-5)
    pair = 4 * second[..., None, None] * gap[..., :, None] * gap[..., None, :]
    pair = pair + 2 * first[..., None, None] * jnp.eye(3, dtype=x.dtype)[None, None]
    own = pair.sum(1)[:, None] * alone[:, :, None, None]
    return (own - pair).transpose(0, 2, 1, 3)


def arm(x):
    """Where the hand of an arm of six joints is: 6 angles -> 3 numbers, in scalars."""
    a, b, c, d, e, f = x
    reach = 0.5 * jnp.cos(b) + 0.4 * jnp.cos(b + c) + 0.3 * jnp.cos(b + c + d)
    height = 0.5 * jnp.sin(b) + 0.4 * jnp.sin(b + c) + 0.3 * jnp.sin(b + c + d)
    reach = reach + 0.2 * jnp.cos(b + c + d) * jnp.cos(e)
    height = height + 0.2 * jnp.sin(b + c + d) * jnp.cos(e) + 0.1 * jnp.sin(f)
    aside = 0.2 * jnp.sin(e)
    east = reach * jnp.cos(a) - aside * jnp.sin(a)
    north = reach * jnp.sin(a) + aside * jnp.cos(a)
    return jnp.stack([east, north, height])


def arm_by_hand(x):
    """The sines and cosines once."""
    a, b, c, d, e, f = x
    (ca, sa), (ce, se) = ((jnp.cos(v), jnp.sin(v)) for v in (a, e))
    c1, c2, c3 = jnp.cos(b), jnp.cos(b + c), jnp.cos(b + c + d)
    s1, s2, s3 = jnp.sin(b), jnp.sin(b + c), jnp.sin(b + c + d)
    last = 0.3 + 0.2 * ce
    r4, h4 = last * c3, last * s3
    r3, h3 = 0.4 * c2 + r4, 0.4 * s2 + h4
    r2, h2 = 0.5 * c1 + r3, 0.5 * s1 + h3
    aside, turn = 0.2 * se, 0.2 * ce
    none = jnp.zeros_like(a)
    rows = [
        [-r2 * sa - aside * ca, -h2 * ca, -h3 * ca, -h4 * ca,
         -turn * sa - aside * c3 * ca, none],
        [r2 * ca - aside * sa, -h2 * sa, -h3 * sa, -h4 * sa,
         turn * ca - aside * c3 * sa, none],
        [none, r2, r3, r4, -aside * s3, 0.1 * jnp.cos(f)],
    ]  # fmt: skip
    return jnp.stack([jnp.stack(row) for row in rows])


def dipole(x):
    """The human heart's dipole: 8 -> 8, in scalars (MINPACK-2's problem)."""
    a, b, c, d, t, u, v, w = x
    return jnp.stack([
        a + b,
        c + d,
        t * a + u * b - v * c - w * d,
        v * a + w * b + t * c + u * d,
        a * (t * t - v * v) - 2 * c * t * v + b * (u * u - w * w) - 2 * d * u * w,
        c * (t * t - v * v) + 2 * a * t * v + d * (u * u - w * w) + 2 * b * u * w,
        a * t * (t * t - 3 * v * v) + c * v * (v * v - 3 * t * t)
        + b * u * (u * u - 3 * w * w) + d * w * (w * w - 3 * u * u),
        c * t * (t * t - 3 * v * v) - a * v * (v * v - 3 * t * t)
        + d * u * (u * u - 3 * w * w) - b * w * (w * w - 3 * u * u),
    ])  # fmt: skip


def dipole_by_hand(x):
    """Powers of two complex numbers, (t + i v)^k and (u + i w)^k, once."""
    a, b, c, d, t, u, v, w = x
    one, none = jnp.ones_like(a), jnp.zeros_like(a)
    p2, q2, r2, s2 = t * t - v * v, 2 * t * v, u * u - w * w, 2 * u * w
    p3, q3 = t * (t * t - 3 * v * v), v * (3 * t * t - v * v)
    r3, s3 = u * (u * u - 3 * w * w), w * (3 * u * u - w * w)
    real, imaginary = a * p2 - c * q2, a * q2 + c * p2
    real2, imaginary2 = b * r2 - d * s2, b * s2 + d * r2
    rows = [
        [one, one, none, none, none, none, none, none],
        [none, none, one, one, none, none, none, none],
        [t, u, -v, -w, a, b, -c, -d],
        [v, w, t, u, c, d, a, b],
        [p2, r2, -q2, -s2, 2 * (a * t - c * v), 2 * (b * u - d * w),
         -2 * (a * v + c * t), -2 * (b * w + d * u)],
        [q2, s2, p2, r2, 2 * (c * t + a * v), 2 * (d * u + b * w),
         2 * (a * t - c * v), 2 * (b * u - d * w)],
        [p3, r3, -q3, -s3, 3 * real, 3 * real2, -3 * imaginary, -3 * imaginary2],
        [q3, s3, p3, r3, 3 * imaginary, 3 * imaginary2, 3 * real, 3 * real2],
    ]  # fmt: skip
    return jnp.stack([jnp.stack(row) for row in rows])


def states(draw, batch, n):
    """A batch of states."""
    return (draw.uniform(batch, n, low=0.2, high=1.2),)


def chain(x):
    """A chain's energy, Rosenbrock's: neighbours alone meet."""
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def line(draw, n):
    """A state of n numbers."""
    return (draw.uniform(n, low=0.5, high=1.5),)


def chain_by_hand(x):
    """The bands side by side are the rows; the first and the last lack an end."""
    n = x.shape[0]
    rows = np.repeat(np.arange(n), 3)
    columns = rows + np.tile([-1, 0, 1], n)
    places = np.stack([rows, columns], 1)[1:-1].astype(np.int32)
    return _bcoo(chain_bands(x).T.reshape(-1)[1:-1], places, n)


def _bcoo(entries, places, n):
    """A matrix (n, n) of entries at known places, in order."""
    return BCOO(
        (entries, jnp.asarray(places)), shape=(n, n), indices_sorted=True,
        unique_indices=True,
    )  # fmt: skip


def chain_bands(x):
    """The three bands of the Hessian."""
    beside = -400 * x[:-1]
    none = jnp.zeros(1, x.dtype)
    first = 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    main = jnp.concatenate([first, none])
    main = main.at[1:].add(200)
    ends = jnp.concatenate([none, beside]), main, jnp.concatenate([beside, none])
    return jnp.stack(ends)


def burgers(x):
    """Burgers' equation on a ring: -u u_x + u_xx / 10, by central differences."""
    above, below = jnp.roll(x, -1), jnp.roll(x, 1)
    return -x * (above - below) / 2 + 0.1 * (above - 2 * x + below)


def burgers_by_hand(x):
    """The bands side by side are the rows, in order but for the first and the last."""
    n = x.shape[0]
    rows = np.repeat(np.arange(n), 3)
    columns = (rows + np.tile([-1, 0, 1], n)) % n
    order = np.lexsort((columns, rows))
    places = np.stack([rows, columns[order]], 1).astype(np.int32)
    return _bcoo(burgers_bands(x).T.reshape(-1)[order], places, n)


def burgers_bands(x):
    """The three bands of the Jacobian."""
    above, below = jnp.roll(x, -1), jnp.roll(x, 1)
    return jnp.stack([x / 2 + 0.1, (below - above) / 2 - 0.2, 0.1 - x / 2])
