"""Embeddings: a row of a table for each token, and one for each position."""

import jax.numpy as jnp
from jax import lax

from jaxbp.errors import ShapeMismatch
from jaxbp.layers.base import Layer, batch_sum, check_size, lift, make_layer
from jaxbp.layers.initial import Initialiser, normal


# y = table[x]: row r of the table is used wherever x = r, so
#   table_bar[r] = sum of y_bar over the places where x = r,
# a scatter-add. x is an integer and has no cotangent: x_bar is None. Kept: x.
def embedding(n_tokens: int, n: int, *, weights: Initialiser | None = None) -> Layer:
    """Each token's row of a table.

    Args:
      n_tokens, n: rows (tokens) and columns (features) of the table.
      weights: initialiser; None is normal with standard deviation 1.

    Returns:
      A layer (...) integer -> (..., n) float with parameter table (n_tokens, n).
      A negative token counts from the end, as in NumPy; one outside the table gives
      a row of NaN and gets no gradient. `backward` returns None for x_bar.

    Raises:
      InvalidArgument: a size is not a positive integer.
    """
    check_size("embedding", n_tokens=n_tokens, n=n)

    def forward(params, x):
        y = params["table"].at[x].get(mode="fill", fill_value=jnp.nan)
        return y, (x,)

    def backward(params, residuals, y_bar):
        (x,) = residuals
        empty = jnp.zeros((n_tokens, n), y_bar.dtype)
        return {"table": empty.at[x].add(y_bar, mode="drop")}, None

    spec = {"table": ((n_tokens, n), weights or normal(1.0))}
    return make_layer("embedding", spec, forward, backward, integer=True)


# y[t] = x[t] + table[t]:  x_bar = y_bar, table_bar[t] = sum of y_bar[t] over the batch,
# 0 for the rows beyond the sequence. Kept: nothing.
def positions(max_length: int, n: int, *, weights: Initialiser | None = None) -> Layer:
    """A learned row added at each time step.

    Args:
      max_length, n: longest sequence, and features.
      weights: initialiser; None is normal with standard deviation 0.02.

    Returns:
      A layer (..., time, n) -> (..., time, n) with parameter table (max_length, n).

    Raises:
      InvalidArgument: a size is not a positive integer.
      ShapeMismatch (when called): the sequence is longer than `max_length`.
    """
    check_size("positions", max_length=max_length, n=n)

    def forward(params, x):
        times = x.shape[-2]
        if times > max_length:
            raise ShapeMismatch(
                f"`x` of positions must have at most {max_length} time steps, "
                f"but has {times} (shape {x.shape})."
            )
        return x + lift(params["table"][:times], x.ndim), ()

    def backward(params, residuals, y_bar):
        used = batch_sum(y_bar, kept=2)
        missing = max_length - used.shape[0]
        zero = jnp.zeros((), used.dtype)
        table_bar = lax.pad(used, zero, [(0, missing, 0), (0, 0, 0)])
        return {"table": table_bar}, y_bar

    spec = {"table": ((max_length, n), weights or normal(0.02))}
    return make_layer("positions", spec, forward, backward, trailing=("time", n))
