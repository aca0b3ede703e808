"""Is an error split by weights the gradient?

Some tutorials start from a network that only runs and make it learn by common sense:
each hidden unit receives the output errors in proportion to its weights,

    e_h = W2^T (y - t)     instead of     dE/dh = W2^T ((y - t) y (1 - y)),

with W2 already updated, and no slope of the output unit in either layer. It points
nearly where the gradient points, is several times longer, and learns; but it is the
gradient of nothing, and a check says so. Without activation, where every slope is 1,
the two are the same.

Source: T. Rashid, Make Your Own Neural Network, 2016 (splitting the error).
Command: jaxbp classics error_split
"""

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp import layers
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import SOUGHT, at_least, exactly, within
from jaxbp.study import plots

STARTS, POINTS, UPDATES, RATE = 200, 60, 400, 1.0
HIDDEN = 5
weights = layers.normal(1.0)
COSINE = f"cosine with the gradient, median of {STARTS}"
LENGTH = f"length over the gradient's, median of {STARTS}"


def two_clouds(key):
    """Points (n, 2) of two classes, and targets (n, 1) of 0 and 1."""
    targets = jnp.where(jnp.arange(POINTS) % 2, 1.0, 0.0)[:, None]
    cloud = jax.random.normal(key, (POINTS, 2)) * 0.7
    return cloud + (2 * targets - 1) * jnp.array([[1.0, 0.5]]), targets


def initial(key):
    first, second = jax.random.split(key)
    return {
        "W1": weights(first, (2, HIDDEN), jnp.float64),
        "b1": jnp.zeros(HIDDEN),
        "W2": weights(second, (HIDDEN, 1), jnp.float64),
        "b2": jnp.zeros(1),
    }


def run_only(params, x, act):
    """The network that only runs: hidden units and output."""
    h = act(x @ params["W1"] + params["b1"][None])
    return h, act(h @ params["W2"] + params["b2"][None])


def loss(params, x, targets, act=jax.nn.sigmoid):
    _, y = run_only(params, x, act)
    return 0.5 * jnp.mean(jnp.sum((y - targets) ** 2, axis=1))


def no_activation(z):
    return z


def by_splitting(params, x, targets, act=jax.nn.sigmoid):
    """The circulating update, as if it were a gradient."""
    h, y = run_only(params, x, act)
    slope = h * (1 - h) if act is jax.nn.sigmoid else jnp.ones_like(h)
    error = (y - targets) / len(x)
    W2_bar = h.T @ error
    W2_updated = params["W2"] - RATE * W2_bar
    W2_read = W2_updated if act is jax.nn.sigmoid else params["W2"]
    h_bar = (error @ W2_read.T) * slope
    return {"W1": x.T @ h_bar, "b1": h_bar.sum(0), "W2": W2_bar, "b2": error.sum(0)}


def by_gradient(params, x, targets):
    return jaxbp.grad(loss)(params, x, targets)


def flat(tree):
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def train(update, params, x, targets):
    """Losses (UPDATES,) and the last parameters."""

    def step(params, _):
        value, grads = loss(params, x, targets), update(params, x, targets)
        return jax.tree.map(lambda p, g: p - RATE * g, params, grads), value

    return jax.lax.scan(step, params, length=UPDATES)


@jax.jit
def compared(key):
    """Angle and length of the split error beside the gradient, for each part; without
    activation their difference; and both trainings."""
    data_key, start_key = jax.random.split(key)
    (x, targets), params = two_clouds(data_key), initial(start_key)
    split, grad = by_splitting(params, x, targets), by_gradient(params, x, targets)
    one, other = flat(split), flat(grad)
    norms = jnp.linalg.norm(one), jnp.linalg.norm(other)
    plain = by_splitting(params, x, targets, no_activation)
    linear = jaxbp.grad(lambda p: loss(p, x, targets, no_activation))(params)
    runs = [train(update, params, x, targets) for update in (by_gradient, by_splitting)]
    hits = [
        jnp.mean((run_only(p, x, jax.nn.sigmoid)[1] > 0.5) == (targets > 0.5))
        for p, _ in runs
    ]
    return {
        "cosine": one @ other / (norms[0] * norms[1]),
        "length": norms[0] / norms[1],
        "linear": jnp.abs(flat(plain) - flat(linear)).max(),
        "losses": jnp.stack([losses for _, losses in runs]),
        "hits": jnp.stack(hits),
    }, (x, targets, runs[0][0])


