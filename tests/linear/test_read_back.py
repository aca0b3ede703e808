"""Cotangents of what is read along a ramp of indices: as JAX's, without a scatter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp

N = 24


def held(x, k):
    return x[jnp.clip(k - jnp.arange(N), 0, N - 1)]


def held_within(x, k):
    return x[jnp.clip(k + jnp.arange(40), 3, N - 5)]


def held_below(x, k):
    return x[jnp.maximum(k - jnp.arange(N), 2)]


def from_the_end(x, k):
    return x[k - jnp.arange(20)]


def window(x, k):
    return x[k + jnp.arange(17)]


def dropped(x, k):
    return x.at[k - 9 + jnp.arange(20)].get(mode="fill", fill_value=0)


def clipped(x, k):
    return x.at[9 - k - jnp.arange(20)].get(mode="clip")


def wrapped_and_clipped(x, k):
    return x.at[k - 30 + jnp.arange(20)].get(mode="clip", wrap_negative_indices=True)


def every_third(x, k):
    return x.at[jnp.arange(2, 50, 3)].get(mode="promise_in_bounds")


def turned(x, k):
    return x[np.arange(N)[::-1]]


def long_ints(x, k):
    return x[jnp.int64(k) - lax.iota(np.int64, N) + 3]


def far_away(x, k):
    far = jnp.asarray(k, np.int64) + np.int64(2**32)
    return x[jnp.clip(far - jnp.arange(N), 0, N - 1)]


READS = [
    held,
    far_away,
    held_within,
    held_below,
    from_the_end,
    window,
    dropped,
    clipped,
]
READS += [wrapped_and_clipped, turned, long_ints]
PLACES = [-40, -25, -7, 0, 1, 5, 7, 23, 31, 60]


def scatters(f, *args):
    return "scatter" in str(jax.make_jaxpr(f)(*args))


def compared(ours, theirs, *args):
    for one, other in zip(
        jax.tree.leaves(jax.jit(ours)(*args)),
        jax.tree.leaves(jax.jit(theirs)(*args)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("shape", [(N,), (N, 3)])
def test_values_are_those_of_jax(read, shape):
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape))
    w = jnp.asarray(np.random.default_rng(1).normal(size=(60, *shape[1:])))

    def f(x, k):
        y = read(x, k)
        return jnp.sum(w[: y.shape[0]] * y**2)

    assert not scatters(jaxbp.grad(f), x, 3)
    ours, theirs = jax.jit(jaxbp.grad(f)), jax.jit(jax.grad(f))
    for k in PLACES:
        np.testing.assert_allclose(ours(x, k), theirs(x, k), rtol=1e-12, atol=1e-12)


def test_complex_numbers_rows_in_the_middle_and_many_at_once():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, N, 3)) + 1j * rng.normal(size=(2, N, 3)))

    def f(x, k):
        y = x[:, jnp.clip(k - jnp.arange(N), 0, N - 1), :]
        return jnp.sum(jnp.abs(jnp.sin(y) * y) ** 2)

    assert not scatters(jaxbp.grad(f), x, 3)
    compared(jaxbp.grad(f), jax.grad(f), x, 5)
    many = jnp.array([-3, 4, 11])
    compared(*[jax.vmap(ad.grad(f), (None, 0)) for ad in (jaxbp, jax)], x, many)
    compared(*[ad.grad(lambda x: jnp.sum(jax.vmap(f, (None, 0))(x, many)))
               for ad in (jaxbp, jax)], x)  # fmt: skip


def test_indices_of_a_loop_start_from_what_is_around_it():
    """Levinson's recursion in small: indices computed before the loop, and in it."""
    places = np.arange(N)

    def f(r):
        places = jnp.arange(N)

        def step(k, a):
            back = jnp.where(places <= k, a[jnp.clip(k - places, 0, N - 1)], 0)
            turned = r[jnp.clip(k - places, 0, N - 1)]
            return a + 0.1 * jnp.sin(back) * turned + 0.01 * jnp.dot(a, turned)

        return jnp.sum(lax.fori_loop(1, N, step, jnp.sin(r)) ** 2)

    r = jnp.cos(1.0 + places)
    assert not scatters(jaxbp.grad(f), r)
    compared(jaxbp.grad(f), jax.grad(f), r)
    v = jnp.sin(1.0 + places)
    orders = [
        lambda ad: lambda r: ad.jvp(ad.grad(f), (r,), (v,))[1],
        lambda ad: ad.grad(lambda r: jnp.vdot(ad.grad(f)(r), v)),
        lambda ad: ad.grad(lambda r: ad.jvp(f, (r,), (v,))[1]),
    ]
    for order in orders:
        compared(order(jaxbp), order(jax), r)


def test_what_is_known_is_padded():
    x = jnp.sin(jnp.arange(50.0))
    f = lambda x: jnp.sum(every_third(x, 0) ** 3)  # noqa: E731
    assert not scatters(jaxbp.grad(f), x)
    compared(jaxbp.grad(f), jax.grad(f), x)


@pytest.mark.parametrize(
    "indices",
    [
        lambda k: (k * jnp.arange(N)) % N,
        lambda k: jnp.arange(N, dtype=np.uint32) + jnp.uint32(k),
        lambda k: jnp.where(jnp.arange(N) < k, 0, jnp.arange(N)),
        lambda k: jnp.minimum(jnp.arange(N) - 3, 4),
        lambda k: 2 * jnp.arange(N) - k,
        lambda k: jnp.arange(N) + jnp.int8(k).astype(np.int64),
        lambda k: jnp.broadcast_to(jnp.arange(4), (6, 4)).reshape(-1) + k,
    ],
)
def test_what_is_no_ramp_is_as_before(indices):
    x = jnp.sin(1.0 + np.arange(N))

    def f(x, k):
        return jnp.sum(x.at[indices(k)].get(mode="fill", fill_value=0) ** 2 * x)

    compared(jaxbp.grad(f), jax.grad(f), x, 3)


def test_a_large_array_is_added_to():
    x = jnp.sin(1.0 + np.arange(2000))

    def f(x, k):
        return jnp.sum(jnp.sin(x[jnp.clip(k - jnp.arange(2000), 0, 1999)]) * x)

    assert scatters(jaxbp.grad(f), x, 3)
    compared(jaxbp.grad(f), jax.grad(f), x, 1500)
