"""Wrong gradients that hide: in too short steps, in noise, in one another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp import check
from jaxbp.checks.differences import ladder, slope
from jaxbp.checks.perturbed import perturbed


def with_rule(f, change):
    """f with a custom_vjp that gives its gradient as `change` makes it."""

    @jax.custom_vjp
    def ruled(*args):
        return f(*args)

    derive = lambda *args: jax.grad(f, tuple(range(len(args))))(*args)  # noqa: E731
    ruled.defvjp(
        lambda *args: (f(*args), derive(*args)),
        lambda g, y_bar: jax.tree.map(lambda a: y_bar.astype(a.dtype) * a, change(g)),
    )
    return ruled


def dropped(place):
    return lambda g: (g[0].at[place].set(0), *g[1:])


@pytest.mark.parametrize("name", ["sine", "product"])
def test_an_element_dropped_where_the_shortest_steps_round_to_none(name):
    """The gradient given cannot tell what rounding of x + h does where it is wrong."""
    weights = jnp.array([0.3, 1.0, 2.0, 0.5], jnp.float32)
    f = {
        "sine": lambda x: jnp.sum(jnp.sin(x - 1000) * weights),
        "product": lambda x: jnp.prod(x - 1000),
    }[name]
    x = jnp.array([1001.11, 999.36, 1000.31, 1000.9], jnp.float32)
    assert check(f, x, points=1)
    assert check(with_rule(f, dropped(1)), x, points=1).verdict == "differ"


def test_an_error_of_the_value_at_the_point_is_no_kink():
    """Both one-sided slopes hold it, and it grows in them as the step shrinks."""
    steps, error = ladder(np.float64), 1e-13
    off = slope(steps, 30 * steps + error, -30 * steps + error, 1e-17)
    assert off.bent.size and not off.bent.any()
    kink = slope(steps, 35 * steps, -25 * steps, 1e-17)
    assert kink.bent.all()


def test_what_a_scatter_compares_is_not_rounded_at_random():
    """Equality says which element was kept, and so whose the cotangent is."""
    least = lambda x: x.at[0].min(x[1])  # noqa: E731
    x = jnp.asarray(np.random.default_rng(0).normal(size=4))
    for seed in range(4):
        rounded = perturbed(least)(np.uint32(seed), x)
        np.testing.assert_array_equal(rounded, least(x))


def test_a_factor_in_every_element_of_which_the_least_is_lost():
    """The element that is named is one that is certain, not one the halving came to."""
    weights = np.cos(2 * np.arange(3) + 1.0)
    f = lambda x: jnp.sum(jnp.sin(x).astype(float) * weights)  # noqa: E731
    scaled = lambda g: jax.tree.map(lambda a: a * a.dtype.type(1.001), g)  # noqa: E731
    x = jnp.asarray(np.random.default_rng(4).normal(size=3), jnp.float32)
    assert check(f, x, points=1)
    assert check(with_rule(f, scaled), x, points=1).verdict == "differ"


@pytest.mark.parametrize("seed", [1, 8, 9])
def test_a_factor_below_the_noise_of_every_direction(seed):
    """A network in float32: the directions tell together what none tells alone."""
    rng = np.random.default_rng(seed)
    w, b, v = (
        jnp.asarray(rng.normal(size=shape) / 3, jnp.float32)
        for shape in ((8, 24), 24, (24, 1))
    )
    x = jnp.asarray(rng.normal(size=(32, 8)), jnp.float32)

    def loss(w, b, v):
        return jnp.mean((jnp.tanh(x @ w + b[None]) @ v - 0.3) ** 2)

    scaled = lambda g: (g[0] * g[0].dtype.type(1.001), *g[1:])  # noqa: E731
    assert check(loss, w, b, v, argnums=(0, 1, 2), points=1)
    wrong = check(with_rule(loss, scaled), w, b, v, argnums=(0, 1, 2), points=1)
    assert wrong.verdict == "differ"


def test_where_a_median_stands_is_not_rounded_at_random():
    """It follows from the number of elements, whatever these are."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=7)) + 1e6
    slope = jax.grad(lambda x: jnp.sin(jnp.median(x)))
    for seed in range(4):
        rounded = perturbed(slope)(np.uint32(seed), x)
        np.testing.assert_allclose(rounded, slope(x), atol=1e-8)
    turned = lambda x: -slope(x)  # noqa: E731
    assert check(lambda x: jnp.sin(jnp.median(x)), x, grad=turned).verdict == "differ"
