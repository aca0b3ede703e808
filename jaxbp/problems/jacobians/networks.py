"""Networks of one vector, and their Jacobians as one writes them by hand.

Each function takes the vector first and its weights after it; each `..._by_hand` takes
the same and gives the Jacobian, an array (outputs, inputs).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.sparse import BCOO


def layered(x, *weights):
    """Layers of tanh, the last one linear; a weight is (outputs, inputs)."""
    for W in weights[:-1]:
        x = jnp.tanh(W @ x)
    return weights[-1] @ x


def layered_args(draw, widths):
    """A vector of widths[0] numbers, and a weight between each two widths."""
    pairs = zip(widths[1:], widths[:-1], strict=True)
    weights = [draw.normal(m, n, scale=n**-0.5) for m, n in pairs]
    return (draw.normal(widths[0], scale=1), *weights)


def slopes(x, *weights):
    """The slopes of tanh behind every weight but the last."""
    found = []
    for W in weights[:-1]:
        x = jnp.tanh(W @ x)
        found.append(1 - x**2)
    return found


def meeting(x, *weights):
    """Both sides multiplied towards the narrowest layer: (left, right), whose product
    is the Jacobian. Slopes scale the thin side, never a weight."""
    after = slopes(x, *weights)
    narrow = min(range(len(after)), key=lambda k: weights[k].shape[0])
    right = weights[narrow]
    for W, slope in zip(weights[:narrow][::-1], after[:narrow][::-1], strict=True):
        right = (right * slope[None]) @ W
    left = weights[narrow + 1] * after[narrow][None]
    for W, slope in zip(weights[narrow + 2 :], after[narrow + 1 :], strict=True):
        left = W @ (slope[:, None] * left)
    return left, right


def bottleneck_by_hand(x, *weights):
    """From both sides to the narrowest layer, then across."""
    left, right = meeting(x, *weights)
    return left @ right


def tall_by_hand(x, *weights):
    """Forward mode without its identity: n columns all the way, each as a row."""
    found = weights[0].T
    for W, slope in zip(weights[1:], slopes(x, *weights), strict=True):
        found = (found * slope[None]) @ W.T
    return found.T


def residual(x, *weights):
    """A network beside its input."""
    return x + layered(x, *weights)


def residual_by_hand(x, *weights):
    """Identity and low rank, added once."""
    left, right = meeting(x, *weights)
    return left @ right + jnp.eye(x.size, dtype=x.dtype)


def gated(x, *weights):
    """The input, each number let through as a network says."""
    return x * jax.nn.sigmoid(layered(x, *weights))


def gated_by_hand(x, *weights):
    """Diagonal and low rank; the slope of the gate scales the left side."""
    left, right = meeting(x, *weights)
    gate = jax.nn.sigmoid(layered(x, *weights))
    return ((x * gate * (1 - gate))[:, None] * left) @ right + jnp.diag(gate)


def tanh_outside(x, A):
    """tanh(A x)."""
    return jnp.tanh(A @ x)


def tanh_outside_by_hand(x, A):
    """Rows scaled."""
    return (1 - jnp.tanh(A @ x) ** 2)[:, None] * A


def tanh_inside(x, A):
    """A tanh(x)."""
    return A @ jnp.tanh(x)


def tanh_inside_by_hand(x, A):
    """Columns scaled."""
    return A * (1 - jnp.tanh(x) ** 2)[None]


def energy(x, W, b, v):
    """A scalar network n -> h -> 1."""
    return v @ jnp.tanh(W @ x + b)


def energy_args(draw, n, hidden):
    """A vector of n numbers, and the weights of a hidden layer."""
    W = draw.normal(hidden, n, scale=n**-0.5)
    return draw.normal(n, scale=1), W, draw.normal(hidden), draw.normal(hidden)


def energy_laplacian_by_hand(x, W, b, v):
    """The second slope of each hidden number, times the square of its weights."""
    t = jnp.tanh(W @ x + b)
    return jnp.sum(v * (-2 * t * (1 - t**2)) * jnp.sum(W**2, axis=1))


def each(x, W, b):
    """(B, n) -> (B, n): a layer of each example by itself."""
    return jnp.tanh(x @ W + b[None]) * x


def each_args(draw, batch, n):
    """Examples and a layer's weights."""
    return draw.normal(batch, n, scale=1), draw.normal(n, n), draw.normal(n)


def each_by_hand(x, W, b):
    """The blocks as a BCOO matrix, (B n, B n), by row, then column."""
    batch, n = x.shape
    size = batch * n
    rows = np.repeat(np.arange(size), n)
    columns = rows // n * n + np.tile(np.arange(n), size)
    places = np.stack([rows, columns], 1).astype(np.int32)
    return BCOO(
        (each_blocks(x, W, b).reshape(-1), jnp.asarray(places)), shape=(size, size),
        indices_sorted=True, unique_indices=True,
    )  # fmt: skip


def each_blocks(x, W, b):
    """(B, n, n): each example's own Jacobian, nothing between examples."""
    t = jnp.tanh(x @ W + b[None])
    own = ((1 - t**2) * x)[:, :, None] * W.T[None]
    return own + t[:, :, None] * jnp.eye(x.shape[1], dtype=x.dtype)[None]
