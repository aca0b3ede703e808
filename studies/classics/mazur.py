"""Mazur's 2-2-2 example: which numbers are right, and where do the others come from?

Two inputs, two hidden and two output units, all logistic; E = E1 + E2 with
E_k = (t_k - y_k)^2 / 2; the biases are fixed. By the chain rule

    delta_k = dE/dnet_k = (y_k - t_k) y_k (1 - y_k)            dE/dW2_kj = delta_k h_j
    dE/dh_j = sum_k delta_k W2_kj: the effect on E1 and the effect on E2, added
    delta_j = dE/dh_j h_j (1 - h_j)                            dE/dW1_ji = delta_j x_i

The published loss after one update, .291027924, is not gradient descent's: there dE/dh
was taken with the W2 already updated. Both orders are run here. The effect on the loss
is small, and `jaxbp.check` refuses the wrong one all the same. Every number of the
example with how it is computed, as a handout: `jaxbp classics worked --net mazur`.

Source: https://mattmazur.com/2015/03/17/a-step-by-step-backpropagation-example/
Command: jaxbp classics mazur
"""

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp import layers
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import PUBLISHED, exactly, printed, within
from jaxbp.classics.networks import draw_network, signed
from jaxbp.study import plots

RATE = 0.5
INPUTS = np.array([0.05, 0.10])
TARGETS = np.array([0.01, 0.99])
PARAMS = {  # rows are units, columns what they read
    "W1": np.array([[0.15, 0.20], [0.25, 0.30]]),
    "b1": np.array([0.35, 0.35]),
    "W2": np.array([[0.40, 0.45], [0.50, 0.55]]),
    "b2": np.array([0.60, 0.60]),
}
WEIGHTS = ("W1", "W2")
STEPS = (1, 2, 10, 100, 1000, 10_000)

logistic = jax.nn.sigmoid


def forward(params):
    """Every value on the way to the loss."""
    net_h = params["W1"] @ INPUTS + params["b1"]
    out_h = logistic(net_h)
    net_o = params["W2"] @ out_h + params["b2"]
    out_o = logistic(net_o)
    errors = 0.5 * (out_o - TARGETS) ** 2
    return dict(net_h=net_h, out_h=out_h, net_o=net_o, out_o=out_o, errors=errors)


def loss(params):
    """E, the function that the witnesses differentiate."""
    return jnp.sum(forward(params)["errors"])


def backward(params, seen, W2_read):
    """Every error on the way back, dE/dh read through the weights `W2_read`."""
    h, y = seen["out_h"], seen["out_o"]
    delta_o = (y - TARGETS) * y * (1 - y)
    by_output = delta_o[:, None] * W2_read  # effect on E1, effect on E2
    h_bar = jnp.sum(by_output, axis=0)
    delta_h = h_bar * h * (1 - h)
    return dict(
        delta_o=delta_o,
        by_output=by_output,
        h_bar=h_bar,
        delta_h=delta_h,
        W1=jnp.outer(delta_h, INPUTS),
        b1=delta_h,
        W2=jnp.outer(delta_o, h),
        b2=delta_o,
    )


def gradient(params):
    """The gradient: every error is read through the weights that made it."""
    found = backward(params, forward(params), params["W2"])
    return {name: found[name] for name in params}


def published_gradient(params):
    """The circulating variant: W2 is updated first, and the errors read through it."""
    W2_updated = params["W2"] - RATE * gradient(params)["W2"]
    found = backward(params, forward(params), W2_updated)
    return {name: found[name] for name in params}


def train(gradient, steps, trained=WEIGHTS):
    """Losses (steps + 1,) before each update and after the last, and the parameters."""

    def update(params, _):
        grads = gradient(params)
        moved = {k: p - RATE * grads[k] for k, p in params.items() if k in trained}
        return params | moved, loss(params)

    start = jax.tree.map(jnp.asarray, PARAMS)
    params, losses = jax.lax.scan(update, start, length=steps)
    return jnp.append(losses, loss(params)), params


def shared_bias_gradient(params):
    """One bias a layer: its gradient is the sum over the layer's units."""
    grads = gradient(params)
    shared = {k: jnp.full(2, jnp.sum(grads[k])) for k in ("b1", "b2")}
    return grads | shared


def by_layers(params):
    """The gradient by the lab's dense and logistic layers, in their orientation."""
    model = layers.sequential(
        *(layers.dense(2, 2), layers.logistic, layers.dense(2, 2), layers.logistic)
    )
    ours = tuple({"W": params[f"W{k}"].T, "b": params[f"b{k}"]} for k in (1, 2))
    own = (ours[0], {}, ours[1], {})
    f = layers.value_and_grad(model, layers.half_sum_of_squares)
    _, bar = f(own, INPUTS, TARGETS)
    return {
        "W1": bar[0]["W"].T,
        "b1": bar[0]["b"],
        "W2": bar[2]["W"].T,
        "b2": bar[2]["b"],
    }


