"""A 4-2-2-1 network in index form and in matrix form: are they the same?

    index                                  matrix
    z_i = b_i + sum_j W_ij a_j             z = W a + b
    a_i = s(z_i), s the logistic           a = s(z)
    delta_i = s'(z_i) sum_k W_ki delta_k   delta = s'(z) * (W^T delta_above)
    dC/dW_ij = delta_i a_j                 dC/dW = delta a^T
    dC/db_i = delta_i                      dC/db = delta

The last layer is linear, with output s and C = (s - t)^2 / 2. The loops on the left are
written out in Python, the products on the right are one line each. Every number with
how it is computed, as a handout: `jaxbp classics worked --net four_layers`.

Source: layers and letters (x, z2, a2, z3, a3, s, C) as in S. Kostadinov,
"Understanding Backpropagation Algorithm", 2019.
Command: jaxbp classics index_and_matrix
"""

import math

import jax
import numpy as np

import jaxbp
from jaxbp import layers
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import printed, within
from jaxbp.classics.networks import draw_network, signed

X, TARGET = np.array([0.1, 0.2, 0.3, 0.4]), 1.0
PARAMS = {
    "W1": np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]),
    "b1": np.array([0.1, 0.2]),
    "W2": np.array([[0.1, 0.2], [0.3, 0.4]]),
    "b2": np.array([0.3, 0.4]),
    "W3": np.array([[0.5, 0.6]]),
}


def sigma(z):
    return 1 / (1 + np.exp(-z))


def matrix_form(p):
    """Values on the way to the cost, then the gradient, by products of matrices."""
    z2 = p["W1"] @ X + p["b1"]
    a2 = sigma(z2)
    z3 = p["W2"] @ a2 + p["b2"]
    a3 = sigma(z3)
    s = p["W3"] @ a3
    delta4 = s - TARGET
    delta3 = a3 * (1 - a3) * (p["W3"].T @ delta4)
    delta2 = a2 * (1 - a2) * (p["W2"].T @ delta3)
    grads = {
        "W1": np.outer(delta2, X), "b1": delta2,
        "W2": np.outer(delta3, a2), "b2": delta3,
        "W3": np.outer(delta4, a3),
    }  # fmt: skip
    cost = 0.5 * np.sum(delta4**2)
    return {"z2": z2, "a2": a2, "z3": z3, "a3": a3, "s": s, "C": cost}, grads


def index_form(p):
    """The same by loops over units and weights, one number at a time."""
    a = [list(X)]
    for W, b in ((p["W1"], p["b1"]), (p["W2"], p["b2"])):
        z = [b[i] + math.fsum(W[i, j] * a[-1][j] for j in range(len(a[-1])))
             for i in range(len(b))]  # fmt: skip
        a.append([1 / (1 + math.exp(-z_i)) for z_i in z])
    s = sum(p["W3"][0, j] * a[2][j] for j in range(2))
    delta = [s - TARGET]
    grads = {"W3": [[delta[0] * a[2][j] for j in range(2)]]}
    for layer, above in (("2", "W3"), ("1", "W2")):
        here, below = a[int(layer)], a[int(layer) - 1]
        delta = [
            here[i]
            * (1 - here[i])
            * sum(p[above][k, i] * d for k, d in enumerate(delta))
            for i in range(2)
        ]
        grads["b" + layer] = delta
        grads["W" + layer] = [[d * a_j for a_j in below] for d in delta]
    return {name: np.array(grad) for name, grad in grads.items()}


def by_layers(p):
    """The same by the lab's layers, whose weights are (in, out)."""
    model = layers.sequential(
        *(layers.dense(4, 2), layers.logistic, layers.dense(2, 2), layers.logistic),
        layers.dense(2, 1, biases=None),
    )
    one, two, three = ({"W": p[f"W{k}"].T} for k in (1, 2, 3))
    own = (one | {"b": p["b1"]}, {}, two | {"b": p["b2"]}, {}, three)
    f = layers.loss_fn(model, layers.half_sum_of_squares)
    hand = layers.value_and_grad(model, layers.half_sum_of_squares)

    def back(grads):
        turned = {f"W{k + 1}": grads[2 * k]["W"].T for k in range(3)}
        return turned | {f"b{k + 1}": grads[2 * k]["b"] for k in range(2)}

    data = (X, np.array([TARGET]))
    found = jax.jit(lambda p: (hand(p, *data)[1], jaxbp.grad(f)(p, *data)))(own)
    return {"layers": back(found[0]), "engine": back(found[1])}


def difference(one, other):
    return max(np.abs(np.asarray(one[k]) - other[k]).max() for k in one)


def compute(quick):
    seen, grads = matrix_form(PARAMS)
    numbers = {}
    for name, value in {**seen, **{f"d{k}": g for k, g in grads.items()}}.items():
        flat = np.ravel(value)
        many = flat.size > 1
        numbers |= {f"{name}[{i}]" if many else name: v for i, v in enumerate(flat)}
    numbers["loops against matrices"] = difference(grads, index_form(PARAMS))
    for witness, found in by_layers(PARAMS).items():
        numbers[f"{witness} against matrices"] = difference(grads, found)
    return numbers, (seen, grads)


def draw(drawn, axes):
    seen, grads = drawn
    values = {"x": X, "a2": seen["a2"], "a3": seen["a3"], "s": seen["s"]}
    names = {c: [f"{c}[{k}]" for k in range(len(v))] for c, v in values.items()}
    weights = ("W1", "W2", "W3")
    forward = [(names[c], values[c]) for c in values]
    title = "forward: values on units, weights on edges"
    draw_network(axes[0], forward, [PARAMS[w] for w in weights], title)
    for column, bias in (("a2", "b1"), ("a3", "b2")):
        told = zip(names[column], grads[bias], strict=True)
        names[column] = [signed(f"{name}\ndb {slope:.2g}") for name, slope in told]
    backward = [(names[c], values[c]) for c in values]
    title = "backward: dC/dW on edges, dC/db at units"
    draw_network(axes[1], backward, [grads[w] for w in weights], title, digits=2)


def answer(numbers):
    gap = numbers["loops against matrices"]
    return (
        f"s = {numbers['s']:.12f} and C = {numbers['C']:.12f}; loops and matrices "
        f"differ by {gap:.0e} at most, layers and engine by no more."
    )


GOLDEN = {
    "z2": ".4 .9", "a2": ".598687660112 .710949502625",
    "z3": ".502058666536 .863986099084", "a3": ".622943003374 .703492791358",
    "s": ".733567176502", "C": ".035493224719", "dW3": "-.1659724633 -.1874335707",
    "dW2": "-.0187332597 -.0222459933 -.0199633855 -.0237067839",
    "db1": "-.0031552547 -.0040270262",
}  # fmt: skip
KNOWN = {
    f"{name}[{i}]" if " " in row else name: printed(text)
    for name, row in GOLDEN.items()
    for i, text in enumerate(row.split())
}
KNOWN |= {
    f"{who} against matrices": within(0, 1e-14, "witnesses agree")
    for who in ("loops", "layers", "engine")
}
for k, text in enumerate((".4", ".9")):
    KNOWN[f"z2[{k}]"] = within(float(text), 1e-12)

classic = Classic(
    file=__file__,
    text=__doc__,
    systems={11: "4-layer network in index form and in matrix form"},
    compute=compute,
    known=KNOWN,
    draw=draw,
    answer=answer,
    panels=(1, 2),
    inches=(5.7, 4.6),
)

if __name__ == "__main__":
    run(classic)
