"""Static backpropagation reads digits: is a small network right, saved and read again?

Images of 8x8 pixels, a 64-32-10 network of 2,410 parameters, softmax cross-entropy; the
output for an image depends on this image alone, hence "static". The network is trained
by the lab's loop, saved to a file, and the file alone predicts the test images.

Source: Alpaydin and Kaynak 1998, doi:10.24432/C50P49; Rumelhart, Hinton and Williams
1986, doi:10.1038/323533a0.
Command: jaxbp classics character_recognition
"""

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxbp import layers, problems, training
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import at_least, exactly
from jaxbp.study import plots

SEEDS = range(5)
RECIPES = {  # activation and optimiser; first weights He after relu, else Xavier
    "relu, momentum": ("relu", optax.sgd(0.05, 0.9)),
    "tanh, momentum": ("tanh", optax.sgd(0.05, 0.9)),
    "logistic, momentum": ("logistic", optax.sgd(0.05, 0.9)),
    "tanh, Adam": ("tanh", optax.adam(1e-3)),
}


def by_recipe(activation, optimizer, epochs):
    """Test accuracies (seeds,) of networks trained side by side."""
    model = layers.mlp([64, 32, 10], activation=activation)
    by_hand = layers.value_and_grad(model, layers.softmax_cross_entropy)

    def one(key, split):
        first, order = jax.random.split(key)
        rows = training.batch_rows(order, len(split.train.inputs), 32, epochs)
        params = model.init(first, jnp.float64)
        params, _ = training.descend(by_hand, optimizer, params, split.train, rows)
        scores = model.apply(params, split.test.inputs)
        return training.accuracy(scores, split.test.targets)

    keys = jnp.stack([jax.random.key(seed) for seed in SEEDS])
    splits = problems.digits_of_seeds(SEEDS, dtype=np.float64)
    return np.asarray(jax.jit(jax.vmap(one))(keys, splits))


def saved_and_read_again(outcome_of, path):
    """An outcome whose network went through a file, and what the file predicts."""
    outcome = outcome_of(path)
    return outcome, training.predict_digits(path, outcome.split.test.inputs)


def compute(quick):
    epochs = 15 if quick else 50
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.safetensors"
        outcome, again = saved_and_read_again(
            lambda path: training.fit_digits("engine", 0, epochs, save=path), path
        )
    others = [training.fit_digits("engine", seed, epochs) for seed in SEEDS[1:]]
    right = [each.accuracy for each in (outcome, *others)]
    leaves = jax.tree.leaves(outcome.training.params)
    numbers = {
        "parameters": sum(leaf.size for leaf in leaves),
        "test accuracy, worst seed": min(right),
        "test accuracy, mean of 5 seeds": np.mean(right),
        "predictions that the saved file changes": np.sum(again != outcome.predicted),
    }
    for name, (activation, optimizer) in ({} if quick else RECIPES).items():
        numbers[f"{name}, worst seed"] = by_recipe(activation, optimizer, epochs).min()
    return numbers, (outcome, right)


def draw(drawn, axes):
    outcome, _ = drawn
    history = outcome.training.history
    epochs = np.arange(1, len(history["loss"]) + 1)
    for column, name, colour in (("loss", "train", "blue"),
                                 ("validation_loss", "test", "vermilion")):  # fmt: skip
        plots.line(axes[0], epochs, history[column], name, colour, marker="")
    axes[0].set(yscale="log", xlabel="epoch", title="loss")
    counts = outcome.confusion
    shown = np.where(np.eye(10, dtype=bool), 0, counts)
    axes[1].imshow(shown, cmap="Oranges")
    for (true, predicted), count in np.ndenumerate(counts):
        if count:
            ink = "white" if shown[true, predicted] > 0.6 * shown.max() else "black"
            style = dict(ha="center", va="center", fontsize=7.5, color=ink)
            axes[1].text(predicted, true, count, **style)
    axes[1].set(title="true digit (row), read as (column)", xticks=range(10),
                yticks=range(10))  # fmt: skip
    axes[1].grid(False)
    images, labels = outcome.split.test
    wrong = np.flatnonzero(outcome.predicted != labels)[:8]
    tiles = np.full((2 * 10, 4 * 10), np.nan)
    for k, row in enumerate(wrong):
        top, left = 10 * (k // 4), 10 * (k % 4)
        tiles[top : top + 8, left : left + 8] = images[row].reshape(8, 8)
        told = f"{labels[row]} read as {outcome.predicted[row]}"
        axes[2].text(
            left + 3.5, top + 8.7, told, ha="center", va="center", fontsize=7.5
        )
    axes[2].imshow(tiles, cmap="Greys")
    axes[2].set(title="images it misreads")
    axes[2].axis("off")


def answer(numbers):
    return (
        f"{numbers['test accuracy, mean of 5 seeds']:.3f} of the test images are right "
        f"in the mean of five seeds, {numbers['test accuracy, worst seed']:.3f} on the "
        f"worst; the saved file changes "
        f"{numbers['predictions that the saved file changes']:.0f} predictions."
    )


FULL = {f"{name}, worst seed": at_least(0.945) for name in RECIPES}

classic = Classic(
    file=__file__,
    text=__doc__,
    systems={2: "static backpropagation: optical character recognition"},
    compute=compute,
    known={
        "parameters": exactly(2410),
        "test accuracy, worst seed": at_least(0.95, "gate, every seed"),
        "predictions that the saved file changes": exactly(0),
        **FULL,
    },
    quick_known=dict.fromkeys(FULL) | {"test accuracy, worst seed": at_least(0.94)},
    draw=draw,
    answer=answer,
    panels=(1, 3),
    inches=(3.5, 3.4),
)

if __name__ == "__main__":
    run(classic)
