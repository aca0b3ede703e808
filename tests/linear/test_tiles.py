"""Slices beside one another: their cotangents are joined, not padded and added."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp

FUNCTIONS = {
    "rolled": lambda x: jnp.roll(x, 2, 0) * jnp.roll(jnp.sin(x), -1, 1),
    "both ways": lambda x: jnp.roll(x, 1, 0) * x + jnp.roll(x, -1, 0) ** 2,
    "split": lambda x: jnp.sin(x[:2]).sum(0) * x[2:].sum(0),
    "in three": lambda x: x[:, :1] * x[:, 1:4].sum(1, keepdims=True) + x[:, 4:],
    "by levels": lambda x: (
        x[:, :1].sum() * jnp.sin(x[:, 1:2]) * x[:, 2:].sum(1, keepdims=True)
    ),
    "by levels, one left out": lambda x: x[:, :1] * x[:, 2:] + jnp.sin(x[:, 3:4]),
    "overlapping": lambda x: x[:-1] * x[1:] ** 2 + x[:-1] * x[:1],
    "of both axes": lambda x: (
        x[:3].sum() * x[:, :1].sum() - x[3:].sum() * x[:, 1:].sum()
    ),
    "with reads": lambda x: (
        x[:3] * x[3][None] + x[3:] * x[jnp.argmax(x.sum(1).ravel()) % 4][None]
    ),
    "by twos": lambda x: x[::2] * x[1::2] + x[:2],
    "components, each twice": lambda x: (
        x[:2] ** 2 * x[2:] + jnp.sin(x[:2]) * jnp.cos(x[2:])
    ),
    "in a loop": lambda x: jax.lax.scan(
        lambda c, _: (jnp.roll(jnp.sin(c), 1, 0) + c[:, :1], None), x, None, length=3
    )[0],
}


@pytest.mark.parametrize("big", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_gradients_are_those_of_jax(f, big):
    x = jnp.linspace(0.5, 2, 4 * 5).reshape(4, 5)
    x = jnp.broadcast_to(x[..., None], (4, 5, 200)) if big else x

    def loss(x):
        return jnp.sum(jnp.sin(f(x)))

    jvp = lambda ad: ad.jvp(ad.grad(loss), (x,), (jnp.cos(x),))[1]  # noqa: E731
    for of in (lambda ad: ad.grad(loss)(x), jvp):
        ours, theirs = (jax.jit(of, static_argnums=0)(ad) for ad in (jaxbp, jax))
        np.testing.assert_allclose(ours, theirs, 1e-10, 1e-12)
    if not big:
        ours = jax.vmap(jaxbp.grad(loss))(jnp.stack([x, 2 * x]))
        np.testing.assert_allclose(ours[0], jax.grad(loss)(x), 1e-10, 1e-12)


@pytest.mark.parametrize("f", ["rolled", "split", "of both axes"])
def test_nothing_is_padded(f):
    x = jnp.ones((4, 5))
    program = jax.make_jaxpr(jaxbp.grad(lambda x: jnp.sum(FUNCTIONS[f](x))))(x)
    assert " pad[" not in str(program)


def test_what_is_read_twice_is_joined_once():
    f = FUNCTIONS["components, each twice"]
    program = jax.make_jaxpr(jaxbp.grad(lambda x: jnp.sum(f(x))))(jnp.ones((4, 5)))
    assert str(program).count(" concatenate[") == 1


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,), (1,), ()])
def test_arrays_of_no_elements(shape):
    x = jnp.ones(shape)
    gradient = jaxbp.grad(lambda x: jnp.sum(x[...] * x[: x.shape[0]] if x.ndim else x))
    np.testing.assert_array_equal(gradient(x), 2 * x if x.ndim else x)


def test_small_parts_fill_the_gaps_of_larger_ones():
    """The levels of a tree, each twice as wide as the one before."""

    def f(x):
        levels = [x[:, 2**k - 1 : 2 ** (k + 1) - 1] for k in range(6)]
        return sum(jnp.sum(jnp.sin(level) ** (k + 1)) for k, level in enumerate(levels))

    x = jnp.linspace(0.1, 1, 400 * 63).reshape(400, 63)
    np.testing.assert_allclose(jaxbp.grad(f)(x), jax.grad(f)(x), rtol=1e-12)
    names = [eqn.primitive.name for eqn in jax.make_jaxpr(jaxbp.grad(f))(x).jaxpr.eqns]
    assert "concatenate" in names
    assert not {"pad", "dynamic_update_slice", "scatter-add"} & {*names}
