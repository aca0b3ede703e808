"""Losses: a scalar from the network's output and the labels.

    forward(y, labels)             -> loss, residuals
    backward(residuals, loss_bar)  -> y_bar

Labels are data: no cotangent is made for them. Every loss is a mean over the examples
(all axes but the last), except `mean_squared_error`, a mean over all entries, and
`half_sum_of_squares`, a plain sum.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxbp.errors import DtypeMismatch, ShapeMismatch


@dataclass(frozen=True, eq=False)
class Loss:
    """A loss as pure functions, `forward` and `backward` as the module says.

    `apply(y, labels)` is the loss alone.
    """

    name: str
    forward: Callable[[jax.Array, Any], tuple[jax.Array, tuple]]
    backward: Callable[[tuple, jax.Array], jax.Array]

    def apply(self, y: jax.Array, labels: Any) -> jax.Array:
        """The loss alone: `forward(y, labels)[0]`."""
        return self.forward(y, labels)[0]


def _make_loss(name: str, forward: Callable, backward: Callable, check: Callable):
    def checked_forward(y, labels):
        y, labels = jnp.asarray(y), jnp.asarray(labels)
        check(name, y, labels)
        return forward(y, labels)

    return Loss(name, checked_forward, backward)


def _check_like_output(name, y, labels):
    """Labels that are compared with `y` entry by entry."""
    if labels.shape != y.shape:
        raise ShapeMismatch(
            f"`labels` of {name} must have the shape of the output, {y.shape}, but "
            f"have shape {labels.shape}."
        )
    if labels.dtype != y.dtype:
        raise DtypeMismatch(
            f"`labels` of {name} must have the dtype of the output, {y.dtype}, but "
            f"have {labels.dtype}. Convert them with labels.astype(...)."
        )


def _check_class_numbers(name, y, labels):
    """Labels that number a class for each row of `y`."""
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise DtypeMismatch(
            f"`labels` of {name} must be integers, the number of the right class, but "
            f"have dtype {labels.dtype}. For probabilities use "
            "`softmax_cross_entropy_with_probabilities`."
        )
    if y.ndim == 0 or labels.shape != y.shape[:-1]:
        raise ShapeMismatch(
            f"`labels` of {name} must have shape {y.shape[:-1]}, one class for each "
            f"row of the output {y.shape}, but have shape {labels.shape}."
        )


# L = (1/N) sum (y - t)^2 over all N entries:  y_bar = L_bar (2/N) (y - t).
def _mean_squared_forward(y, labels):
    error = y - labels
    return jnp.mean(error * error), (error,)


def _mean_squared_backward(residuals, loss_bar):
    (error,) = residuals
    return loss_bar * (2 / max(1, error.size)) * error


mean_squared_error = _make_loss(
    "mean_squared_error",
    _mean_squared_forward,
    _mean_squared_backward,
    _check_like_output,
)


# L = (1/2) sum (y - t)^2:  y_bar = L_bar (y - t).
def _half_sum_forward(y, labels):
    error = y - labels
    return 0.5 * jnp.sum(error * error), (error,)


def _half_sum_backward(residuals, loss_bar):
    (error,) = residuals
    return loss_bar * error


half_sum_of_squares = _make_loss(
    "half_sum_of_squares", _half_sum_forward, _half_sum_backward, _check_like_output
)


# With p = softmax(y) and the row's class c, L = mean(-log p_c) and
#   -log p_c = log sum e^(y_k - max y) - (y_c - max y),
# whose slope by y_k is p_k - [k = c]:  y_bar = L_bar (1/N) (p - onehot(c)), N rows.
# The maximum is subtracted before the exponential, so nothing overflows. A class
# outside 0 .. n-1 gives a NaN loss instead of a silently clamped class.
def _log_softmax(y):
    """log p and p over the last axis, from one exponential."""
    shifted = y - y.max(-1, keepdims=True)
    powers = jnp.exp(shifted)
    total = powers.sum(-1, keepdims=True)
    return shifted - jnp.log(total), powers / total


def _rows(y):
    return max(1, math.prod(y.shape[:-1]))


def _cross_entropy_forward(y, labels):
    log_p, p = _log_softmax(y)
    chosen = jnp.take_along_axis(log_p, labels[..., None], -1, mode="fill")
    return -jnp.mean(chosen), (p, labels)


def _cross_entropy_backward(residuals, loss_bar):
    p, labels = residuals
    onehot = jax.nn.one_hot(labels, p.shape[-1], dtype=p.dtype)
    return loss_bar / _rows(p) * (p - onehot)


softmax_cross_entropy = _make_loss(
    "softmax_cross_entropy",
    _cross_entropy_forward,
    _cross_entropy_backward,
    _check_class_numbers,
)


# Labels q that are probabilities (or one-hot rows): L = mean(-sum_k q_k log p_k) and
#   y_bar = L_bar (1/N) (p sum_k q_k - q);  the sum is 1 where q is a distribution.
def _soft_forward(y, labels):
    log_p, p = _log_softmax(y)
    return -jnp.sum(labels * log_p) / _rows(y), (p, labels)


def _soft_backward(residuals, loss_bar):
    p, labels = residuals
    return loss_bar / _rows(p) * (p * labels.sum(-1, keepdims=True) - labels)


softmax_cross_entropy_with_probabilities = _make_loss(
    "softmax_cross_entropy_with_probabilities",
    _soft_forward,
    _soft_backward,
    _check_like_output,
)


# L = mean(max(0, 1 - t y)) with labels t = -1 or 1:  y_bar = L_bar (1/N) (-t) where
# 1 - t y > 0, else 0.
def _hinge_forward(y, labels):
    margin = 1 - labels * y
    return jnp.mean(jnp.maximum(margin, 0)), (margin, labels)


def _hinge_backward(residuals, loss_bar):
    margin, labels = residuals
    return jnp.where(margin > 0, -loss_bar / max(1, margin.size) * labels, 0)


hinge = _make_loss("hinge", _hinge_forward, _hinge_backward, _check_like_output)
