"""Neurons, layers and multilayer perceptrons made of single numbers.

Parameters are nested lists, `[(weights, biases), ...]` with one row of weights a
neuron, as in `jaxbp.layers`; `values` turns numbers into them, `flat` lists them in the
order in which they are drawn: neuron by neuron, weights before the bias.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

from ..errors import ShapeMismatch
from .tape import Value

Layer = tuple[list[list[Value]], list[Value]]


def initial(sizes: Sequence[int], rng: Random) -> list[Layer]:
    """Weights drawn uniformly from (-1, 1), neuron by neuron; biases 0.

    Args:
      sizes: of the layers, the inputs first.
    """
    return [
        (
            [[Value(rng.uniform(-1, 1)) for _ in range(n_in)] for _ in range(n_out)],
            [Value(0.0) for _ in range(n_out)],
        )
        for n_in, n_out in pairwise(sizes)
    ]


def values(params) -> list[Layer]:
    """The same layers with a `Value` for each number; arrays and lists may nest."""
    return [
        ([[Value(w) for w in row] for row in weights], [Value(b) for b in biases])
        for weights, biases in params
    ]


def flat(params: Sequence[Layer]) -> list[Value]:
    """All parameters: per layer and neuron its weights, then its bias."""
    return [
        value
        for weights, biases in params
        for row, bias in zip(weights, biases, strict=True)
        for value in (*row, bias)
    ]


def neuron(weights: Sequence, bias, inputs: Sequence) -> Value:
    """The weighted sum of the inputs and the bias.

    Raises:
      ShapeMismatch: there is not one weight per input.
    """
    if len(weights) != len(inputs):
        raise ShapeMismatch(
            f"`inputs` must have {len(weights)} entries, one per weight of the neuron, "
            f"but has {len(inputs)}."
        )
    total = bias
    for w, x in zip(weights, inputs, strict=True):
        total = total + w * x
    return total


def mlp(
    params: Sequence[Layer], inputs: Sequence, activation: Callable = Value.relu
) -> list[Value]:
    """The outputs of a network: `activation` after every layer but the last."""
    for place, (weights, biases) in enumerate(params):
        sums = [neuron(w, b, inputs) for w, b in zip(weights, biases, strict=True)]
        last = place == len(params) - 1
        inputs = sums if last else [activation(x) for x in sums]
    return list(inputs)
