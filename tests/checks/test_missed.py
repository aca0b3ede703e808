"""Wrong gradients that hide: in too short steps, in noise, in one another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp import check


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


def test_an_element_dropped_where_the_value_at_the_point_is_off():
    """Both one-sided slopes hold f(x), whose error grows in them and is no kink's."""

    def f(x):
        v = jnp.arctanh(0.9 * jnp.sin(x))
        mixed = jax.nn.softmax(v @ v.T, axis=1) @ v
        half = 0.5 + 0.4 * jnp.sin(mixed)
        inside = jax.scipy.special.betainc(jnp.full_like(half, 1.3), 0.7, half)
        return jnp.sum(inside * jnp.array([[1.0], [-0.9]])) + jnp.sum(v)

    x = 1e-3 * jnp.array([[-0.75], [1.34]])
    assert check(f, x, points=1)
    assert check(with_rule(f, dropped((1, 0))), x, points=1).verdict == "differ"


def test_a_sign_where_an_index_chooses_the_least():
    """Rounding at random must not move what a scatter compares for equality."""

    def f(x):
        return jnp.sum(x.at[1].min(x[0] * 0.1 + 99.0) * jnp.cos(1 + x - 1000))

    derive = jax.grad(f)
    x = 1000 + jnp.array([[-0.36, 0.67, -0.53], [1.4, 0.72, -0.13]])
    assert check(f, x, grad=derive, points=1)
    wrong = check(f, x, grad=lambda x: -derive(x), points=1)
    assert wrong.verdict == "differ"


def test_a_factor_in_every_element_of_which_the_least_is_lost():
    """The element that is named is one that is certain, not one the halving came to."""
    f = lambda x: jnp.sum(jnp.sin(x) * jnp.array([0.54, -0.99, 0.28], x.dtype))  # noqa: E731
    scaled = lambda g: jax.tree.map(lambda a: a * a.dtype.type(1.001), g)  # noqa: E731
    x = jnp.array([0.41, -0.69, -1.38], jnp.float32)
    assert check(f, x, points=1)
    assert check(with_rule(f, scaled), x, points=1).verdict == "differ"


@pytest.mark.parametrize("seed", range(4))
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
