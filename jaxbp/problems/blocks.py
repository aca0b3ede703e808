"""Networks of equal blocks, stacked for a scan, and how they lie on a mesh.

    parameters  {"W1": (depth, width, 4 width), "W2": (depth, 4 width, width), ...}
    "data"      whole on every device        "full"    rows divided along `data`
    "tensor"    columns of the first product of a pair, rows of the second along `model`

Source: Shoeybi et al. 2019, arXiv:1909.08053 (tensor); Rajbhandari et al. 2020,
arXiv:1910.02054 (full).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec as Spec


class Sizes(NamedTuple):
    """Of a network of blocks: blocks, features, heads, sequences, their length."""

    depth: int
    width: int
    heads: int
    batch: int
    length: int


def mlp_block(w, x):
    return x + jnp.tanh(x @ w["W1"]) @ w["W2"]


def transformer_block(w, x, heads):
    batch, length, width = x.shape

    def split(a):
        return a.reshape(batch, length, heads, width // heads).swapaxes(1, 2)

    def normed(a, gain):
        centred = a - a.mean(-1, keepdims=True)
        variance = (centred**2).mean(-1, keepdims=True)
        return centred * lax.rsqrt(variance + 1e-5) * gain[None, None]

    y = normed(x, w["gain1"])
    q, k, v = (split(y @ w[name]) for name in ("Wq", "Wk", "Wv"))
    p = jax.nn.softmax(q @ k.mT * (width // heads) ** -0.5, axis=-1)
    x = x + (p @ v).swapaxes(1, 2).reshape(x.shape) @ w["Wo"]
    return x + jax.nn.gelu(normed(x, w["gain2"]) @ w["W1"]) @ w["W2"]


def shapes_of(program, sizes):
    """Parameters, stacked over the blocks, and the data: shapes."""
    d = sizes.width
    params = {"W1": (d, 4 * d), "W2": (4 * d, d)}
    data = (sizes.batch * sizes.length, d)
    if program == "transformer":
        params |= dict.fromkeys(("Wq", "Wk", "Wv", "Wo"), (d, d))
        params |= dict.fromkeys(("gain1", "gain2"), (d,))
        data = (sizes.batch, sizes.length, d)
    return {k: (sizes.depth, *shape) for k, shape in params.items()}, data


@functools.lru_cache
def loss_of(program, heads):
    """The loss of a network of blocks: its mean square distance from a target."""

    def block(x, w):
        made = mlp_block(w, x) if program == "mlp" else transformer_block(w, x, heads)
        return made, None

    def loss(params, x, target):
        y, _ = lax.scan(block, x, params)
        return jnp.mean((y - target) ** 2)

    return loss


def specs_of(layout, shapes):
    """Per stacked parameter how it lies."""
    columns, rows = ("W1", "Wq", "Wk", "Wv"), ("W2", "Wo")
    if layout == "tensor":
        across = {k: Spec(None, None, "model") for k in columns}
        across |= {k: Spec(None, "model") for k in rows}
        return {k: across.get(k, Spec()) for k in shapes}
    if layout == "full":
        return {k: Spec(None, "data") for k in shapes}
    return dict.fromkeys(shapes, Spec())


def axes_of(layout, devices):
    """The lengths of `data` and `model`."""
    model = min(devices, 4 if devices <= 8 else 8) if layout == "tensor" else 1
    return devices // model, model


def host_array(shape, dtype, name, seed):
    """The array of that name, the same on any mesh."""
    if name == "zero":
        return np.zeros(shape, dtype)
    if name.startswith("gain"):
        return np.ones(shape, dtype)
    draw = np.random.default_rng([seed, *name.encode()])
    size = 1.0 if name in ("x", "target") else shape[-2] ** -0.5 / shape[0] ** 0.5
    return (size * draw.normal(size=shape)).astype(dtype)
