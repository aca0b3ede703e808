"""A five-layer network of which two layers learn: does XOR come out?

Before all layers could be trained, some were left as they were drawn: here the
layers 2-8-8-8-1 are random and tanh, and only the last two change. What the lower ones
make of the inputs is fixed; it is enough if the upper ones can part it. Frozen layers
must come out of the training bit for bit as they went in.

Source: Amari 1967, doi:10.1109/PGEC.1967.264666, with five layers of which two are
modifiable, as told by Schmidhuber 2022, arXiv:2212.11279.
Command: jaxbp classics amari
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
STARTS, UPDATES = 20, 300

LOWER = layers.mlp([2, 8, 8], activation="tanh", weights=layers.normal(1.0))
UPPER = layers.mlp([8, 8, 1], activation="tanh", weights=layers.normal(0.5))


def loss(upper, lower, x, targets):
    features = jnp.tanh(LOWER.apply(lower, x))
    return layers.mean_squared_error.apply(UPPER.apply(upper, features), targets)


@jax.jit
def train(keys):
    """Outputs, losses, and both layers before and after, of every start."""
    rows = jnp.tile(jnp.arange(4, dtype=jnp.int32), (UPDATES, 1))
    data = (INPUTS, 2.0 * XOR[:, None] - 1)

    def one(key):
        lower_key, upper_key = jax.random.split(key)
        before = {
            "lower": LOWER.init(lower_key, jnp.float64),
            "upper": UPPER.init(upper_key, jnp.float64),
        }

        def frozen(params, x, targets):
            """The gradient by the upper layers; none by the lower ones."""
            value, grads = jaxbp.value_and_grad(loss)(
                params["upper"], params["lower"], x, targets
            )
            still = jax.tree.map(jnp.zeros_like, params["lower"])
            return value, {"lower": still, "upper": grads}

        after, losses = training.descend(
            frozen, optax.sgd(0.1, 0.9), before, data, rows
        )
        features = jnp.tanh(LOWER.apply(after["lower"], INPUTS))
        return UPPER.apply(after["upper"], features)[:, 0], losses, before, after

    return jax.vmap(one)(keys)


def compute(quick):
    keys = jax.random.split(jax.random.key(0), STARTS)
    outputs, losses, before, after = jax.device_get(train(keys))
    changed = {
        part: sum(
            np.sum(old != new)
            for old, new in zip(
                jax.tree.leaves(before[part]), jax.tree.leaves(after[part]), strict=True
            )
        )
        for part in ("lower", "upper")
    }
    solved = np.all((outputs > 0) == (XOR == 1), axis=1)
    numbers = {
        f"starts of {STARTS} solved": solved.sum(),
        "numbers changed in the frozen layers": changed["lower"],
        "numbers changed in the modifiable layers": changed["upper"],
    }
    return numbers, losses


def draw(losses, axes):
    axes[0].plot(losses.T, color=plots.COLOURS["blue"], alpha=0.4, linewidth=1)
    axes[0].set(yscale="log", xlabel="updates", title=f"loss of {STARTS} starts")


def answer(numbers):
    return (
        f"{numbers[f'starts of {STARTS} solved']:.0f} of {STARTS} starts solve XOR "
        f"with two of the layers learning; of the frozen ones "
        f"{numbers['numbers changed in the frozen layers']:.0f} numbers changed."
    )


classic = Classic(
    file=__file__,
    text=__doc__,
    systems={23: "five-layer net with two modifiable layers (Amari 1967)"},
    compute=compute,
    known={
        f"starts of {STARTS} solved": at_least(19),
        "numbers changed in the frozen layers": exactly(0),
        "numbers changed in the modifiable layers": at_least(1, "they learn"),
    },
    draw=draw,
    answer=answer,
    inches=(6.4, 4.0),
)

if __name__ == "__main__":
    run(classic)
