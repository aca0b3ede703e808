"""Multi-head self-attention."""

import math

import jax
import jax.numpy as jnp

from jaxbp.errors import InvalidArgument
from jaxbp.layers.base import Layer, batch_sum, check_size, lift, make_layer, outer_sum
from jaxbp.layers.initial import Initialiser, side_by_side, xavier, zeros


# Rows of q, k, v are times; with s = 1/sqrt(n_head), per head:
#   q, k, v = x W_qkv + b_qkv,  p = softmax(s q k^T),  c = p v,  y = c W_o + b_o.
# Backwards, c_bar = y_bar W_o^T and
#   v_bar = p^T c_bar,  p_bar = c_bar v^T,
#   z_bar = p (p_bar - <p, p_bar> per row),  q_bar = s z_bar k,  k_bar = s z_bar^T q.
# The row sum is shorter taken over the head's features than over the times:
#   <p, p_bar> = sum_j p_j <c_bar, v_j> = <c_bar, c>.
# Masked scores have p = 0 and so z_bar = 0. Kept: x, q, k, v, p and c.
# Source: Vaswani et al. 2017, arXiv:1706.03762; the row sum: Dao et al. 2022,
# arXiv:2205.14135, appendix B.2.
def self_attention(
    n: int,
    n_heads: int,
    *,
    causal: bool = False,
    weights: Initialiser = xavier,
    biases: Initialiser = zeros,
) -> Layer:
    """Every time step a mixture of the values of all (or all earlier) time steps.

    Args:
      n: number of features, a multiple of `n_heads`.
      causal: whether a time step sees only itself and those before it.
      weights, biases: initialisers; W_qkv is three (n, n) matrices side by side.

    Returns:
      A layer (..., time, n) -> (..., time, n) with parameters W_qkv (n, 3 n),
      b_qkv (3 n,), W_o (n, n) and b_o (n,).

    Raises:
      InvalidArgument: a size is not a positive integer, or n no multiple of n_heads.

    Cost: 8 T n^2 + 4 T^2 n flops a sequence of T steps forward, twice that backward;
    keeps n_heads T^2 + 5 T n numbers a sequence.
    """
    check_size("self_attention", n=n, n_heads=n_heads)
    if n % n_heads:
        raise InvalidArgument(
            f"`n` of self_attention must be a multiple of n_heads = {n_heads}, "
            f"but is {n}."
        )
    scale = 1 / math.sqrt(n // n_heads)

    def forward(params, x):
        qkv = x @ params["W_qkv"] + lift(params["b_qkv"], x.ndim)
        q, k, v = (_split_heads(a, n_heads) for a in jnp.split(qkv, 3, -1))
        p = jax.nn.softmax(_mask(scale * (q @ k.mT), causal), axis=-1)  # (..., h, T, T)
        c = _join_heads(p @ v)  # (..., T, n)
        y = c @ params["W_o"] + lift(params["b_o"], x.ndim)
        return y, (x, q, k, v, p, c)

    def backward(params, residuals, y_bar):
        x, q, k, v, p, c = residuals
        joined_bar = y_bar @ params["W_o"].T
        row_sum = _split_heads(joined_bar * c, n_heads).sum(-1, keepdims=True)
        c_bar = _split_heads(joined_bar, n_heads)
        z_bar = scale * (p * (c_bar @ v.mT - row_sum))
        parts = (z_bar @ k, z_bar.mT @ q, p.mT @ c_bar)  # q_bar, k_bar, v_bar
        qkv_bar = jnp.concatenate([_join_heads(part) for part in parts], -1)
        params_bar = {
            "W_qkv": outer_sum(x, qkv_bar),
            "b_qkv": batch_sum(qkv_bar),
            "W_o": outer_sum(c, y_bar),
            "b_o": batch_sum(y_bar),
        }
        return params_bar, qkv_bar @ params["W_qkv"].T

    spec = {
        "W_qkv": ((n, 3 * n), side_by_side(weights, 3)),
        "b_qkv": ((3 * n,), biases),
        "W_o": ((n, n), weights),
        "b_o": ((n,), biases),
    }
    return make_layer("self_attention", spec, forward, backward, trailing=("time", n))


def _split_heads(a, n_heads):
    """(..., T, n) -> (..., heads, T, n / heads)."""
    return a.reshape(*a.shape[:-1], n_heads, a.shape[-1] // n_heads).swapaxes(-2, -3)


def _join_heads(a):
    """(..., heads, T, n / heads) -> (..., T, n)."""
    a = a.swapaxes(-2, -3)
    return a.reshape(*a.shape[:-2], a.shape[-2] * a.shape[-1])


def _mask(scores, causal):
    """Scores of later times at -inf, so that their weight is exactly 0."""
    if not causal:
        return scores
    times = scores.shape[-1]
    seen = jnp.tril(jnp.ones((times, times), bool))
    return jnp.where(lift(seen, scores.ndim), scores, -jnp.inf)
