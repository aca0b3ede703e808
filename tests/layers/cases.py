"""The table of layers under test, one row each, and their sampled inputs.

Shapes are odd on purpose: sizes of 1, images that a stride does not divide, windows
that overlap or leave gaps, borders larger than the window.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxbp import layers
from jaxbp.layers import Layer


class Case(NamedTuple):
    """A layer and the shape of its input; `tokens` > 0 asks for integers below it."""

    name: str
    layer: Layer
    shape: tuple[int, ...]
    tokens: int = 0


def _conv(window, **options):
    return layers.conv2d(2, 3, window, **options)


CASES = [
    Case("dense", layers.dense(3, 4), (5, 3)),
    Case("dense-vector", layers.dense(3, 4), (3,)),
    Case("dense-deep-batch", layers.dense(3, 1), (2, 1, 4, 3)),
    Case("dense-no-bias", layers.dense(1, 4, biases=None), (2, 1)),
    *(Case(name, layer, (3, 5)) for name, layer in layers.ACTIVATIONS.items()),
    Case("conv", _conv(3), (2, 5, 4, 2)),
    Case("conv-no-bias", _conv(2, biases=None), (1, 5, 4, 2)),
    Case("conv-valid", _conv((3, 2), padding="VALID"), (2, 5, 4, 2)),
    Case("conv-stride", _conv((3, 2), stride=(2, 3)), (2, 7, 6, 2)),
    Case("conv-stride-gap", _conv(1, stride=3, padding="VALID"), (2, 6, 8, 2)),
    Case("conv-wide-border", _conv(1, padding=((3, 1), (0, 2))), (2, 3, 2, 2)),
    Case("conv-one-place", _conv((4, 3), stride=2, padding="VALID"), (1, 4, 3, 2)),
    Case("max-pool", layers.max_pool(2), (2, 5, 6, 3)),
    Case("max-pool-overlap", layers.max_pool((3, 2), stride=1), (2, 4, 5, 1)),
    Case(
        "max-pool-same",
        layers.max_pool(3, stride=2, padding="SAME"),
        (1, 6, 5, 2),
    ),
    Case("max-pool-gap", layers.max_pool(1, stride=(2, 3)), (1, 4, 7, 2)),
    Case("average-pool", layers.average_pool(2), (2, 5, 6, 3)),
    Case(
        "average-pool-same",
        layers.average_pool((3, 2), stride=(2, 1), padding="SAME"),
        (1, 6, 5, 2),
    ),
    Case(
        "average-pool-border-only",
        layers.average_pool(1, padding=((1, 0), (0, 2))),
        (1, 3, 2, 2),
    ),
    Case("layer-norm", layers.layer_norm(5), (2, 3, 5)),
    Case("layer-norm-one", layers.layer_norm(1), (3, 1)),
    Case("attention", layers.self_attention(6, 3), (2, 4, 6)),
    Case("attention-one-time", layers.self_attention(2, 1), (3, 1, 2)),
    Case("attention-causal", layers.self_attention(4, 2, causal=True), (5, 4)),
    Case("embedding", layers.embedding(5, 3), (2, 4), tokens=5),
    Case("embedding-scalar", layers.embedding(5, 3), (), tokens=5),
    Case("positions", layers.positions(5, 3), (2, 4, 3)),
    Case("rnn", layers.rnn(3, 4), (2, 5, 3)),
    Case("rnn-last", layers.rnn(3, 4, outputs="last"), (2, 2, 5, 3)),
    Case("rnn-one-time", layers.rnn(1, 1), (1, 1)),
    Case("lstm", layers.lstm(3, 4), (2, 5, 3)),
    Case("lstm-last", layers.lstm(3, 4, outputs="last", forget_bias=2.0), (5, 3)),
    Case("lstm-one-time", layers.lstm(1, 2, outputs="last"), (2, 1, 1)),
    Case("reshape", layers.reshape((4, 3), (2, 6)), (2, 4, 3)),
    Case("mean-over-time", layers.mean_over_time, (2, 4, 3)),
    Case("residual", layers.residual(layers.sequential(layers.dense(3, 3))), (2, 3)),
    Case("sequential-empty", layers.sequential(), (2, 3)),
]

MODELS = [
    Case("mlp", layers.mlp((4, 5, 3)), (6, 4)),
    Case("mlp-relu", layers.mlp((4, 5, 5, 3), activation="relu"), (6, 4)),
    Case("cnn", layers.cnn((5, 4, 1), (2, 3), 3), (4, 5, 4, 1)),
    Case("rnn-classifier", layers.recurrent_classifier("rnn", 2, 4, 3), (4, 5, 2)),
    Case("lstm-classifier", layers.recurrent_classifier("lstm", 2, 3, 3), (4, 5, 2)),
    Case("transformer-block", layers.transformer_block(4, 2, 3), (2, 3, 4)),
    Case(
        "transformer-classifier",
        layers.transformer_classifier(
            5, 4, 2, 6, 3, n_blocks=2, max_length=6, causal=True
        ),
        (3, 5),
        tokens=5,
    ),
]


# Drawn by NumPy: an operation of JAX outside jit compiles by itself, for every shape.
def normal(
    seed: int, shape: tuple[int, ...], dtype: Any, deviation: float = 1.0
) -> jax.Array:
    """Normal numbers with mean 0."""
    drawn = np.random.default_rng(seed).normal(scale=deviation, size=shape)
    return jnp.asarray(np.asarray(drawn, dtype))


def integers(seed: int, shape: tuple[int, ...], below: int) -> jax.Array:
    """Integers of 0 ... below - 1."""
    return jnp.asarray(np.random.default_rng(seed).integers(0, below, shape))


def inputs(case: Case, dtype: Any) -> tuple[Any, jax.Array]:
    """Parameters and x. Every parameter is drawn, so that no bias is left at zero."""
    spec = jax.eval_shape(lambda: case.layer.init(jax.random.key(0), dtype))
    leaves, structure = jax.tree.flatten(spec)
    drawn = [normal(i, leaf.shape, leaf.dtype, 0.5) for i, leaf in enumerate(leaves)]
    params = structure.unflatten(drawn)
    if case.tokens:
        return params, integers(len(case.name), case.shape, case.tokens)
    return params, normal(len(case.name), case.shape, dtype)


def cotangent(y: Any) -> jax.Array:
    """A y_bar like y, no entry of it special."""
    return normal(77, y.shape, y.dtype)


def names(cases: list[Case]) -> list[str]:
    return [case.name for case in cases]


def labels_for(y: Any) -> jax.Array:
    """Class numbers, one for each row of y."""
    return integers(3, y.shape[:-1], y.shape[-1])


def ties(shape: tuple[int, ...]) -> jax.Array:
    """Small integers as floats: most windows hold equal entries."""
    return integers(5, shape, 3).astype(jnp.float64)
