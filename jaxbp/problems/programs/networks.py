"""Feed-forward networks in plain JAX: MLP, CNN, transformer block, embedding."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def cross_entropy(scores, labels):
    """Mean of -log softmax at the labels: (b, c), (b,) int -> ()."""
    log_p = jax.nn.log_softmax(scores)
    return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()


def mlp(params, x, labels):
    """tanh layers and a linear one below softmax cross-entropy."""
    *hidden, (W, b) = params
    for W_k, b_k in hidden:
        x = jnp.tanh(x @ W_k + b_k[None])  # (batch, width)
    return cross_entropy(x @ W + b[None], labels)


def mlp_args(draw, *, depth, width, batch, classes):
    sizes = [width] * (depth + 1) + [classes]
    pairs = zip(sizes[:-1], sizes[1:], strict=True)
    params = [(draw.normal(m, n), draw.zeros(n)) for m, n in pairs]
    return params, draw.normal(batch, width, scale=1), draw.integers(classes, batch)


def cnn(params, images, labels):
    """Two 3x3 convolutions with relu and 2x2 max pooling, then a dense layer."""
    x = images  # (batch, side, side, 1)
    for kernel in params["kernels"]:
        x = lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = lax.reduce_window(
            jax.nn.relu(x), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
        )
    return cross_entropy(x.reshape(x.shape[0], -1) @ params["W"], labels)


def cnn_args(draw, *, batch, side, channels, classes):
    kernels = [
        draw.normal(3, 3, 1, channels, scale=1 / 3),
        draw.normal(3, 3, channels, 2 * channels, scale=(9 * channels) ** -0.5),
    ]
    params = {"kernels": kernels, "W": draw.normal(side**2 // 8 * channels, classes)}
    images = draw.uniform(batch, side, side, 1)
    return params, images, draw.integers(classes, batch)


def layer_norm(x, scale, shift):
    """Rows of mean 0 and variance 1, scaled and shifted: (..., d)."""
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    return centred * lax.rsqrt(variance + 1e-5) * scale + shift


def attention(params, x, heads):
    """Causal self-attention with several heads: (batch, time, d) -> same."""
    batch, time, d = x.shape
    qkv = (x @ params["qkv"]).reshape(batch, time, 3, heads, d // heads)
    q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]  # (batch, time, heads, d_head)
    scores = jnp.einsum("bthd,bshd->bhts", q, k) * (d // heads) ** -0.5
    causal = jnp.tril(jnp.ones((1, 1, time, time), bool))
    weights = jax.nn.softmax(jnp.where(causal, scores, -1e9), axis=-1)
    mixed = jnp.einsum("bhts,bshd->bthd", weights, v).reshape(batch, time, d)
    return mixed @ params["out"]


def residual_layers(params, x, targets):
    """x + W_out gelu(W_in x), layer after layer by scan over stacked parameters."""

    def layer(x, weights):
        W_in, W_out = weights
        return x + jax.nn.gelu(x @ W_in) @ W_out, None

    x, _ = lax.scan(layer, x, (params["in"], params["out"]))
    return jnp.mean((x - targets) ** 2)


def residual_args(draw, *, depth, width, batch):
    params = {"in": draw.normal(depth, width, width)}
    params["out"] = draw.normal(depth, width, width, scale=0.1 * width**-0.5)
    return params, draw.normal(batch, width, scale=1), draw.normal(batch, width)


HEADS = 4


def transformer_block(params, x, targets):
    """One pre-norm block, attention then GELU, under mean squared error."""
    row = (None, None, slice(None))
    normed = layer_norm(x, params["scale_1"][row], params["shift_1"][row])
    x = x + attention(params, normed, HEADS)
    normed = layer_norm(x, params["scale_2"][row], params["shift_2"][row])
    x = x + jax.nn.gelu(normed @ params["up"]) @ params["down"]
    return jnp.mean((x - targets) ** 2)


def block_params(draw, d):
    """Parameters of one transformer block of width d."""
    ones, zeros = np.ones(d, draw.dtype), draw.zeros(d)
    norms = {"scale_1": ones, "shift_1": zeros, "scale_2": ones, "shift_2": zeros}
    maps = {"qkv": (d, 3 * d), "out": (d, d), "up": (d, 4 * d), "down": (4 * d, d)}
    return norms | {name: draw.normal(*shape) for name, shape in maps.items()}


def transformer_args(draw, *, batch, time, d):
    x, targets = (draw.normal(batch, time, d, scale=1) for _ in range(2))
    return block_params(draw, d), x, targets


def embedding_attention(params, tokens):
    """Next-token loss of an embedding, one attention and the embedding again."""
    x = params["table"][tokens[:, :-1]]  # (batch, time, d)
    x = x + attention(params, x, HEADS)
    scores = x @ params["table"].T  # (batch, time, vocabulary)
    flat = scores.reshape(-1, scores.shape[-1])
    return cross_entropy(flat, tokens[:, 1:].reshape(-1))


def embedding_args(draw, *, batch, time, d, vocabulary):
    table = draw.normal(vocabulary, d, scale=d**-0.5)
    params = {"table": table, "qkv": draw.normal(d, 3 * d), "out": draw.normal(d, d)}
    return params, draw.integers(vocabulary, batch, time + 1)
