"""Cumulative operations: each output depends on a prefix of the inputs."""

import functools

import jax.numpy as jnp
from jax import lax

from .registry import linear, rewritten


def _cumsum_transpose(y_bar, x, *, axis, reverse, **params):
    return lax.cumsum(y_bar, axis, not reverse)


linear("cumsum", transpose=_cumsum_transpose)


# The others are scans of an associative operation, in log2(n) steps: the derivative is
# that of these steps. At a tie of cummax each of the two combined gets half, as in JAX.
# Their value is that of the steps, too, as in JAX: on a CPU the primitive takes as long
# again, and four times as long as the steps.
def _scan(combine, x, *, axis, reverse, **params):
    return lax.associative_scan(combine, x, reverse=reverse, axis=axis)


rewritten("cumlogsumexp", functools.partial(_scan, jnp.logaddexp), gives_value=True)
rewritten("cummax", functools.partial(_scan, lax.max), gives_value=True)
rewritten("cummin", functools.partial(_scan, lax.min), gives_value=True)
rewritten("cumprod", functools.partial(_scan, lax.mul), gives_value=True)