def compute(quick):
    keys = jax.random.split(jax.random.key(0), STARTS)
    found, shown = jax.device_get(jax.vmap(compared)(keys))
    numbers = {
        COSINE: np.median(found["cosine"]),
        LENGTH: np.median(found["length"]),
        "without activation: difference from the gradient": found["linear"].max(),
        "right after training, gradient": found["hits"][:, 0].mean(),
        "right after training, split error": found["hits"][:, 1].mean(),
    }
    x, targets = two_clouds(keys[0])
    params = initial(keys[1])
    for name, update in (
        ("the gradient", by_gradient),
        ("the split error", by_splitting),
    ):
        report = jaxbp.check(loss, params, x, targets, grad=update, points=1, probes=4)
        numbers[f"check passes {name}"] = bool(report)
    first = jax.tree.map(lambda leaf: leaf[0], shown)
    return numbers, (found, first)


def draw(drawn, axes):
    found, (x, targets, params) = drawn
    for k, (name, colour) in enumerate(
        (("gradient", "blue"), ("split error", "vermilion"))
    ):
        losses = np.median(found["losses"][:, k], axis=0)
        plots.line(axes[0], np.arange(UPDATES), losses, name, colour, marker="")
    axes[0].set(yscale="log", xlabel="updates", title="loss, the same rate for both")
    places = np.arange(1, STARTS + 1)
    plots.line(axes[1], places, np.sort(found["length"]), "", "vermilion", marker="")
    middle = np.median(found["cosine"])
    plots.note(axes[1], f"cosine with the gradient {middle:.3f}\n(the median)")
    title = "length over the gradient's"
    axes[1].set(title=title, xlabel="starts, sorted", yscale="log")
    axes[1].set_yticks([4, 5, 10, 20, 50, 100], ["4", "5", "10", "20", "50", "100"])
    axes[1].minorticks_off()
    sides = [np.linspace(x[:, k].min() - 0.3, x[:, k].max() + 0.3, 80) for k in (0, 1)]
    grid = np.stack(np.meshgrid(*sides), -1)
    params = jax.tree.map(np.asarray, params)
    h = 1 / (1 + np.exp(-(grid @ params["W1"] + params["b1"])))
    scores = (h @ params["W2"] + params["b2"])[..., 0]
    axes[2].contour(grid[..., 0], grid[..., 1], scores, [0], colors=plots.INK)
    for cls, colour, marker in ((0, "vermilion", "o"), (1, "blue", "s")):
        axes[2].plot(*x[targets[:, 0] == cls].T, marker, color=plots.COLOURS[colour])
    axes[2].set(title="two classes and the learnt border", xticks=[], yticks=[])


def answer(numbers):
    return (
        f"No: it has the cosine {numbers[COSINE]:.3f} with the gradient and "
        f"{numbers[LENGTH]:.1f} times its length, learns all the same, and a gradient "
        "check flags it. Without activation it is the gradient."
    )


classic = Classic(
    file=__file__,
    text=__doc__,
    systems={13: "first without, then with activation; an error split by weights"},
    compute=compute,
    known={
        COSINE: within(0.994, 0.003, SOUGHT),
        LENGTH: within(4.8, 0.5, SOUGHT),
        "without activation: difference from the gradient": within(0, 1e-15, "algebra"),
        "right after training, gradient": at_least(0.9),
        "right after training, split error": at_least(0.9),
        "check passes the gradient": exactly(1),
        "check passes the split error": exactly(0),
    },
    draw=draw,
    answer=answer,
    panels=(1, 3),
    inches=(3.5, 3.3),
)

if __name__ == "__main__":
    run(classic)
