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


def by_pushforwards(jvp: Callable, f: Callable, chunk: int = CHUNK) -> Callable:
    """The gradient of `f` in its first argument, one pushforward an entry.

    Args:
      jvp: forward mode under test, with the signature of `jax.jvp`.
      f: (params, *data) -> scalar; params a pytree of n floats of one dtype.
      chunk: pushforwards batched at once.

    Returns:
      (params, *data) -> gradient, a pytree like params.

    Cost: n pushforwards in ceil(n / chunk) loop steps; chunk·n floats of seeds.
    """

    def gradient(params, *data):
        flat, unravel = ravel_pytree(params)

        def column(seed):
            return jvp(lambda flat: f(unravel(flat), *data), (flat,), (seed,))[1]

        return unravel(by_columns(column, flat, chunk))

    return gradient


def by_differences(f: Callable, chunk: int = CHUNK) -> Callable:
    """The gradient of `f` in its first argument by central differences.

    The step is the cube root of the dtype's rounding unit, where truncation and
    rounding cost about the same.

    Args:
      f: (params, *data) -> scalar; params a pytree of n floats of one dtype.
      chunk: entries at once.

    Returns:
      (params, *data) -> gradient, a pytree like params.

    Cost: 2n evaluations of `f`.
    """

    def gradient(params, *data):
        flat, unravel = ravel_pytree(params)
        h = float(jnp.finfo(flat.dtype).eps) ** (1 / 3)

        def column(seed):
            ahead = f(unravel(flat + h * seed), *data)
            behind = f(unravel(flat - h * seed), *data)
            return (ahead - behind) / (2 * h)

        return unravel(by_columns(column, flat, chunk))

    return gradient


def slope_along_ones(jvp: Callable, f: Callable, params: Any, *data) -> jax.Array:
    """One pushforward: the derivative of `f` along (1, 1, ..., 1), the sum of its
    gradient's entries."""
    ones = jax.tree.map(jnp.ones_like, params)
    return jvp(lambda params: f(params, *data), (params,), (ones,))[1]


def by_columns(column: Callable, flat: jax.Array, chunk: int) -> jax.Array:
    """`column` of every unit vector of the space of `flat`: (n,) from (n,) -> ()."""
    n = flat.size
    steps = loop_steps(n, chunk)
    width = -(-n // steps)  # the same for all, so that few columns are empty

    def block(indices):
        seeds = jax.nn.one_hot(indices, n, dtype=flat.dtype)  # (chunk, n)
        return jax.vmap(column)(seeds)

    # The last block is filled up with indices past the end: zero seeds, cut off.
    indices = jnp.arange(steps * width).reshape(steps, width)
    return jax.lax.map(block, indices).reshape(-1)[:n]


def loop_steps(n: int, chunk: int = CHUNK) -> int:
    """How many chunks n columns take."""
    return -(-n // chunk)
