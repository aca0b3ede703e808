"""Descent as one pure function of its start: to be vmapped over seeds and settings.

`fit` trains one network and reports on it; here many small ones train side by side in
one compiled program.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxbp.training.data import Batches, epoch_rows, take
from jaxbp.training.step import ValueAndGrad, make_step


def descend(
    value_and_grad: ValueAndGrad,
    optimizer: optax.GradientTransformation,
    params: Any,
    data: Any,
    rows: jax.Array,
) -> tuple[Any, jax.Array]:
    """One update for each batch of rows.

    Args:
      value_and_grad: (params, *batch) -> (loss, grads), as for `fit`.
      optimizer: any optax transformation; its numbers, such as a learning rate, may be
        traced, and so vary under vmap.
      params: a pytree of floating arrays.
      data: a tuple of arrays (n, ...).
      rows: (updates, batch) int, from `batch_rows`.

    Returns:
      Last parameters, and the loss (updates,) before each update.
    """
    step = make_step(value_and_grad, optimizer)
    data = jax.tree.map(jnp.asarray, data)

    def update(carry, batch):
        *carry, loss = step(*carry, *take(data, batch))
        return tuple(carry), loss

    with jax.numpy_dtype_promotion("standard"):
        state = optimizer.init(params)
    (params, _), losses = jax.lax.scan(update, (params, state), rows)
    return params, losses


def batch_rows(key: jax.Array, count: int, size: int, epochs: int) -> jax.Array:
    """Rows of all batches of some epochs, each epoch in a new order, the examples that
    fill no batch left out: (epochs * (count // size), size) int32."""
    batches = Batches(count, size, last="drop")
    keys = jax.random.split(key, epochs)
    full, _ = jax.vmap(lambda key: epoch_rows(batches, key))(keys)
    return jnp.reshape(full, (-1, size))
