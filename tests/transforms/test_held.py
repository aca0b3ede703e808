"""What a pullback holds while it goes back, operation by operation."""

import jax
import jax.numpy as jnp

import jaxbp


def test_a_pullback_holds_no_cotangent_longer_than_it_is_read():
    seen = []

    @jax.custom_vjp
    def ruled(x):
        return jnp.sin(x)

    def backward(slope, y_bar):
        seen.append(sum(a.shape == shape for a in jax.live_arrays()))
        return (slope * y_bar,)

    ruled.defvjp(lambda x: (jnp.sin(x), jnp.cos(x)), backward)
    shape = (31, 7)
    pullback = jaxbp.vjp(lambda x: ruled(ruled(ruled(ruled(x)))), jnp.ones(shape))[1]
    pullback(jnp.ones(shape))
    assert len(set(seen[1:])) == 1, seen
