"""Whole networks, composed from the layers of this package."""

from collections.abc import Sequence

from jaxbp.errors import InvalidArgument, UnknownName, nearest
from jaxbp.layers.activation import find_activation, gelu, gelu_tanh, relu
from jaxbp.layers.attention import self_attention
from jaxbp.layers.base import Layer, check_size
from jaxbp.layers.compose import residual, sequential
from jaxbp.layers.conv import conv2d
from jaxbp.layers.dense import dense
from jaxbp.layers.embedding import embedding, positions
from jaxbp.layers.initial import Initialiser, he, xavier, zeros
from jaxbp.layers.norm import layer_norm
from jaxbp.layers.pool import max_pool
from jaxbp.layers.recurrent import CELLS
from jaxbp.layers.shape import mean_over_time, reshape


def mlp(
    sizes: Sequence[int],
    *,
    activation: str | Layer = "tanh",
    weights: Initialiser | None = None,
    biases: Initialiser = zeros,
) -> Layer:
    """Dense layers with an activation between them, none after the last.

    Args:
      sizes: features of the input, of each hidden layer, and of the output.
      activation: a name from `ACTIVATIONS`, or a layer.
      weights: initialiser; None takes `he` after relu and gelu, else `xavier`.

    Returns:
      A layer (..., sizes[0]) -> (..., sizes[-1]). Parameters: a tuple
      ({"W", "b"}, {}, {"W", "b"}, ..., {"W", "b"}); the activations' entries are empty.
    """
    if len(sizes) < 2:
        raise InvalidArgument(
            "`sizes` must hold at least the number of inputs and of outputs, but is "
            f"{tuple(sizes)!r}."
        )
    nonlinear = find_activation(activation)
    weights = weights or default_weights(nonlinear)
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [dense(n_in, n_out, weights=weights, biases=biases), nonlinear]
    return sequential(*layers[:-1], name="mlp")


def default_weights(nonlinear: Layer) -> Initialiser:
    """`he` for the activations that silence half of their inputs, else `xavier`."""
    return he if nonlinear in (relu, gelu, gelu_tanh) else xavier


def cnn(
    image: tuple[int, int, int],
    channels: Sequence[int],
    n_out: int,
    *,
    window: int = 3,
    activation: str | Layer = "relu",
    pool: Layer | None = None,
) -> Layer:
    """Convolution, activation and pooling by two, repeated; then one dense layer.

    Args:
      image: (height, width, channels) of the input.
      channels: outputs of each convolution; every one halves height and width.
      n_out: outputs of the dense layer.
      window: size of the convolutions' window, the border filled with zeros.
      activation: a name from `ACTIVATIONS`, or a layer.
      pool: a pooling layer by two in both directions; None is `max_pool(2)`.

    Returns:
      A layer (N, *image) -> (N, n_out), its parameters one entry per part:
      (conv, {}, {}, conv, {}, {}, ..., {}, dense).

    Raises:
      InvalidArgument: the image is too small to be halved so often.
    """
    height, width, c_in = image
    shrunk = (height >> len(channels), width >> len(channels))
    if min(shrunk) < 1:
        raise InvalidArgument(
            f"`image` of cnn must be at least {1 << len(channels)} high and wide to be "
            f"halved {len(channels)} times, but is {height} x {width}."
        )
    nonlinear = find_activation(activation)
    weights = default_weights(nonlinear)
    layers = []
    for n_from, n_to in zip((c_in, *channels), channels, strict=False):
        layers += [
            conv2d(n_from, n_to, window, weights=weights),
            nonlinear,
            pool or max_pool(2),
        ]
    last = (*shrunk, (c_in, *channels)[-1])
    n_flat = last[0] * last[1] * last[2]
    return sequential(
        *layers, reshape(last, (n_flat,)), dense(n_flat, n_out), name="cnn"
    )


def recurrent_classifier(
    cell: str, n_in: int, n_hidden: int, n_out: int, **options
) -> Layer:
    """A recurrent layer whose last state a dense layer reads.

    Args:
      cell: 'rnn' or 'lstm'.
      n_in, n_hidden, n_out: features of an input, of the state, of the output.
      options: further arguments of the cell, such as `forget_bias`.

    Returns:
      A layer (..., time, n_in) -> (..., n_out); parameters (cell, dense).

    Raises:
      UnknownName: no cell has that name.
    """
    if cell not in CELLS:
        raise UnknownName(f"`cell` {cell!r} is not known. " + nearest(cell, CELLS))
    return sequential(
        CELLS[cell](n_in, n_hidden, outputs="last", **options),
        dense(n_hidden, n_out),
        name="recurrent_classifier",
    )


def transformer_block(
    n: int,
    n_heads: int,
    n_hidden: int,
    *,
    causal: bool = False,
    activation: str | Layer = "gelu",
) -> Layer:
    """Attention, then a two-layer MLP, each normalised first and with a shortcut.

    Args:
      n, n_heads: features, and heads of the attention.
      n_hidden: hidden units of the MLP.
      causal: whether a time step sees only itself and those before it.
      activation: a name from `ACTIVATIONS`, or a layer.

    Returns:
      A layer (..., time, n) -> (..., time, n); parameters
      ((norm, attention), (norm, mlp)), with mlp = (dense, {}, dense).

    Source: Vaswani et al. 2017, arXiv:1706.03762, the norms placed as in Xiong et al.
    2020, arXiv:2002.04745.
    """
    attention = self_attention(n, n_heads, causal=causal)
    units = mlp((n, n_hidden, n), activation=activation)
    return sequential(
        residual(sequential(layer_norm(n), attention)),
        residual(sequential(layer_norm(n), units)),
        name="transformer_block",
    )


def transformer_classifier(
    n_tokens: int,
    n: int,
    n_heads: int,
    n_hidden: int,
    n_out: int,
    *,
    n_blocks: int = 2,
    max_length: int = 64,
    causal: bool = False,
) -> Layer:
    """Embedded tokens and positions, transformer blocks, the mean over time, dense.

    Args:
      n_tokens: tokens are the integers 0 ... n_tokens - 1.
      n, n_heads, n_hidden, causal: as in `transformer_block`.
      n_out: number of classes.
      n_blocks: number of blocks.
      max_length: the longest sequence.

    Returns:
      A layer (..., time) integer -> (..., n_out); parameters
      (embedding, positions, (block, ...), norm, {}, dense).
    """
    check_size("transformer_classifier", n_blocks=n_blocks)
    block = transformer_block(n, n_heads, n_hidden, causal=causal)
    return sequential(
        embedding(n_tokens, n),
        positions(max_length, n),
        sequential(*[block] * n_blocks, name="blocks"),
        layer_norm(n),
        mean_over_time,
        dense(n, n_out),
        name="transformer_classifier",
    )
