"""Worked examples: the published numbers, both update orders, against the engine."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp import worked
from jaxbp.errors import InvalidArgument

TABLE = {  # Mazur's example, to 12 digits after the point
    "z1[1]": 0.377500000000, "z1[2]": 0.392500000000,
    "a1[1]": 0.593269992107, "a1[2]": 0.596884378260,
    "z2[1]": 1.105905967060, "z2[2]": 1.224921404096,
    "a2[1]": 0.751365069552, "a2[2]": 0.772928465321,
    "E[1]": 0.274811083176, "E[2]": 0.023560025584, "E": 0.298371108760,
    "dE/dz2[1]": 0.138498561629, "dE/dz2[2]": -0.038098236517,
    "dE/dW2[1,1]": 0.082167040564, "dE/dW2[1,2]": 0.082667627848,
    "dE/dW2[2,1]": -0.022602540477, "dE/dW2[2,2]": -0.022740242216,
    "dE/da1[1]": 0.036350306393, "dE/da1[2]": 0.041370322649,
    "dE/dz1[1]": 0.008771354689, "dE/dz1[2]": 0.009954254705,
    "dE/dW1[1,1]": 0.000438567734, "dE/dW1[1,2]": 0.000877135469,
    "dE/dW1[2,1]": 0.000497712735, "dE/dW1[2,2]": 0.000995425471,
    "W1[1,1]": 0.149780716133, "W1[1,2]": 0.199561432266,
    "W1[2,1]": 0.249751143632, "W1[2,2]": 0.299502287265,
    "W2[1,1]": 0.358916479718, "W2[1,2]": 0.408666186076,
    "W2[2,1]": 0.511301270239, "W2[2,2]": 0.561370121108,
    "b1": 0.35, "b2": 0.6, "E afterwards": 0.291027773694,
}  # fmt: skip


@pytest.fixture(scope="module")
def mazur():
    return worked.load("mazur")


def values(net):
    return {row.name: row.value for row in worked.work(net).rows}


def test_mazur(mazur):
    found = values(mazur)
    for name, value in TABLE.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize(
    ("change", "loss"),
    [
        ({"steps": 2}, 0.283547133122),
        ({"steps": 100}, 0.0200468282494),
        ({"order": "output_first"}, 0.291027923905),  # published, and no gradient
        ({"frozen": (), "biases": ((0.35, 0.35), (0.6, 0.6))}, 0.280471446791),
        ({"frozen": ()}, 0.285750886699),  # one bias a layer
    ],
)
def test_variants_of_mazur(mazur, change, loss):
    found = worked.work(replace(mazur, **change)).loss_after
    assert found == pytest.approx(loss, abs=1e-12)


def test_four_layers():
    found = values(worked.load("four_layers"))
    known = {
        "z1[1]": 0.4, "z1[2]": 0.9, "a1[1]": 0.598687660112, "a1[2]": 0.710949502625,
        "z2[1]": 0.502058666536, "z2[2]": 0.863986099084, "a2[1]": 0.622943003374,
        "a2[2]": 0.703492791358, "a3[1]": 0.733567176502, "E": 0.035493224719,
        "dE/dW3[1,1]": -0.1659724633, "dE/dW3[1,2]": -0.1874335707,
        "dE/dW2[1,1]": -0.0187332597, "dE/dW2[1,2]": -0.0222459933,
        "dE/dW2[2,1]": -0.0199633855, "dE/dW2[2,2]": -0.0237067839,
        "dE/db1[1]": -0.0031552547, "dE/db1[2]": -0.0040270262,
    }  # fmt: skip
    for name, value in known.items():
        digits = 1e-12 if "d" not in name else 1e-10
        assert found[name] == pytest.approx(value, abs=digits), name


JAX_ACTIVATIONS = {
    "linear": lambda z: z, "logistic": jax.nn.sigmoid, "relu": jax.nn.relu,
    "softmax": jax.nn.softmax, "softplus": jax.nn.softplus, "tanh": jnp.tanh,
}  # fmt: skip
JAX_LOSSES = {
    "half_squares": lambda y, t: ((y - t) ** 2).sum() / 2,
    "squares": lambda y, t: ((y - t) ** 2).sum(),
    "mean_squares": lambda y, t: ((y - t) ** 2).mean(),
    "absolute": lambda y, t: jnp.abs(y - t).sum(),
    "cross_entropy": lambda y, t: -(t * jnp.log(y)).sum(),
    "binary_cross_entropy": lambda y, t: (
        -(t * jnp.log(y) + (1 - t) * jnp.log(1 - y)).sum()
    ),
}
W1 = [[0.3, -0.2], [0.7, 0.1], [-0.5, 0.4]]
W2 = [[0.2, -0.6, 0.5], [0.1, 0.9, -0.3]]
PAIRS = [
    *((name, "squares") for name in JAX_ACTIVATIONS),
    *(("softmax", name) for name in JAX_LOSSES),
]


@pytest.mark.parametrize(("activation", "loss"), PAIRS)
def test_every_activation_and_loss_against_the_engine(activation, loss):
    inputs, targets, b1 = [1.5, -0.5], [0.0, 1.0], [0.1, -0.2, 0.3]
    net = worked.net(
        inputs=inputs, targets=targets, W1=W1, b1=b1, W2=W2,
        activation=["tanh", activation], loss=loss,
    )  # fmt: skip

    def f(w1, b1, w2):
        hidden = jnp.tanh(w1 @ jnp.array(inputs) + b1)
        y = JAX_ACTIVATIONS[activation](w2 @ hidden)
        return JAX_LOSSES[loss](y, jnp.array(targets))

    arrays = map(jnp.array, (W1, b1, W2))
    value, (w1_bar, b1_bar, w2_bar) = jaxbp.value_and_grad(f, (0, 1, 2))(*arrays)
    (step,) = worked.work(net).steps
    first, second = step.layers
    assert step.loss == pytest.approx(float(value), rel=1e-13)
    pairs = (first.W_bar, w1_bar), (first.b_bar, b1_bar), (second.W_bar, w2_bar)
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_functions_of_your_own():
    def cubed(zs):
        return [z**3 for z in zs]

    def largest(outputs, targets):
        return abs(outputs[0] - targets[0]) + 2 * abs(outputs[1] - targets[1])

    net = worked.net(
        inputs=[2.0], targets=[0.0, 0.0], W1=[[1.0], [0.5]], activation=cubed,
        loss=largest,
    )  # fmt: skip
    found = values(net)
    assert found["E"] == 8 + 2 * 1
    assert found["dE/dW1[1,1]"] == 3 * 2.0**2 * 2 and found["dE/dW1[2,1]"] == 2 * 3 * 2


@pytest.mark.parametrize("loss", [lambda y, t: y, lambda y, t: 3.0])
def test_a_loss_that_is_no_scalar(loss):
    net = worked.net(inputs=[1.0], targets=[0.0], W1=[[1.0]], loss=loss)
    with pytest.raises(InvalidArgument, match="`loss` must give one number, a Value"):
        worked.work(net)


def test_a_value_that_leaves_the_range():
    net = worked.net(
        inputs=[1.0], targets=[0.0], W1=[[-1.0]], activation="relu",
        loss="cross_entropy",
    )  # fmt: skip
    with pytest.raises(InvalidArgument, match="`log` must have a finite value"):
        worked.work(net)
    net = worked.net(inputs=[1e200], targets=[0.0], W1=[[1e200]])
    with pytest.raises(InvalidArgument, match=r"`z1\[1\]` must be finite, but is inf"):
        worked.work(net)
