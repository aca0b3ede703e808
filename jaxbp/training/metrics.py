"""What is reported beside the loss: accuracy and the confusion of classes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def accuracy(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of rows whose largest score is at the label.

    Args:
      scores: (n, classes) float.
      labels: (n,) int.

    Returns:
      () of the dtype of `scores`, float32 where that is narrower.
    """
    right = jnp.argmax(scores, axis=-1).astype(labels.dtype) == labels
    return jnp.mean(right, dtype=wide(scores.dtype))


def confusion(predicted: jax.Array, labels: jax.Array, classes: int) -> jax.Array:
    """How often a class (row) was taken for another (column): (classes, classes) int32.

    Args:
      predicted, labels: (n,) int from 0 to `classes` - 1.
    """
    counts = jnp.zeros((classes, classes), jnp.int32)
    return counts.at[labels, predicted].add(1)


def classifier_metrics(
    scores: Callable[[Any, Any], jax.Array],
    loss: Callable[[jax.Array, jax.Array], jax.Array],
) -> Callable[[Any, Any, jax.Array], dict[str, jax.Array]]:
    """The `metrics` of a classifier for `fit`: loss and accuracy.

    Args:
      scores: (params, inputs) -> (n, classes).
      loss: (scores, labels) -> ().
    """

    def metrics(params, inputs, labels):
        found = scores(params, inputs)
        return {"loss": loss(found, labels), "accuracy": accuracy(found, labels)}

    return metrics


def wide(dtype) -> jnp.dtype:
    """`dtype`, or float32 where that is narrower: what sums and means are kept in."""
    return jnp.dtype(dtype) if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)
