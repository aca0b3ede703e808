"""Layers without parameters that change the shape of what passes."""

import math

import jax.numpy as jnp

from jaxbp.errors import ShapeMismatch
from jaxbp.layers.base import Layer, Static, make_layer


# A bijection of entries: its transpose is the reshape back.
def reshape(old: tuple[int, ...], new: tuple[int, ...]) -> Layer:
    """The last axes, of shape `old`, as axes of shape `new`.

    Raises:
      ShapeMismatch: the two shapes hold different numbers of entries.
    """
    if math.prod(old) != math.prod(new):
        raise ShapeMismatch(
            f"`new` of reshape must hold {math.prod(old)} entries, as `old` = {old}, "
            f"but is {new}."
        )

    def forward(params, x):
        return x.reshape(*x.shape[: x.ndim - len(old)], *new), ()

    def backward(params, residuals, y_bar):
        return {}, y_bar.reshape(*y_bar.shape[: y_bar.ndim - len(new)], *old)

    return make_layer("reshape", {}, forward, backward, trailing=tuple(old))


# y = (1/T) sum_t x[t]:  x_bar[t] = y_bar / T. Kept: T.
def _mean_forward(params, x):
    return x.mean(-2), (Static(x.shape[-2]),)


def _mean_backward(params, residuals, y_bar):
    times = residuals[0].value
    share = jnp.expand_dims(y_bar / max(1, times), -2)
    return {}, jnp.broadcast_to(share, (*y_bar.shape[:-1], times, y_bar.shape[-1]))


mean_over_time = make_layer(
    "mean_over_time", {}, _mean_forward, _mean_backward, trailing=("time", "features")
)
