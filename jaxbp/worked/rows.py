"""A worked example as rows: stage, name, how it is computed, value."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..scalar.draw import short

FORWARD, LOSS, ERRORS = "Feed forward", "Loss", "Backpropagate errors"
GRADIENTS, UPDATE = "Gradients of the parameters", "Update"
STAGES = (FORWARD, LOSS, ERRORS, GRADIENTS, UPDATE)
MOST_TERMS = 4  # of a sum that are written out


class Row(NamedTuple):
    """One number of a worked example, and how it is computed, in words."""

    stage: str
    name: str
    computed: str
    value: float


def rows(worked) -> list[Row]:
    """Every number of the last step; names count units from 1: z1[2], W1[2,1]."""
    step, net = worked.steps[-1], worked.net
    parts = (
        *_forward(step, net), *_loss(worked, step), *_errors(step, net),
        *_gradients(step), *_update(worked, step),
    )  # fmt: skip
    return [Row(*part) for part in parts]


def activation_name(f) -> str:
    return f if isinstance(f, str) else getattr(f, "__name__", "f")


def _sum(pairs: Sequence[tuple[float, float]], more: Sequence[float] = ()) -> str:
    """0.15·0.05 + 0.2·0.1 + 0.35; a long one in short."""
    terms = [f"{_factor(a)}·{_factor(b)}" for a, b in pairs]
    if len(terms) > MOST_TERMS:
        terms = [*terms[: MOST_TERMS - 2], "…", terms[-1]]
    return " + ".join([*terms, *map(_factor, more)])


def _factor(number: float) -> str:
    return f"({short(number)})" if number < 0 else short(number)


def _forward(step, net) -> Iterator[tuple]:
    for i, x in enumerate(net.inputs):
        yield FORWARD, f"x[{i + 1}]", "", x
    for k, layer in enumerate(step.layers, 1):
        name = activation_name(net.activations[k - 1])
        for i, (row, z) in enumerate(zip(layer.W_old, layer.z, strict=True)):
            b = layer.b_old
            bias = [] if b is None else [b if isinstance(b, float | int) else b[i]]
            pairs = list(zip(row, layer.below, strict=True))
            yield FORWARD, f"z{k}[{i + 1}]", _sum(pairs, bias), z
        for i, (z, a) in enumerate(zip(layer.z, layer.a, strict=True)):
            of = f"z{k}" if name == "softmax" else short(z)
            yield FORWARD, f"a{k}[{i + 1}]", f"{name}({of})", a


def _loss(worked, step) -> Iterator[tuple]:
    name = worked.net.loss
    if isinstance(name, str):
        outputs, targets = step.layers[-1].a, worked.net.targets
        for i, share in enumerate(step.shares):
            pair = f"{short(outputs[i])}, {short(targets[i])}"
            yield LOSS, f"E[{i + 1}]", f"{name}({pair})", share
        yield LOSS, "E", "sum of E[1], ...", step.loss
    else:
        yield LOSS, "E", f"{activation_name(name)}(a, t)", step.loss


def _errors(step, net) -> Iterator[tuple]:
    for k in range(len(step.layers), 0, -1):
        layer, last = step.layers[k - 1], k == len(step.layers)
        name = activation_name(net.activations[k - 1])
        for i, a_bar in enumerate(layer.a_bar):
            how = "slope of the loss"
            if not last:
                above = step.layers[k]
                read = above.W if net.order == "output_first" else above.W_old
                column = [row[i] for row in read]
                how = _sum(list(zip(column, above.z_bar, strict=True)))
            yield ERRORS, f"dE/da{k}[{i + 1}]", how, a_bar
        for i, (a_bar, z_bar) in enumerate(zip(layer.a_bar, layer.z_bar, strict=True)):
            slope = f"{name}'({short(layer.z[i])})"
            how = f"{_factor(a_bar)}·{slope}" if name != "softmax" else "softmax, all"
            yield ERRORS, f"dE/dz{k}[{i + 1}]", how, z_bar


def _gradients(step) -> Iterator[tuple]:
    for k, layer in enumerate(step.layers, 1):
        for i, row in enumerate(layer.W_bar):
            for j, w_bar in enumerate(row):
                how = _sum([(layer.z_bar[i], layer.below[j])])
                yield GRADIENTS, f"dE/dW{k}[{i + 1},{j + 1}]", how, w_bar
        if isinstance(layer.b_bar, list):
            for i, b_bar in enumerate(layer.b_bar):
                yield GRADIENTS, f"dE/db{k}[{i + 1}]", f"dE/dz{k}[{i + 1}]", b_bar
        elif layer.b_bar is not None:
            yield GRADIENTS, f"dE/db{k}", f"sum of dE/dz{k}", layer.b_bar


def _update(worked, step) -> Iterator[tuple]:
    rate, frozen = short(worked.net.learning_rate), worked.net.frozen
    for k, layer in enumerate(step.layers, 1):
        for i, row in enumerate(layer.W):
            for j, w in enumerate(row):
                how = _moved(layer.W_old[i][j], layer.W_bar[i][j], rate)
                how = "frozen" if f"W{k}" in frozen else how
                yield UPDATE, f"W{k}[{i + 1},{j + 1}]", how, w
        if layer.b is None:
            continue
        shared = not isinstance(layer.b, list | tuple)
        triples = zip(
            *([x] if shared else x for x in (layer.b_old, layer.b_bar, layer.b)),
            strict=True,
        )
        for i, (old, b_bar, b) in enumerate(triples):
            how = "frozen" if f"b{k}" in frozen else _moved(old, b_bar, rate)
            yield UPDATE, f"b{k}" if shared else f"b{k}[{i + 1}]", how, b
    yield UPDATE, "E afterwards", "", worked.loss_after


def _moved(old: float, gradient: float, rate: str) -> str:
    return f"{short(old)} − {rate}·{_factor(gradient)}"
