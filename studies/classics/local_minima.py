"""Where does descent get stuck: does every start of a small XOR network arrive?

A 2-2-1 network of logistic units has just enough hidden units for XOR, and its error
surface has plateaus. Many starts are trained at once; a start is solved when all four
answers are right, and the others are looked at: where does their loss stand? With half
the mean of squares, a network that answers .5 to two of the examples and is right on
the others stands at (2 * .25)/(4 * 2) = .0625.

Source: Rumelhart, Hinton and Williams 1986 (local minima of XOR); the 2-2-1 surface:
Hamey 1998, doi:10.1016/S0893-6080(97)00134-2.
Command: jaxbp classics local_minima
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxbp
from jaxbp import layers, problems, training
from jaxbp.study import plots
from jaxbp.study.classic import Classic, run
from jaxbp.study.known import at_least, between

INPUTS, XOR = problems.xor(np.float64)
STARTS, UPDATES, RATE, MOMENTUM = 100, 4000, 2.0, 0.9

MODEL = layers.sequential(
    layers.mlp([2, 2, 1], activation="logistic", weights=layers.normal(1.0)),
    layers.logistic,
)


def loss(params, x, targets):
    """Half the mean of squares."""
    return 0.5 * layers.mean_squared_error.apply(MODEL.apply(params, x), targets)


@jax.jit
def train(keys):
    """Parameters and losses (starts, updates)."""
    rows = jnp.tile(jnp.arange(4, dtype=jnp.int32), (UPDATES, 1))
    data = (INPUTS, 1.0 * XOR[:, None])
    optimizer = optax.sgd(RATE, MOMENTUM)

    def one(key):
        params = MODEL.init(key, jnp.float64)
        step = jaxbp.value_and_grad(loss)
        params, losses = training.descend(step, optimizer, params, data, rows)
        return MODEL.apply(params, INPUTS)[:, 0], losses

    return jax.vmap(one)(keys)


def compute(quick):
    keys = jax.random.split(jax.random.key(0), STARTS)
    outputs, losses = jax.device_get(train(keys))
    solved = np.all((outputs > 0.5) == (XOR == 1), axis=1)
    stuck = losses[~solved, -1]
    numbers = {
        f"starts of {STARTS} solved": solved.sum(),
        "starts that stalled": len(stuck),
        "loss of those that stalled, median": np.median(stuck),
        "largest loss of those solved": losses[solved, -1].max(),
    }
    return numbers, (losses, solved)


def draw(drawn, axes):
    losses, solved = drawn
    updates = np.arange(1, UPDATES + 1)
    for chosen, colour in ((solved, "blue"), (~solved, "vermilion")):
        axes[0].plot(updates, losses[chosen].T, color=plots.COLOURS[colour], alpha=0.35,
                     linewidth=0.9)  # fmt: skip
    axes[0].axhline(0.0625, color=plots.INK, linestyle=":", linewidth=1)
    axes[0].annotate("1/16", (1, 0.0625), (0, -11), textcoords="offset points")
    plots.log_log(axes[0], "updates", "loss of each start: solved blue, stalled orange")
    last = np.log10(losses[:, -1])
    for chosen, colour, name in (
        (solved, "blue", "solved"),
        (~solved, "vermilion", "stalled"),
    ):
        axes[1].hist(
            last[chosen], bins=np.arange(-6, -0.4, 0.2), color=plots.COLOURS[colour]
        )
        told = f"{chosen.sum()} {name}"
        axes[1].text(
            np.median(last[chosen]), -4, told, color=plots.COLOURS[colour], ha="center"
        )
    axes[1].set(title="starts by their last loss", xlabel="log10 of the loss")
    axes[1].set_ylim(bottom=-7)


def answer(numbers):
    solved = numbers[f"starts of {STARTS} solved"]
    level = numbers["loss of those that stalled, median"]
    return (
        f"{solved:.0f} of {STARTS} starts solve XOR; the others stall at a loss of "
        f"{level:.4f}, near 1/16."
    )


classic = Classic(
    file=__file__,
    text=__doc__,
    systems={24: "local minima and plateaus"},
    compute=compute,
    known={
        f"starts of {STARTS} solved": at_least(55),
        "loss of those that stalled, median": between(0.060, 0.068),
    },
    draw=draw,
    answer=answer,
    panels=(1, 2),
)

if __name__ == "__main__":
    run(classic)