def compute(quick):
    params = jax.tree.map(jnp.asarray, PARAMS)
    seen = forward(params)
    back = backward(params, seen, params["W2"])
    steps = 1000 if quick else STEPS[-1]
    curves = {}
    curves["gradient"], after = train(gradient, steps)
    curves["published"], published_after = train(published_gradient, steps)
    numbers = values(seen, back)
    for order, losses in curves.items():
        numbers |= {f"E after {k}, {order}": losses[k] for k in STEPS if k <= steps}
    ends = {"gradient": forward(after), "published": forward(published_after)}
    for order, end in ends.items():
        numbers |= {
            f"out_o{k + 1} at the end, {order}": end["out_o"][k] for k in (0, 1)
        }
    biased = {"a bias each": gradient, "a bias a layer": shared_bias_gradient}
    for name, its_gradient in biased.items():
        numbers[f"E after 1, {name}"] = train(its_gradient, 1, tuple(PARAMS))[0][1]
    numbers |= witnesses(params)
    return numbers, (seen, back, curves)


def values(seen, back):
    """Everything the example prints, under the names it uses."""
    numbers = {}
    for layer, unit in (("h", 0), ("h", 1), ("o", 0), ("o", 1)):
        name = f"{layer}{unit + 1}"
        numbers[f"net_{name}"] = seen[f"net_{layer}"][unit]
        numbers[f"out_{name}"] = seen[f"out_{layer}"][unit]
        numbers[f"delta_{name}"] = back[f"delta_{layer}"][unit]
    for unit in (0, 1):
        numbers[f"E_o{unit + 1}"] = seen["errors"][unit]
        numbers[f"dE/dout_h{unit + 1}"] = back["h_bar"][unit]
        numbers[f"dE_o{unit + 1}/dout_h1"] = back["by_output"][unit, 0]
    numbers["E"] = seen["errors"].sum()
    slopes = np.concatenate([np.ravel(back[name]) for name in WEIGHTS])
    weights = np.concatenate([np.ravel(PARAMS[name]) for name in WEIGHTS])
    for k, (slope, weight) in enumerate(zip(slopes, weights, strict=True), 1):
        numbers |= {f"dE/dw{k}": slope, f"w{k} updated": weight - RATE * slope}
    return numbers


def witnesses(params):
    """Who agrees with whom."""
    by_hand = gradient(params)
    others = {
        "layers": by_layers(params),
        "engine": jaxbp.grad(loss)(params),
        "jax": jax.grad(loss)(params),
    }
    numbers = {
        f"largest difference from {name}": max(
            float(jnp.abs(other[k] - by_hand[k]).max()) for k in params
        )
        for name, other in others.items()
    }
    settings = dict(points=1, probes=4)
    numbers["check passes the gradient"] = bool(
        jaxbp.check(loss, params, grad=gradient, **settings)
    )
    numbers["check passes the published variant"] = bool(
        jaxbp.check(loss, params, grad=published_gradient, **settings)
    )
    return numbers


def draw(drawn, axes):
    seen, back, curves = drawn
    names = ("i1", "i2"), ("h1", "h2"), ("o1", "o2")
    numbers = INPUTS, np.asarray(seen["out_h"]), np.asarray(seen["out_o"])
    columns = list(zip(names, numbers, strict=True))
    weights = [PARAMS[name] for name in WEIGHTS]
    draw_network(
        axes[0], columns, weights, "forward: outputs on units, weights on edges"
    )
    deltas = np.asarray(back["delta_h"]), np.asarray(back["delta_o"])
    told = [
        [
            signed(f"{name}\ndelta {delta:.4f}")
            for name, delta in zip(unit, ds, strict=True)
        ]
        for unit, ds in zip(names[1:], deltas, strict=True)
    ]
    slopes = [np.asarray(back[name]) for name in WEIGHTS]
    columns = list(zip((names[0], *told), numbers, strict=True))
    title = "backward: deltas at units, dE/dw on edges"
    draw_network(axes[1], columns, slopes, title)
    draw_effects(axes[2], np.asarray(back["by_output"]))
    updates = np.arange(1, len(curves["gradient"]))
    gap = np.abs(np.asarray(curves["published"] / curves["gradient"] - 1))[1:]
    plots.line(axes[3], updates, gap, "", "black", marker="")
    plots.log_log(axes[3], "updates", "loss: |published / gradient descent − 1|")


