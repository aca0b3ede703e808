"""Gradients one input at a time: what a lab measures reverse mode against.

Both ways ask for every entry of the gradient by itself, in chunks that `jax.vmap`
batches and a loop walks, so that memory is a chunk's and not the whole Jacobian's.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

CHUNK = 128  # columns at once: wide enough for matrix products, small for any cache


def gradient_by_pushforwards(
    jvp: Callable, f: Callable, params: Any, chunk: int = CHUNK
) -> Any:
    """The gradient of `f` at `params`, one pushforward an entry.

    Args:
      jvp: forward mode under test, with the signature of `jax.jvp`.
      f: params -> scalar.
      params: pytree of n floats of one dtype.
      chunk: pushforwards batched at once.

    Returns:
      The gradient, a pytree like `params`.

    Cost: n pushforwards in ceil(n / chunk) loop steps; chunk·n floats of seeds.
    """
    flat, unravel = ravel_pytree(params)

    def column(seed):
        _, y_dot = jvp(lambda flat: f(unravel(flat)), (flat,), (seed,))
        return y_dot

    return unravel(by_columns(column, flat, chunk))


def gradient_by_differences(
    f: Callable, params: Any, chunk: int = CHUNK, step: float | None = None
) -> Any:
    """The gradient of `f` at `params` by central differences.

    Args:
      f: params -> scalar.
      params: pytree of n floats of one dtype.
      chunk: entries at once.
      step: None takes the cube root of the dtype's rounding unit, where truncation
        and rounding cost about the same.

    Returns:
      The gradient, a pytree like `params`, to about step² relative.

    Cost: 2n evaluations of `f`.
    """
    flat, unravel = ravel_pytree(params)
    h = step or float(jnp.finfo(flat.dtype).eps) ** (1 / 3)

    def column(seed):
        ahead, behind = f(unravel(flat + h * seed)), f(unravel(flat - h * seed))
        return (ahead - behind) / (2 * h)

    return unravel(by_columns(column, flat, chunk))


def by_columns(column: Callable, flat: jax.Array, chunk: int) -> jax.Array:
    """`column` of every unit vector of the space of `flat`: (n,) from (n,) -> ()."""
    n = flat.size

    def block(indices):
        seeds = jax.nn.one_hot(indices, n, dtype=flat.dtype)  # (chunk, n)
        return jax.vmap(column)(seeds)

    # The last block is filled up with indices past the end: zero seeds, cut off.
    indices = jnp.arange(loop_steps(n, chunk) * chunk).reshape(-1, chunk)
    return jax.lax.map(block, indices).reshape(-1)[:n]


def loop_steps(n: int, chunk: int = CHUNK) -> int:
    """How many chunks n columns take."""
    return -(-n // chunk)
