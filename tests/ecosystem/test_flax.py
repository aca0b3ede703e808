"""Flax: modules of linen and nnx as functions of their parameters."""

import jax
import jax.numpy as jnp
import pytest

from tests.ecosystem.agreement import agree

nn = pytest.importorskip("flax.linen", reason="needs flax: pip install .[ecosystem]")
nnx = pytest.importorskip("flax.nnx")

KEY = jax.random.key(0)
SEQUENCES = jax.random.normal(KEY, (2, 5, 4))
PICTURES = jax.random.normal(KEY, (2, 8, 8, 1))
X64 = jnp.float64


class Convolutional(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (3, 3), param_dtype=X64)(x)
        x = nn.BatchNorm(use_running_average=False, param_dtype=X64)(x)
        x = nn.avg_pool(nn.max_pool(nn.relu(x), (2, 2), strides=(2, 2)), (2, 2))
        x = nn.Dropout(0.2, deterministic=False)(x.reshape(x.shape[0], -1))
        return nn.log_softmax(nn.Dense(3, param_dtype=X64)(x))


class Residual(nn.Module):
    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm(param_dtype=X64)(nn.gelu(nn.Dense(8, param_dtype=X64)(x)))
        return x + nn.remat(nn.Dense)(4, param_dtype=X64)(y)


LINEN = {
    "CNN": (Convolutional, PICTURES),
    "MLP": (Residual, SEQUENCES),
    "attention": (
        lambda: nn.MultiHeadDotProductAttention(2, param_dtype=X64),
        SEQUENCES,
    ),
    "LSTM": (lambda: nn.RNN(nn.OptimizedLSTMCell(6, param_dtype=X64)), SEQUENCES),
}


@pytest.mark.parametrize("name", LINEN)
def test_linen(name):
    make, x = LINEN[name]
    module, rngs = make(), {"params": KEY, "dropout": KEY}
    variables = module.init(rngs, x)
    rest = {k: v for k, v in variables.items() if k != "params"}

    def apply(params, x):
        given = {"params": params, **rest}
        return module.apply(given, x, rngs=rngs, mutable=list(rest))[0]

    agree(apply, variables["params"], x)


def layers(rngs):
    return nnx.Sequential(
        nnx.Linear(4, 8, param_dtype=X64, rngs=rngs),
        nnx.gelu,
        nnx.LayerNorm(8, param_dtype=X64, rngs=rngs),
        nnx.Linear(8, 2, param_dtype=X64, rngs=rngs),
    )


def attention(rngs):
    return nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs)


# Its attention takes the softmax in float32 whatever the inputs are.
@pytest.mark.parametrize(("make", "dtype"), [(layers, X64), (attention, jnp.float32)])
def test_nnx(make, dtype):
    definition, params, rest = nnx.split(make(nnx.Rngs(0)), nnx.Param, ...)
    x = SEQUENCES.astype(dtype)
    agree(lambda p, x: nnx.merge(definition, p, rest)(x), params, x)
