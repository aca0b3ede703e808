"""What runs again must not be shared with what ran first, nor moved ahead of where it
is needed, whatever a compiler thinks: it starts from values that are chosen by the
cotangent, in a way that never changes them.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax


def behind(values: Sequence, y_bars: Sequence) -> list:
    """`values`, not to be had before the cotangents `y_bars` are.

    0 times a number is 0 or NaN, never more than 1; no compiler counts on that. One
    element of a cotangent would not do: it may be had before the others.
    """
    bars = [
        y for y in y_bars if y is not None and y.dtype != jax.dtypes.float0 and y.size
    ]
    if not bars:
        return list(values)
    most = [lax.reduce_max(jnp.real(y), tuple(range(y.ndim))) for y in bars]
    never = functools.reduce(lax.bitwise_or, [0 * y > 1 for y in most])
    return [_unless(never, value) for value in values]


def _unless(never, value):
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        bits = _unless(never, jax.random.key_data(value))
        return jax.random.wrap_key_data(bits, impl=jax.random.key_impl(value))
    nothing = lax.full_like(value, 0)
    return lax.select(jnp.broadcast_to(never, value.shape), nothing, value)
