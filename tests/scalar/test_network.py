"""Networks of single numbers: the moons classifier's first steps."""

import random

import pytest

from jaxbp.errors import ShapeMismatch
from jaxbp.problems.points import moons_demo
from jaxbp.scalar import Value, flat, initial, mlp, neuron, tanh, values


def test_parameters_are_drawn_neuron_by_neuron():
    drawn = flat(initial([2, 16, 16, 1], random.Random(1337)))
    demo = flat(values(moons_demo().params))
    assert len(drawn) == 337
    assert [p.data for p in drawn] == [p.data for p in demo]


def test_moons_first_losses():
    """The published trace: hinge loss and weight decay, lr 1 - 0.9 k / 100."""
    inputs, labels, params = moons_demo()
    params, losses = values(params), []
    for step in range(2):
        scores = [mlp(params, point)[0] for point in inputs]
        hinges = [(1 - y * s).relu() for y, s in zip(labels, scores, strict=True)]
        decay = 1e-4 * sum(p * p for p in flat(params))
        loss = sum(hinges) * (1.0 / len(hinges)) + decay
        loss.backward()
        losses.append(loss.data)
        for p in flat(params):
            p.data -= (1 - 0.9 * step / 100) * p.grad
    assert losses == pytest.approx([0.8958441028683222, 1.7235905336972022], rel=1e-12)


def test_activation_stands_after_every_layer_but_the_last():
    params = [([[0.5, -1.0]], [0.25]), ([[2.0]], [0.125])]
    (y,) = mlp(values(params), [1.0, 3.0], tanh)
    assert y.data == 2 * Value(0.5 - 3 + 0.25).tanh().data + 0.125


def test_inputs_that_do_not_fit():
    with pytest.raises(ShapeMismatch, match="must have 2 entries, one per weight"):
        neuron([Value(1.0), Value(2.0)], Value(0.0), [1.0])
