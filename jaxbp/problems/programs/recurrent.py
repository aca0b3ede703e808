"""Recurrent networks by scan: inputs (time, batch, width), loss on the last state."""

import jax
import jax.numpy as jnp
from jax import lax


def tanh_rnn(params, xs, target):
    """h' = tanh(x W + h U + b)."""

    def step(h, x):
        return jnp.tanh(x @ params["W"] + h @ params["U"] + params["b"][None]), None

    h, _ = lax.scan(step, jnp.zeros_like(target), xs)
    return jnp.mean((h - target) ** 2)


def lstm(params, xs, target):
    """Input, forget and output gate and candidate from one product each."""

    def step(state, x):
        h, c = state
        gates = x @ params["W"] + h @ params["U"] + params["b"][None]
        i, f, o, g = jnp.split(gates, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zero = jnp.zeros_like(target)
    (h, _), _ = lax.scan(step, (zero, zero), xs)
    return jnp.mean((h - target) ** 2)


def gru(params, xs, target):
    """Reset and update gate; the reset acts on the recurrent part."""

    def step(h, x):
        from_x = jnp.split(x @ params["W"] + params["b"][None], 3, axis=-1)
        from_h = jnp.split(h @ params["U"], 3, axis=-1)
        reset = jax.nn.sigmoid(from_x[0] + from_h[0])
        update = jax.nn.sigmoid(from_x[1] + from_h[1])
        candidate = jnp.tanh(from_x[2] + reset * from_h[2])
        return (1 - update) * candidate + update * h, None

    h, _ = lax.scan(step, jnp.zeros_like(target), xs)
    return jnp.mean((h - target) ** 2)


def recurrent_args(gates):
    """Arguments of a recurrent network with `gates` products a step."""

    def make(draw, *, time, batch, width):
        params = {
            "W": draw.normal(width, gates * width),
            "U": draw.normal(width, gates * width),
            "b": draw.zeros(gates * width),
        }
        xs = draw.normal(time, batch, width, scale=1)
        return params, xs, draw.normal(batch, width, scale=1)

    return make
