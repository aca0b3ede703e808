"""Bytes that scans stack, by hand."""

import jax
import jax.numpy as jnp

from jaxbp.study import stacked_bytes


def cumulative(x, steps):
    """A scan whose body holds a scan: each stacks what it gives out."""

    def outer(carry, _):
        def inner(c, _):
            return c * 2, c

        carry, stacked = jax.lax.scan(inner, carry, None, length=3)
        return carry, stacked.sum()

    return jax.lax.scan(outer, x, None, length=steps)


def test_stacked_bytes_count_outputs_of_scans_times_their_outer_trips():
    x = jnp.ones((), jnp.float32)
    # 5 sums of 4 bytes, and five times 3 values of 4 bytes.
    assert stacked_bytes(lambda x: cumulative(x, 5), x) == 5 * 4 + 5 * 3 * 4


def test_stacked_bytes_look_into_calls_and_are_zero_without_a_scan():
    nested = jax.jit(lambda x: cumulative(x, 2))
    assert stacked_bytes(nested, jnp.ones(())) == 2 * 8 + 2 * 3 * 8
    assert stacked_bytes(jnp.sin, 1.0) == 0
