"""Initialisers: (key, shape, dtype) -> array, for weights of shape (..., in, out).

With fan_in inputs of variance 1 and weights of variance v, a sum has variance
fan_in v. Keeping it near 1 on the way forward asks v = 1/fan_in (LeCun), in both
directions v = 2/(fan_in + fan_out) (Xavier: Glorot and Bengio 2010, AISTATS), and
v = 2/fan_in where relu halves it (He et al. 2015, arXiv:1502.01852, eq. 10).
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxbp.errors import ShapeMismatch

Initialiser = Callable[[jax.Array, tuple[int, ...], Any], jax.Array]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs and outputs of one unit; leading axes are a convolution's window."""
    if len(shape) < 2:
        raise ShapeMismatch(
            f"`shape` must be (..., in, out) to count a unit's inputs, but is {shape}. "
            "Use `zeros`, `constant`, `normal` or `uniform` for a vector."
        )
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def constant(value: float) -> Initialiser:
    """Every entry is `value`."""
    return lambda key, shape, dtype: jnp.full(shape, value, dtype)


def zeros(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Every entry is 0."""
    return jnp.zeros(shape, dtype)


def ones(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Every entry is 1."""
    return jnp.ones(shape, dtype)


def normal(deviation: float) -> Initialiser:
    """Normal with mean 0 and standard deviation `deviation`."""
    return lambda key, shape, dtype: deviation * jax.random.normal(key, shape, dtype)


def uniform(limit: float) -> Initialiser:
    """Uniform on [-limit, limit)."""
    return lambda key, shape, dtype: jax.random.uniform(
        key, shape, dtype, -limit, limit
    )


def xavier(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Uniform of variance 2 / (fan_in + fan_out)."""
    return uniform(math.sqrt(6 / sum(fans(shape))))(key, shape, dtype)


def xavier_normal(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Normal of variance 2 / (fan_in + fan_out)."""
    return normal(math.sqrt(2 / sum(fans(shape))))(key, shape, dtype)


def he(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Normal of variance 2 / fan_in."""
    return normal(math.sqrt(2 / fans(shape)[0]))(key, shape, dtype)


def lecun(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Normal of variance 1 / fan_in."""
    return normal(math.sqrt(1 / fans(shape)[0]))(key, shape, dtype)


def orthogonal(scale: float = 1.0) -> Initialiser:
    """`scale` times a matrix with orthonormal columns (or rows), uniform among them.

    The factorisation runs in at least 32 bits and is rounded to `dtype` at the end.
    """

    def initialise(key, shape, dtype):
        rows, columns = math.prod(shape[:-1]), shape[-1]
        wide = dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32
        tall = (max(rows, columns), min(rows, columns))
        q, r = jnp.linalg.qr(jax.random.normal(key, tall, wide))
        q = q * jnp.sign(jnp.diag(r))[None, :]  # makes the distribution uniform
        q = q if rows >= columns else q.T
        return (scale * q).reshape(shape).astype(dtype)

    return initialise


def side_by_side(initialise: Initialiser, count: int) -> Initialiser:
    """`count` blocks along the last axis, each drawn as a matrix of its own."""

    def blocks(key, shape, dtype):
        *rows, columns = shape
        keys = jax.random.split(key, count)
        block = (*rows, columns // count)
        return jnp.concatenate([initialise(k, block, dtype) for k in keys], -1)

    return blocks
