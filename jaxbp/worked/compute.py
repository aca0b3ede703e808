"""One example through a small network, in four stages, every number kept.

Feed forward, loss, errors back, update. With a_0 the inputs, z_l = W_l a_{l-1} + b_l
and a_l = f_l(z_l):

    dE/dz_l = f_l'(z_l)^T dE/da_l           dE/dW_l = dE/dz_l a_{l-1}^T
    dE/da_{l-1} = W_l^T dE/dz_l             dE/db_l = dE/dz_l

Activations and losses are differentiated on the scalar tape, one layer at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from ..display import Page, Shown
from ..errors import InvalidArgument, ShapeMismatch
from ..scalar import Value
from .description import Net
from .functions import ACTIVATIONS, LOSSES
from .rows import Row

Vector = list[float]
Matrix = list[list[float]]


@dataclass(frozen=True)
class Layer:
    """What one layer computed.

    Attributes:
      below: its inputs, a_{l-1}.
      z, a: before and after the activation.
      a_bar, z_bar: gradients of the loss by these; z_bar is often called delta.
      W_bar: by the weights.
      b_bar: by the biases: one a unit, their sum for a shared one, None without.
      W, b: the parameters after the update; `W_old`, `b_old` before it.
    """

    below: Vector
    z: Vector
    a: Vector
    a_bar: Vector
    z_bar: Vector
    W_bar: Matrix
    b_bar: Any
    W_old: Matrix
    b_old: Any
    W: Matrix
    b: Any


@dataclass(frozen=True)
class Step:
    """One step: its layers from the inputs on, the loss and each output's share."""

    layers: list[Layer]
    shares: Vector
    loss: float


@dataclass(frozen=True, repr=False)
class Worked(Shown):
    """A network worked through.

    Attributes:
      net: as described.
      steps: all of them.
      after: the network with the updated parameters.
      loss_after: its loss.
    """

    net: Net
    steps: list[Step]
    after: Net
    loss_after: float

    @property
    def rows(self) -> list[Row]:
        """Every number of the last step: stage, name, how it is computed, value."""
        from .rows import rows

        return rows(self)

    def markdown(self) -> str:
        """A table per stage, for a handout."""
        from .render import markdown

        return markdown(self)

    def latex(self) -> str:
        """The same as LaTeX tabulars."""
        from .render import latex

        return latex(self)

    def picture(self):
        """A matplotlib Figure: forward values, errors flowing back, updated weights."""
        from .draw import picture

        return picture(self)

    def page(self) -> Page:
        """Heading, and a table with a section per stage."""
        from .render import page

        return page(self)


def work(net: Net) -> Worked:
    """Runs the steps that a description asks for.

    Raises:
      InvalidArgument: a value leaves the range of finite numbers, or `loss`, if it is a
        function, gives no single `Value`.
    """
    steps, now = [], net
    for _ in range(net.steps):
        step = _step(now)
        steps.append(step)
        now = replace(
            now,
            weights=tuple(tuple(map(tuple, layer.W)) for layer in step.layers),
            biases=tuple(layer.b for layer in step.layers),
        )
    return Worked(net, steps, now, _loss(now, _forward(now)[-1][2])[0])


def _forward(net: Net) -> list[tuple[Vector, Vector, Vector]]:
    """(inputs, z, a) per layer."""
    found, a = [], list(net.inputs)
    layers = zip(net.weights, net.biases, net.activations, strict=True)
    for k, (W, b, f) in enumerate(layers, 1):
        z = [
            sum(w * x for w, x in zip(row, a, strict=True)) + _bias(b, i)
            for i, row in enumerate(W)
        ]
        for i, number in enumerate(z, 1):
            if not isfinite(number):
                raise InvalidArgument(
                    f"`z{k}[{i}]` must be finite, but is {number}: `W{k}`, `b{k}` or "
                    "what they read is too large. If they grew so in training, lower "
                    "`learning_rate`."
                )
        found.append((a, z, [y.data for y in _activated(f, [Value(x) for x in z])]))
        a = found[-1][2]
    return found


def _bias(b, unit: int) -> float:
    if b is None:
        return 0.0
    return b[unit] if isinstance(b, tuple | list) else b


def _activated(f, zs: Sequence[Value]) -> Sequence[Value]:
    found = (ACTIVATIONS[f] if isinstance(f, str) else f)(zs)
    if len(found) != len(zs) or not all(isinstance(y, Value) for y in found):
        raise ShapeMismatch(
            f"`activation` must give {len(zs)} Values, one per z, but gave {found!r}."
        )
    return found


def _loss(net: Net, outputs: Vector) -> tuple[float, Vector, Vector]:
    """The loss, each output's share of it, and its gradient by the outputs."""
    ys = [Value(y) for y in outputs]
    if isinstance(net.loss, str):
        term = LOSSES[net.loss]
        pairs = zip(ys, net.targets, strict=True)
        shares = [term(y, t, len(ys)) for y, t in pairs]
        total = sum(shares)
    else:
        total = net.loss(ys, list(net.targets))
        shares = [total]
    if not isinstance(total, Value):
        raise InvalidArgument(
            "`loss` must give one number, a Value computed from the outputs, but gave "
            f"{total!r}. Sum it up."
        )
    total.backward()
    return total.data, [share.data for share in shares], [y.grad for y in ys]


def _step(net: Net) -> Step:
    """The four stages once."""
    forward = _forward(net)
    loss, shares, a_bar = _loss(net, forward[-1][2])
    layers: list[Layer] = []
    for place in reversed(range(len(forward))):
        below, z, a = forward[place]
        W, b = [list(row) for row in net.weights[place]], net.biases[place]
        z_bar = _through(net.activations[place], z, a_bar)
        W_bar = [[delta * x for x in below] for delta in z_bar]
        b_bar = z_bar if isinstance(b, tuple | list) else None
        if b is not None and b_bar is None:
            b_bar = sum(z_bar)  # one bias, shared by all units
        rate, number = net.learning_rate, place + 1
        W_new = W if f"W{number}" in net.frozen else _moved(W, W_bar, rate)
        b_new = b if b is None or f"b{number}" in net.frozen else _moved(b, b_bar, rate)
        layers.append(
            Layer(below, z, a, a_bar, z_bar, W_bar, b_bar, W, b, W_new, b_new)
        )
        read = W_new if net.order == "output_first" else W
        columns = range(len(below))
        a_bar = [
            sum(row[j] * delta for row, delta in zip(read, z_bar, strict=True))
            for j in columns
        ]
    return Step(layers[::-1], shares, loss)


def _through(f, z: Vector, a_bar: Vector) -> Vector:
    """dE/dz from dE/da: the pullback of one layer's activation."""
    zs = [Value(x) for x in z]
    pairs = zip(a_bar, _activated(f, zs), strict=True)
    total = sum((bar * y for bar, y in pairs), Value(0.0))
    total.backward()
    return [x.grad for x in zs]


def _moved(values, gradients, rate: float):
    """values - rate * gradients, nested alike."""
    if isinstance(values, float | int):
        return values - rate * gradients
    return [_moved(v, g, rate) for v, g in zip(values, gradients, strict=True)]
