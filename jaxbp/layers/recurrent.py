"""Recurrent layers by `lax.scan`, with backpropagation through time.

Sequences are (..., time, features) outside and time first inside. Only what depends on
the state before it runs in the loop: the products with the inputs are one contraction
ahead of it. In the reverse loop the cotangents delta_t of the summed inputs z_t are
stacked, and each weight gradient is one contraction after the loop:

    z_t = x_t W_x + h_{t-1} W_h + b,   h_0 = 0,   h_t from z_t by the cell
    W_x_bar = sum x_t^T delta_t,   W_h_bar = sum h_{t-1}^T delta_t,
    b_bar = sum delta_t,           x_bar_t = delta_t W_x^T.

Source: Werbos 1990, Backpropagation through time, doi:10.1109/5.58337.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

from jaxbp.errors import InvalidArgument
from jaxbp.layers.base import Layer, batch_sum, check_size, lift, make_layer, outer_sum
from jaxbp.layers.initial import Initialiser, side_by_side, xavier, zeros


# h_t = tanh(z_t), with slope 1 - h_t^2. Kept: nothing but x and all h.
#   delta_t = h_bar_t (1 - h_t^2),   h_bar_{t-1} = delta_t W_h^T (+ y_bar_{t-1}).
def _rnn_step(W_h, state, z_t):
    (h,) = state
    return (jnp.tanh(z_t + h @ W_h),), ()


def _rnn_step_back(W_h, state_bar, h_t, kept_t):
    (h_bar,) = state_bar
    delta = h_bar * (1 - h_t * h_t)
    return (delta @ W_h.T,), delta


# z_t = (z_i, z_f, z_g, z_o) gives the gates i, f, o = logistic(...), g = tanh(z_g), and
#   c_t = f c_{t-1} + i g,   h_t = o tanh(c_t).
# Kept: x, all h, c_{t-1} and the gates; c_t is two flops away. With t = tanh(c_t),
#   c_bar_t = (c_bar carried) + h_bar_t o (1 - t^2),   c_bar_{t-1} = c_bar_t f,
#   delta_t = (c_bar g i (1 - i), c_bar c_{t-1} f (1 - f), c_bar i (1 - g^2),
#              h_bar t o (1 - o)),   h_bar_{t-1} = delta_t W_h^T (+ y_bar_{t-1}).
def _lstm_step(W_h, state, z_t):
    h, c = state
    z_i, z_f, z_g, z_o = jnp.split(z_t + h @ W_h, 4, -1)
    i, f, o = lax.logistic(z_i), lax.logistic(z_f), lax.logistic(z_o)
    g = jnp.tanh(z_g)
    c_next = f * c + i * g
    return (o * jnp.tanh(c_next), c_next), (c, i, f, g, o)


def _lstm_step_back(W_h, state_bar, h_t, kept_t):
    h_bar, c_bar = state_bar
    c, i, f, g, o = kept_t
    t = jnp.tanh(f * c + i * g)
    c_bar = c_bar + h_bar * o * (1 - t * t)
    parts = (
        c_bar * g * i * (1 - i),
        c_bar * c * f * (1 - f),
        c_bar * i * (1 - g * g),
        h_bar * t * o * (1 - o),
    )
    delta = jnp.concatenate(parts, -1)
    return (delta @ W_h.T, c_bar * f), delta


def rnn(
    n_in: int,
    n_hidden: int,
    *,
    outputs: str = "all",
    weights: Initialiser = xavier,
    recurrent_weights: Initialiser = xavier,
    biases: Initialiser = zeros,
) -> Layer:
    """The recurrent network h_t = tanh(x_t W_x + h_{t-1} W_h + b) from h_0 = 0.

    Args:
      n_in, n_hidden: numbers of input features and of state entries.
      outputs: 'all' states, or the 'last'.
      weights, recurrent_weights, biases: initialisers.

    Returns:
      A layer (..., time, n_in) -> (..., time, n_hidden), without the time axis for
      'last'. Parameters: W_x (n_in, n_hidden), W_h (n_hidden, n_hidden), b (n_hidden,).

    Raises:
      InvalidArgument: a size or `outputs` is not as stated.

    Cost: 2 T n_hidden (n_in + n_hidden) flops a sequence of T steps forward, twice
    that backward; keeps T (n_in + n_hidden) numbers.
    """
    check_size("rnn", n_in=n_in, n_hidden=n_hidden)
    spec = {
        "W_x": ((n_in, n_hidden), weights),
        "W_h": ((n_hidden, n_hidden), recurrent_weights),
        "b": ((n_hidden,), biases),
    }
    return _through_time("rnn", spec, 1, _rnn_step, _rnn_step_back, outputs)


def lstm(
    n_in: int,
    n_hidden: int,
    *,
    outputs: str = "all",
    weights: Initialiser = xavier,
    recurrent_weights: Initialiser = xavier,
    forget_bias: float = 1.0,
) -> Layer:
    """Long short-term memory, from h_0 = c_0 = 0.

    Args:
      n_in, n_hidden: numbers of input features and of state entries.
      outputs: 'all' states h, or the 'last'.
      weights, recurrent_weights: initialisers of each gate's matrix.
      forget_bias: where the forget gate's bias starts (the other biases at 0): large
        values keep the memory, and with it the gradient, alive over many steps.

    Returns:
      A layer (..., time, n_in) -> (..., time, n_hidden), without the time axis for
      'last'. Parameters, the gates in the order input, forget, candidate, output:
      W_x (n_in, 4 n_hidden), W_h (n_hidden, 4 n_hidden), b (4 n_hidden,).

    Raises:
      InvalidArgument: a size or `outputs` is not as stated.

    Cost: 8 T n_hidden (n_in + n_hidden) flops a sequence of T steps forward, twice
    that backward; keeps T (n_in + 6 n_hidden) numbers.
    Source: Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; forget
    gate: Gers et al. 2000, doi:10.1162/089976600300015015.
    """
    check_size("lstm", n_in=n_in, n_hidden=n_hidden)

    def biases(key, shape, dtype):
        start = jnp.zeros(shape, dtype)
        return start.at[n_hidden : 2 * n_hidden].set(forget_bias)

    spec = {
        "W_x": ((n_in, 4 * n_hidden), side_by_side(weights, 4)),
        "W_h": ((n_hidden, 4 * n_hidden), side_by_side(recurrent_weights, 4)),
        "b": ((4 * n_hidden,), biases),
    }
    return _through_time("lstm", spec, 2, _lstm_step, _lstm_step_back, outputs)


CELLS = {"lstm": lstm, "rnn": rnn}


def _through_time(
    name: str,
    spec: dict,
    n_states: int,
    step: Callable,
    step_back: Callable,
    outputs: str,
) -> Layer:
    """The layer of a cell.

    Args:
      n_states: arrays in the cell's state, the output h first.
      step: (W_h, state, z_t) -> (state, kept).
      step_back: (W_h, state_bar, h_t, kept_t) -> (state_bar of the step before, delta).
    """
    if outputs not in ("all", "last"):
        raise InvalidArgument(
            f"`outputs` of {name} must be 'all' or 'last', but is {outputs!r}."
        )
    last_only = outputs == "last"
    n_in, n_hidden = spec["W_x"][0][0], spec["W_h"][0][0]

    def run(params, x, stacked):
        z = _swap_time(x @ params["W_x"] + lift(params["b"], x.ndim))  # (T, ..., n)
        state = (jnp.zeros((*z.shape[1:-1], n_hidden), z.dtype),) * n_states

        def body(state, z_t):
            state, kept_t = step(params["W_h"], state, z_t)
            return state, stacked(state[0], kept_t)

        return lax.scan(body, state, z)

    def forward(params, x):
        state, (h, kept) = run(params, x, lambda h, kept: (h, kept))
        return state[0] if last_only else _swap_time(h, back=True), (x, h, kept)

    def plain(params, x):
        state, h = run(params, x, lambda h, kept: None if last_only else h)
        return state[0] if last_only else _swap_time(h, back=True)

    def backward(params, residuals, y_bar):
        x, h, kept = residuals
        zero = jnp.zeros(h.shape[1:], h.dtype)
        seed = (y_bar if last_only else zero, *(zero,) * (n_states - 1))

        def body(state_bar, at_t):
            h_t, kept_t, y_bar_t = at_t
            if not last_only:
                state_bar = (state_bar[0] + y_bar_t, *state_bar[1:])
            return step_back(params["W_h"], state_bar, h_t, kept_t)

        stacks = (h, kept, None if last_only else _swap_time(y_bar))
        _, delta = lax.scan(body, seed, stacks, reverse=True)  # (T, ..., n)
        params_bar = {
            "W_x": outer_sum(_swap_time(x), delta),
            "W_h": outer_sum(h[:-1], delta[1:]),  # h_0 = 0 adds nothing
            "b": batch_sum(delta),
        }
        return params_bar, _swap_time(delta @ params["W_x"].T, back=True)

    return make_layer(
        name, spec, forward, backward, plain=plain, trailing=("time", n_in)
    )


def _swap_time(a, back=False):
    """(..., T, n) -> (T, ..., n), or `back`."""
    return jnp.moveaxis(a, 0, -2) if back else jnp.moveaxis(a, -2, 0)
