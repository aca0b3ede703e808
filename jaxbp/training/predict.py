"""A trained network on new inputs, batch by batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxbp.errors import InvalidArgument
from jaxbp.training.data import count_examples, slices


def predict(
    apply: Callable[[Any, Any], Any],
    params: Any,
    inputs: Any,
    batch_size: int = 1024,
) -> Any:
    """`apply(params, inputs)`, jitted, on at most `batch_size` inputs at a time.

    Args:
      apply: (params, inputs (n, ...)) -> pytree of (n, ...), one row an input. It is
        compiled once a function and shape, so pass the same function again.
      params: a pytree of arrays.
      inputs: an array (n, ...) or a pytree of them.
      batch_size: bounds the memory of intermediate values.

    Raises:
      InvalidArgument: `batch_size` < 1 or no inputs.
      ShapeMismatch: the leaves of `inputs` differ in their number of rows.
    """
    if batch_size < 1:
        raise InvalidArgument(f"`batch_size` must be at least 1 but is {batch_size}.")
    count = count_examples("inputs", inputs)
    jitted = jax.jit(apply)
    parts = [
        jitted(params, jax.tree.map(lambda x, rows=rows: x[rows], inputs))
        for rows in slices(count, batch_size)
    ]
    return jax.tree.map(lambda *rows: jnp.concatenate(rows), *parts)
