"""Whole networks, composed from the layers of this package."""

from collections.abc import Sequence

from jaxbp.errors import InvalidArgument
from jaxbp.layers.activation import activation as find_activation
from jaxbp.layers.activation import gelu, gelu_tanh, relu
from jaxbp.layers.base import Layer
from jaxbp.layers.compose import sequential
from jaxbp.layers.dense import dense
from jaxbp.layers.initial import Initialiser, he, xavier, zeros


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
