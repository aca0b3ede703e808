"""Composition: layers in a row, around a shortcut, and below a loss."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxbp.errors import DtypeMismatch, ShapeMismatch, StructureMismatch
from jaxbp.layers.base import Layer, Params
from jaxbp.layers.loss import Loss


# y = f_L(... f_2(f_1(x))): the chain rule pulls y_bar back through f_L first. Each
# layer's own residuals are kept, and nothing else.
def sequential(*layers: Layer, name: str = "sequential") -> Layer:
    """The layers one after the other.

    Its parameters are a tuple with one entry per layer, in their order; `init` splits
    its key once per layer. With no layer it is the identity.
    """

    def init(key, dtype=None):
        keys = jax.random.split(key, max(1, len(layers)))
        return tuple(
            layer.init(k, dtype) for layer, k in zip(layers, keys, strict=False)
        )

    def forward(params, x):
        _check_entries(name, params, layers)
        residuals = []
        for layer, own_params in zip(layers, params, strict=True):
            x, own_residuals = layer.forward(own_params, x)
            residuals.append(own_residuals)
        return x, tuple(residuals)

    def plain(params, x):
        _check_entries(name, params, layers)
        for layer, own_params in zip(layers, params, strict=True):
            x = layer.apply(own_params, x)
        return x

    def backward(params, residuals, y_bar):
        params_bar = []
        for layer, own_params, own_residuals in zip(
            reversed(layers), reversed(params), reversed(residuals), strict=True
        ):
            own_bar, y_bar = layer.backward(own_params, own_residuals, y_bar)
            params_bar.append(own_bar)
        return tuple(reversed(params_bar)), y_bar

    return Layer(name, init, forward, backward, plain)


def _check_entries(name, params, layers):
    if not isinstance(params, tuple | list) or len(params) != len(layers):
        came = len(params) if isinstance(params, tuple | list) else type(params)
        raise StructureMismatch(
            f"`params` of {name} must be a tuple of {len(layers)} entries, one per "
            f"layer, but is {came}. Make it with the model's own `init`."
        )


# y = x + f(x):  x_bar = y_bar + (the pullback of f)(y_bar).
def residual(layer: Layer) -> Layer:
    """A shortcut around `layer`, which must keep the shape of its input.

    The parameters are those of `layer`.
    """
    name = f"residual({layer.name})"

    def add(x, y):
        if y.shape != jnp.shape(x):
            raise ShapeMismatch(
                f"{name} needs a layer that keeps the shape of its input, "
                f"{jnp.shape(x)}, but it returns {y.shape}."
            )
        return x + y

    def forward(params, x):
        y, residuals = layer.forward(params, x)
        return add(x, y), residuals

    def plain(params, x):
        return add(x, layer.apply(params, x))

    def backward(params, residuals, y_bar):
        params_bar, x_bar = layer.backward(params, residuals, y_bar)
        return params_bar, y_bar + x_bar

    return Layer(name, layer.init, forward, backward, plain)


def loss_fn(model: Layer, loss: Loss) -> Callable[[Params, Any, Any], jax.Array]:
    """f(params, x, labels) -> loss (): the plain function, for any other witness."""
    return lambda params, x, labels: loss.apply(model.apply(params, x), labels)


def value_and_grad(
    model: Layer, loss: Loss
) -> Callable[[Params, Any, Any], tuple[jax.Array, Params]]:
    """The loss and its gradient by the hand-written backward passes.

    Returns:
      f(params, x, labels) -> (loss, params_bar), a pure function to be jitted;
      `params_bar` has the structure of `params`.

    Raises (when called): DtypeMismatch where a parameter is not floating.

    Cost: one forward and one backward pass. The cotangent of x is dead code under
    `jax.jit`; without jit it is computed and dropped.
    """

    def loss_and_grad(params, x, labels):
        check_floating(params)
        y, residuals = model.forward(params, x)
        value, loss_residuals = loss.forward(y, labels)
        y_bar = loss.backward(loss_residuals, jnp.ones_like(value))
        params_bar, _ = model.backward(params, residuals, y_bar)
        return value, params_bar

    return loss_and_grad


def check_floating(params: Params) -> None:
    """Raise unless every leaf of `params` is floating."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise DtypeMismatch(
                f"`params{jax.tree_util.keystr(path)}` must be floating to be "
                f"differentiated, but has dtype {jnp.result_type(leaf)}."
            )
