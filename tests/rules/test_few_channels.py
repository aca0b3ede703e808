"""Convolutions of few channels in a loop: their gradients keep the order of axes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp

LAYOUTS = [("NCHW", "OIHW", "NCHW"), ("NHWC", "HWIO", "NHWC"), ("NCHW", "HWIO", "NHWC")]


def stepped(layout, channels, kernel, **params):
    """A loop of convolutions, and its arguments, for images of 9 x 7."""
    draw = np.random.default_rng(channels)
    names = dict(N=2, C=channels, H=9, W=7, I=channels, O=channels)
    x = draw.normal(size=[names[n] for n in layout[0]])
    names |= dict(H=kernel[0], W=kernel[1])
    w = draw.normal(size=[names[n] for n in layout[1]])
    back = [layout[2].index(n) for n in layout[0]]

    def f(x, w):
        def step(x, _):
            y = lax.conv_general_dilated(
                x, w, (1, 1), "SAME", dimension_numbers=layout, **params
            )
            return jnp.sin(lax.transpose(y, back)) + x, None

        return jnp.sum(lax.scan(step, x, None, length=3)[0] ** 2)

    return f, (jnp.asarray(x), jnp.asarray(w))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_values(layout, channels):
    for kernel, params in [((3, 3), {}), ((2, 4), dict(rhs_dilation=(2, 1)))]:
        f, args = stepped(layout, channels, kernel, **params)
        ours = jax.jit(jaxbp.grad(f, (0, 1)))(*args)
        for a, b in zip(ours, jax.grad(f, (0, 1))(*args), strict=True):
            np.testing.assert_allclose(a, b, 1e-10, 1e-10)


def test_channels_in_groups():
    """Each channel by three filters of its own, as a cellular automaton senses: one of
    a group in, three out, whatever their sum."""
    draw = np.random.default_rng(0)
    x, w, p = (
        jnp.asarray(draw.normal(size=shape))
        for shape in ((2, 6, 5, 4), (3, 3, 1, 12), (12, 4))
    )
    layout = ("NWHC", "WHIO", "NHWC")

    def f(x, w, p):
        def step(x, _):
            y = lax.conv_general_dilated(
                x, w, (1, 1), "SAME", dimension_numbers=layout, feature_group_count=4
            )
            return x + jnp.sin(jnp.swapaxes(y, 1, 2)) @ p, None

        return jnp.sum(lax.scan(step, x, None, length=3)[0] ** 2)

    ours = jax.jit(jaxbp.grad(f, (0, 1, 2)))(x, w, p)
    for a, b in zip(ours, jax.grad(f, (0, 1, 2))(x, w, p), strict=True):
        np.testing.assert_allclose(a, b, 1e-10, 1e-10)


def test_nested_and_batched():
    f, (x, w) = stepped(LAYOUTS[0], 1, (3, 3))
    both = jax.jacfwd(jax.grad(f, 1), 1)(x, w)
    np.testing.assert_allclose(jaxbp.jacfwd(jaxbp.grad(f, 1), 1)(x, w), both, 1e-9)
    np.testing.assert_allclose(jaxbp.jacrev(jaxbp.grad(f, 1), 1)(x, w), both, 1e-9)
    many = jnp.stack([w, w[::-1] * 0.3])
    ours = jax.vmap(jaxbp.grad(f), (None, 0))(x, many)
    np.testing.assert_allclose(ours, jax.vmap(jax.grad(f), (None, 0))(x, many), 1e-9)


@pytest.mark.parametrize("channels, few", [(1, True), (2, True), (4, False)])
def test_order_of_axes(channels, few):
    """That of XLA's library for CPUs, which is slow for few channels, is not asked for
    in the image's gradient."""
    f, (x, w) = stepped(LAYOUTS[0], channels, (3, 3))
    text = str(jax.make_jaxpr(jaxbp.grad(f))(x, w))
    library = "lhs_spec=(0, 3, 1, 2)"
    assert (library not in text) == few
