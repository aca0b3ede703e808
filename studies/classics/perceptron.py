"""What can a perceptron not learn, and what do hidden units find that makes it easy?

Rosenblatt's rule corrects the weights after every wrong answer, w <- w + (t - y) x.
It ends if, and only if, a straight line parts the classes: AND and OR have one, XOR
has none. A 2-4-1 tanh network trained by backpropagation solves XOR from every start;
what its hidden units make of the four inputs is then parted by a plane, and so by a
perceptron.

Source: Rosenblatt 1958, doi:10.1037/h0042519; Minsky and Papert 1969, Perceptrons;
Rumelhart, Hinton and Williams 1986, doi:10.1038/323533a0.
Command: jaxbp classics perceptron
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxbp
from jaxbp import layers, problems, training
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import at_least, exactly
from jaxbp.study import plots

INPUTS, XOR = problems.xor(np.float64)
TARGETS = {"AND": np.array([0, 0, 0, 1]), "OR": np.array([0, 1, 1, 1]), "XOR": XOR}
EPOCHS, STARTS, UPDATES = 1000, 50, 500

MODEL = layers.mlp([2, 4, 1], activation="tanh")
f = layers.loss_fn(MODEL, layers.mean_squared_error)


def perceptron(inputs, targets, epochs=EPOCHS):
    """Weights with the bias last, from zero, and the epochs until the first without a
    correction; None if there was none."""
    with_one = np.column_stack([inputs, np.ones(len(inputs))])
    w = np.zeros(with_one.shape[1])
    for epoch in range(1, epochs + 1):
        corrections = 0
        for x, target in zip(with_one, targets, strict=True):
            wrong = target - (w @ x > 0)
            w = w + wrong * x
            corrections += abs(wrong)
        if not corrections:
            return w, epoch
    return w, None


@jax.jit
def train(key):
    """A network from one start: parameters and losses."""
    params = MODEL.init(key, jnp.float64)
    data = (INPUTS, 2.0 * XOR[:, None] - 1)
    rows = jnp.tile(jnp.arange(4, dtype=jnp.int32), (UPDATES, 1))
    by_engine = jaxbp.value_and_grad(f)
    return training.descend(by_engine, optax.sgd(0.1, 0.9), params, data, rows)


def hidden(params):
    """The four examples as the hidden units see them."""
    return np.tanh(INPUTS @ params[0]["W"] + params[0]["b"])


def compute(quick):
    numbers, lines = {}, {}
    for name, targets in TARGETS.items():
        lines[name], epochs = perceptron(INPUTS, targets)
        numbers[f"{name}: epochs until no correction"] = epochs or np.inf
    keys = jax.random.split(jax.random.key(0), STARTS)
    params, _ = jax.device_get(jax.vmap(train)(keys))
    starts = [jax.tree.map(lambda leaf, k=k: leaf[k], params) for k in range(STARTS)]
    right = [(MODEL.apply(p, INPUTS)[:, 0] > 0) == (XOR == 1) for p in starts]
    seen = [hidden(p) for p in starts]
    parted = [perceptron(h, XOR)[1] is not None for h in seen]
    numbers[f"XOR: starts of {STARTS} solved by 2-4-1"] = np.sum(np.all(right, axis=1))
    numbers["of these, hidden layers that a perceptron parts"] = np.sum(parted)
    return numbers, (lines, starts[0])


def draw(drawn, axes):
    lines, params = drawn
    marks = [("vermilion", "o"), ("blue", "s")]
    for axis, (name, targets) in zip(axes, TARGETS.items(), strict=False):
        scatter(axis, INPUTS, targets, marks)
        w = lines[name]
        ends = np.array([-0.4, 1.4])
        if name != "XOR":
            border = w[2] - midway(INPUTS @ w[:2] + w[2], targets)
            axis.plot(ends, -(border + w[0] * ends) / w[1], color=plots.INK)
        else:
            xy = np.stack(
                np.meshgrid(np.linspace(-0.4, 1.4), np.linspace(-0.4, 1.4)), -1
            )
            scores = np.asarray(MODEL.apply(params, xy))[..., 0]
            axis.contour(xy[..., 0], xy[..., 1], scores, [0], colors=plots.INK)
        how = "no line; the border of a 2-4-1 network" if name == "XOR" else "one line"
        axis.set(
            title=f"{name}: {how}", xlim=ends, ylim=ends, xticks=[0, 1], yticks=[0, 1]
        )
    as_seen(axes[3], hidden(params), marks)


def midway(scores, targets):
    """The score half way between the classes, where the border is drawn: the rule of
    the perceptron lets a point lie on it."""
    return (scores[targets == 0].max() + scores[targets == 1].min()) / 2


def as_seen(axis, seen, marks):
    """What the hidden units make of XOR, across the direction that a perceptron finds
    there: one line parts the classes. The other axis is the widest of the rest."""
    w, _ = perceptron(seen, XOR, epochs=1000)
    along = w[:-1] / np.linalg.norm(w[:-1])
    across = seen @ along
    rest = seen - seen.mean(0)
    rest = rest - np.outer(rest @ along, along)
    flat = np.stack([across, rest @ np.linalg.svd(rest)[2][0]], 1)
    scatter(axis, flat, XOR, marks)
    axis.axvline(midway(across, XOR), color=plots.INK)
    for point, x in zip(flat, INPUTS, strict=True):
        axis.annotate(
            f"{x[0]:g} {x[1]:g}", point, (0, 8), textcoords="offset points", ha="center"
        )
    axis.set(title="XOR as the hidden units see it: one line")
    axis.set(xlabel="along a perceptron's direction", ylabel="widest of the rest")
    axis.margins(0.25)


def scatter(axis, points, targets, marks):
    for cls, (colour, marker) in enumerate(marks):
        axis.plot(*points[targets == cls].T, marker, color=plots.COLOURS[colour],
                  markersize=9)  # fmt: skip


def answer(numbers):
    epochs = [numbers[f"{name}: epochs until no correction"] for name in TARGETS]
    solved = numbers[f"XOR: starts of {STARTS} solved by 2-4-1"]
    return (
        f"AND takes {epochs[0]:.0f} epochs, OR {epochs[1]:.0f}, XOR has no end. A "
        f"2-4-1 network solves XOR from {solved:.0f} of {STARTS} starts, and then a "
        "perceptron parts what its hidden units see."
    )


classic = Classic(
    file=__file__,
    text=__doc__,
    systems={
        17: "perceptron and its limit; XOR",
        22: "hidden units discover a representation",
    },
    compute=compute,
    known={
        "AND: epochs until no correction": exactly(6, "computed independently"),
        "OR: epochs until no correction": exactly(4, "computed independently"),
        "XOR: epochs until no correction": exactly(np.inf, "Minsky and Papert 1969"),
        f"XOR: starts of {STARTS} solved by 2-4-1": at_least(48),
        "of these, hidden layers that a perceptron parts": at_least(48),
    },
    draw=draw,
    answer=answer,
    panels=(2, 2),
    inches=(4.6, 3.7),
)

if __name__ == "__main__":
    run(classic)
