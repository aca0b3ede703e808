"""Four named stages: initialise, feed forward, backpropagate errors, update.

A trainer that has exactly these stages and nothing else, for logistic units and half
the sum of squares, on the four examples of XOR. Its errors are the gradient, as layers
and engine confirm. A stage is only as good as the slopes it is given: an activation
whose slope is missing is refused when it is made, one whose slope is wrong by a check.

Source: Fausett 1994, Fundamentals of Neural Networks, chapter 6 (the four stages).
Command: jaxbp classics four_stages
"""

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp import layers, problems
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import at_least, exactly, within
from jaxbp.errors import InvalidArgument
from jaxbp.study import plots

INPUTS, XOR = problems.xor(np.float64)
TARGETS = 1.0 * XOR[:, None]
HIDDEN, SEEDS, EPOCHS, RATE = 4, 5, 5000, 1.0
STARTS = {"zeros": layers.zeros, "normal 1": layers.normal(1.0)}


def initialise(key, start):
    """Stage 1: weights and biases."""
    first, second, third = jax.random.split(key, 3)
    return {
        "V": start(first, (2, HIDDEN), jnp.float64),
        "b": start(third, (HIDDEN,), jnp.float64),
        "W": start(second, (HIDDEN, 1), jnp.float64),
        "c": jnp.zeros(1),
    }


def feed_forward(params, x):
    """Stage 2: hidden units and outputs."""
    z = jax.nn.sigmoid(x @ params["V"] + params["b"][None])
    return z, jax.nn.sigmoid(z @ params["W"] + params["c"][None])


def backpropagate_errors(params, x, z, y, targets):
    """Stage 3: every unit's error, and from it the slope of the loss."""
    delta_y = (y - targets) * y * (1 - y)
    delta_z = (delta_y @ params["W"].T) * z * (1 - z)
    return {
        "V": x.T @ delta_z,
        "b": delta_z.sum(0),
        "W": z.T @ delta_y,
        "c": delta_y.sum(0),
    }


def update_weights_and_biases(params, slopes):
    """Stage 4."""
    return {name: params[name] - RATE * slopes[name] for name in params}


def train(key, start):
    """Outputs after training, and the loss before every update."""

    def epoch(params, _):
        z, y = feed_forward(params, INPUTS)
        slopes = backpropagate_errors(params, INPUTS, z, y, TARGETS)
        return update_weights_and_biases(params, slopes), 0.5 * jnp.sum(
            (y - TARGETS) ** 2
        )

    params, losses = jax.lax.scan(epoch, initialise(key, start), length=EPOCHS)
    return feed_forward(params, INPUTS)[1][:, 0], losses


def loss(params):
    return 0.5 * jnp.sum((feed_forward(params, INPUTS)[1] - TARGETS) ** 2)


@jax.jit
def measured(keys):
    params = initialise(keys[0], STARTS["normal 1"])
    slopes = backpropagate_errors(
        params, INPUTS, *feed_forward(params, INPUTS), TARGETS
    )
    engine = jaxbp.grad(loss)(params)
    gaps = jnp.stack([jnp.abs(slopes[k] - engine[k]).max() for k in params])
    runs = {n: jax.vmap(lambda k, s=s: train(k, s))(keys) for n, s in STARTS.items()}
    return gaps.max(), runs


def refused_without_slope():
    """Does an activation need its slope to be made?"""
    try:
        layers.elementwise("cube", lambda x: x**3)
    except InvalidArgument:
        return True
    return False


def check_passes(slope):
    """Does the check pass logistic units with this slope?"""
    unit = layers.elementwise("unit", jax.nn.sigmoid, slope_of_y=slope)
    model = layers.sequential(layers.dense(2, 3), unit, layers.dense(3, 1))
    params = model.init(jax.random.key(0), jnp.float64)
    f = layers.loss_fn(model, layers.half_sum_of_squares)
    by_hand = layers.value_and_grad(model, layers.half_sum_of_squares)
    grad = lambda params: by_hand(params, INPUTS, TARGETS)[1]  # noqa: E731
    plain = lambda params: f(params, INPUTS, TARGETS)  # noqa: E731
    return bool(jaxbp.check(plain, params, grad=grad, points=1, probes=4))


def compute(quick):
    keys = jax.random.split(jax.random.key(0), SEEDS)
    gap, runs = jax.device_get(measured(keys))
    numbers = {"stage 3 against the engine": gap}
    for name, (outputs, _) in runs.items():
        right = np.all((outputs > 0.5) == (XOR == 1), axis=1)
        numbers[f"seeds of {SEEDS} that learn, from {name}"] = right.sum()
    numbers["activation without slope refused"] = refused_without_slope()
    numbers["check passes the slope y (1 - y)"] = check_passes(lambda y: y * (1 - y))
    numbers["check passes the slope 1 - y^2"] = check_passes(lambda y: 1 - y * y)
    return numbers, runs


def draw(runs, axes):
    for name, colour in zip(STARTS, ("vermilion", "blue"), strict=True):
        _, losses = runs[name]
        axes[0].plot(losses.T, color=plots.COLOURS[colour], alpha=0.5, linewidth=1)
        end = [np.median(losses[:, -1])]
        plots.line(axes[0], [EPOCHS], end, f"from {name}", colour, marker="")
    title = f"loss of {SEEDS} seeds: equal weights never part"
    axes[0].set(yscale="log", xlabel="epoch", title=title)


def answer(numbers):
    seeds = [numbers[f"seeds of {SEEDS} that learn, from {name}"] for name in STARTS]
    return (
        f"From random weights {seeds[1]:.0f} of {SEEDS} seeds learn XOR, from zeros "
        f"{seeds[0]:.0f}. A missing slope is refused at once, a wrong one by the check."
    )


classic = Classic(
    file=__file__,
    text=__doc__,
    systems={6: "the four named stages of training"},
    compute=compute,
    known={
        "stage 3 against the engine": within(0, 1e-15, "witnesses agree"),
        f"seeds of {SEEDS} that learn, from zeros": exactly(0),
        f"seeds of {SEEDS} that learn, from normal 1": at_least(3),
        "activation without slope refused": exactly(1),
        "check passes the slope y (1 - y)": exactly(1),
        "check passes the slope 1 - y^2": exactly(0),
    },
    draw=draw,
    answer=answer,
    inches=(7.0, 4.2),
)

if __name__ == "__main__":
    run(classic)