def draw_effects(axis, effects):
    """dE_k/dout_h as bars for each hidden unit, and their sum."""
    bars = ("on E1", effects[0], "sky"), ("on E2", effects[1], "orange")
    bars = (*bars, ("sum", effects.sum(0), "grey"))
    for k, (name, heights, colour) in enumerate(bars):
        places = np.arange(2) + 0.3 * k
        axis.bar(places, heights, 0.28, color=plots.COLOURS[colour])
        for x, y in zip(places, heights, strict=True):
            offset, side = ((0, 3), "bottom") if y > 0 else ((0, -3), "top")
            told = signed(f"{name}\n{y:.4f}")
            axis.annotate(told, (x, y), offset, ha="center", va=side,
                          textcoords="offset points", fontsize=8)  # fmt: skip
    axis.set_xticks(np.arange(2) + 0.3, ["h1", "h2"])
    axis.set(title="effect of a hidden unit's output on the errors", ylim=(-0.04, 0.08))
    axis.axhline(0, color=plots.INK, linewidth=0.8)


def answer(numbers):
    return (
        f"One update by the gradient gives E = {numbers['E after 1, gradient']:.12f}; "
        f"the published {numbers['E after 1, published']:.9f} reads the hidden errors "
        "through weights already updated, and a gradient check flags it."
    )


KNOWN = {
    "net_h1": "0.377500000000", "net_h2": "0.392500000000",
    "out_h1": "0.593269992107", "out_h2": "0.596884378260",
    "net_o1": "1.105905967060", "net_o2": "1.224921404096",
    "out_o1": "0.751365069552", "out_o2": "0.772928465321",
    "E_o1": "0.274811083176", "E_o2": "0.023560025584", "E": "0.298371108760",
    "delta_o1": "0.138498561629", "delta_o2": "-0.038098236517",
    "dE/dw5": "0.082167040564", "dE/dw6": "0.082667627848",
    "dE/dw7": "-0.022602540477", "dE/dw8": "-0.022740242216",
    "dE_o1/dout_h1": "0.055399424651", "dE_o2/dout_h1": "-0.019049118258",
    "dE/dout_h1": "0.036350306393", "dE/dout_h2": "0.041370322649",
    "delta_h1": "0.008771354689", "delta_h2": "0.009954254705",
    "dE/dw1": "0.000438567734", "dE/dw2": "0.000877135469",
    "dE/dw3": "0.000497712735", "dE/dw4": "0.000995425471",
    "w1 updated": "0.149780716133", "w2 updated": "0.199561432266",
    "w3 updated": "0.249751143632", "w4 updated": "0.299502287265",
    "w5 updated": "0.358916479718", "w6 updated": "0.408666186076",
    "w7 updated": "0.511301270239", "w8 updated": "0.561370121108",
    "E after 1, gradient": "0.291027773694", "E after 2, gradient": "0.283547133122",
    "E after 10, gradient": "0.220918592054",
    "E after 100, gradient": "0.0200468282494",
    "E after 1000, gradient": "0.00111434945373",
    "E after 1, a bias each": "0.280471446791",
    "E after 1, a bias a layer": "0.285750886699",
}  # fmt: skip
AT_THE_END = {
    "E after 10000, gradient": printed("3.51018778298e-05"),
    "out_o1 at the end, gradient": printed("0.015913620444"),
    "out_o2 at the end, gradient": printed("0.984064273515"),
    "E after 10000, published": printed("0.000035085", PUBLISHED),
    "out_o1 at the end, published": printed("0.015912196", PUBLISHED),
    "out_o2 at the end, published": printed("0.984065734", PUBLISHED),
}
AGREED = "witnesses agree"

classic = Classic(
    file=__file__,
    text=__doc__,
    systems={
        5: "effect of a hidden weight on E1 and on E2, then the sum",
        9: "2-2-2 worked example (Mazur)",
        16: "two dictionaries, parameters and gradients",
    },
    compute=compute,
    known={
        **{name: printed(text) for name, text in KNOWN.items()},
        "E after 1, published": printed("0.291027924", PUBLISHED),
        **AT_THE_END,
        "largest difference from layers": within(0, 1e-15, AGREED),
        "largest difference from engine": within(0, 1e-15, AGREED),
        "largest difference from jax": within(0, 1e-15, AGREED),
        "check passes the gradient": exactly(1),
        "check passes the published variant": exactly(0),
    },
    quick_known=dict.fromkeys(AT_THE_END),
    draw=draw,
    answer=answer,
    panels=(2, 2),
    inches=(5.2, 3.6),
)

if __name__ == "__main__":
    run(classic)
