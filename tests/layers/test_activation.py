"""Activations: the normalised sigmoids' published values, tails, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp import layers
from jaxbp.errors import InvalidArgument, UnknownName
from jaxbp.layers import SIGMOIDS
from tests.layers.closeness import assert_close

VALUES = {  # at 1, 2 and 5
    "erf_sigmoid": (0.789908595, 0.987811118, 1.000000000),
    "tanh": (0.761594156, 0.964027580, 0.999909204),
    "gudermann": (0.739036227, 0.945012542, 0.999505724),
    "algebraic": (0.707106781, 0.894427191, 0.980580676),
    "arctangent": (0.639092927, 0.803813476, 0.919376857),
    "softsign": (0.500000000, 0.666666667, 0.833333333),
}


def slope(layer, x):
    """dy/dx, by the layer's own backward pass."""
    _, residuals = layer.forward({}, x)
    return layer.backward({}, residuals, jnp.ones_like(x))[1]


@pytest.mark.parametrize("layer", SIGMOIDS, ids=lambda layer: layer.name)
def test_normalised_sigmoid(layer):
    x = jnp.array([1.0, 2.0, 5.0])
    assert_close(layer.apply({}, x), jnp.array(VALUES[layer.name]), 5e-10)
    assert_close(layer.apply({}, -x), -layer.apply({}, x), 1e-15)
    assert float(slope(layer, jnp.array(0.0))) == 1.0


def test_largest_spread_of_the_sigmoids():
    """0.340107 between erf and softsign, at |x| = 1.541."""
    x = jnp.linspace(0.0, 5.0, 5001)
    values = jnp.stack([layer.apply({}, x) for layer in SIGMOIDS])
    spread = values.max(0) - values.min(0)
    assert float(spread.max()) == pytest.approx(0.340107, abs=1e-6)
    assert float(x[spread.argmax()]) == pytest.approx(1.541, abs=1e-3)


@pytest.mark.parametrize(
    "name, exact",
    [
        ("gudermann", lambda x: 1 / np.cosh(np.pi / 2 * x)),
        ("algebraic", lambda x: (1 + x * x) ** -1.5),
        ("arctangent", lambda x: 1 / (1 + (np.pi / 2 * x) ** 2)),
        ("softsign", lambda x: 1 / (1 + np.abs(x)) ** 2),
    ],
)
def test_slopes_in_the_tails_keep_their_digits(name, exact):
    """Relative, not absolute: small slopes are where gradients vanish."""
    x = np.array([-30.0, -8.0, 8.0, 30.0])
    found = np.asarray(slope(layers.ACTIVATIONS[name], jnp.asarray(x)))
    np.testing.assert_allclose(found, exact(x), rtol=1e-13)


@pytest.mark.parametrize("name", layers.ACTIVATIONS)
def test_extreme_inputs_give_finite_slopes(name):
    x = jnp.array([-1e4, 0.0, 1e4], jnp.float32)
    assert jnp.isfinite(slope(layers.ACTIVATIONS[name], x)).all()


def test_relu_keeps_an_infinite_cotangent_out_of_its_dead_half():
    _, residuals = layers.relu.forward({}, jnp.array([-1.0, 0.0, 1.0]))
    _, x_bar = layers.relu.backward({}, residuals, jnp.full(3, jnp.inf))
    assert x_bar.tolist() == [0.0, 0.0, float("inf")]


def test_own_activation_trains_like_a_built_in_one():
    square = layers.elementwise("square", jnp.square, slope_of_x=lambda x: 2 * x)
    model = layers.mlp((3, 4, 2), activation=square)
    params, x = model.init(jax.random.key(0)), jnp.ones((5, 3))
    found = layers.value_and_grad(model, layers.mean_squared_error)
    loss = layers.loss_fn(model, layers.mean_squared_error)
    want = jax.value_and_grad(loss)(params, x, jnp.ones((5, 2)))
    assert_close(found(params, x, jnp.ones((5, 2))), want, 1e-12)


def test_an_activation_without_a_slope_is_refused():
    with pytest.raises(InvalidArgument, match="exactly one of.*but has neither"):
        layers.elementwise("square", jnp.square)
    with pytest.raises(InvalidArgument, match="exactly one of.*but has both"):
        layers.elementwise("exp", jnp.exp, slope_of_x=jnp.exp, slope_of_y=lambda y: y)


def test_unknown_activation_names_the_nearest():
    with pytest.raises(UnknownName, match="'gleu' is not known.*`gelu`"):
        layers.mlp((2, 3), activation="gleu")
