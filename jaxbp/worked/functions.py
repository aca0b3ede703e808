"""The activations and losses that a description can name, on numbers of the tape."""

from collections.abc import Callable, Sequence

from ..scalar import Value, exp, log, logistic, relu, tanh

Values = Sequence[Value]


def each(function: Callable) -> Callable[[Values], Values]:
    return lambda zs: [function(z) for z in zs]


def softmax(zs: Values) -> Values:
    top = max(z.data for z in zs)
    powers = [exp(z - top) for z in zs]
    total = sum(powers)
    return [power / total for power in powers]


# All z of a layer to all its outputs.
ACTIVATIONS: dict[str, Callable[[Values], Values]] = {
    "linear": each(lambda z: z * 1),
    "logistic": each(logistic),
    "relu": each(relu),
    "softmax": softmax,
    "softplus": each(lambda z: log(1 + exp(-abs(z))) + relu(z)),
    "tanh": each(tanh),
}

# Output and target to that output's share of the loss, which is their sum; `n` outputs.
LOSSES: dict[str, Callable[[Value, float, int], Value]] = {
    "half_squares": lambda y, t, n: (y - t) ** 2 / 2,
    "squares": lambda y, t, n: (y - t) ** 2,
    "mean_squares": lambda y, t, n: (y - t) ** 2 / n,
    "absolute": lambda y, t, n: abs(y - t),
    "cross_entropy": lambda y, t, n: -t * log(y),
    "binary_cross_entropy": lambda y, t, n: -t * log(y) - (1 - t) * log(1 - y),
}
