"""Does a bias folded into the weights, or a mean taken later, change a gradient?

Folded: append a fixed input 1, and W x + b is [W b] [x; 1]; the gradients are the same
numbers. Batches: the gradient of the mean loss is the mean of the examples' gradients,
so one example, a mini-batch and the whole set differ only in how noisy that mean is:
its deviation falls as 1/sqrt(batch), until the whole set has none.

Source: Rumelhart, Hinton and Williams 1986, doi:10.1038/323533a0 (biases, on-line and
batch updates).
Command: jaxbp classics bias_and_batches
"""

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp import layers, problems
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import between, exactly, within
from jaxbp.study import plots

HIDDEN = 32
SIZES = (1, 4, 16, 64, 256, 1024)
DRAWS = 64  # batches of each size

MODEL = layers.mlp([64, HIDDEN, 10], activation="tanh")
LOSS = layers.softmax_cross_entropy
f = layers.loss_fn(MODEL, LOSS)


def with_one(a):
    """[a; 1] for every row."""
    return jnp.concatenate([a, jnp.ones((*a.shape[:-1], 1))], -1)


def folded_loss(folded, x, labels):
    """The same network, its biases the last rows of the weights."""
    hidden = jnp.tanh(with_one(x) @ folded["W1"])
    return LOSS.apply(with_one(hidden) @ folded["W2"], labels)


def fold(params):
    rows = [jnp.concatenate([p["W"], p["b"][None]]) for p in (params[0], params[2])]
    return dict(zip(("W1", "W2"), rows, strict=True))


@jax.jit
def folded_layer(x, y_bar):
    """Largest difference that folding makes to a dense layer's own gradients, for
    each example with the same error y_bar behind the layer."""
    separate, folded = layers.dense(64, HIDDEN), layers.dense(65, HIDDEN, biases=None)
    params = separate.init(jax.random.key(0), jnp.float64)
    both = {"W": jnp.concatenate([params["W"], params["b"][None]])}

    def difference(x, y_bar):
        bars, _ = separate.backward(params, (x,), y_bar)
        folded_bar, _ = folded.backward(both, (with_one(x),), y_bar)
        rows = jnp.concatenate([bars["W"], bars["b"][None]])
        return jnp.abs(folded_bar["W"] - rows).max()

    return jax.vmap(difference)(x, y_bar).max()


@jax.jit
def gradients(params, x, labels):
    """Of the mean loss, of the folded network, and of every example."""
    one = lambda x, label: jaxbp.grad(f)(params, x[None], label[None])  # noqa: E731
    whole = jaxbp.grad(f)(params, x, labels)
    folded = jaxbp.grad(folded_loss)(fold(params), x, labels)
    return fold(whole), folded, fold_each(jax.vmap(one)(x, labels))


def fold_each(params):
    return jax.vmap(fold)(params)


def flat(tree, axes=1):
    """Leaves (n, ...) as one (n, size) array; (size,) without examples."""
    leaves = jax.tree.leaves(tree)
    return np.concatenate(
        [np.reshape(leaf, (*leaf.shape[:axes], -1)) for leaf in leaves], -1
    )


def compute(quick):
    x, labels = problems.digits(0, dtype=np.float64).train
    params = MODEL.init(jax.random.key(0), jnp.float64)
    whole, folded, each = jax.device_get(gradients(params, x, labels))
    each, mean = flat(each), flat(whole, 0)
    rng = np.random.default_rng(0)
    noise = {}
    for size in SIZES:
        rows = np.stack([rng.permutation(len(x))[:size] for _ in range(DRAWS)])
        errors = [np.linalg.norm(each[batch].mean(0) - mean) for batch in rows]
        noise[size] = np.mean(errors) / np.linalg.norm(mean)
    y_bar = rng.normal(size=(len(x), HIDDEN))
    numbers = {
        "folded minus separate, one layer": folded_layer(x, y_bar),
        "folded minus separate, largest": max(
            np.abs(folded[k] - whole[k]).max() for k in folded
        ),
        "mean of gradients minus gradient of the mean, largest": np.abs(
            each.mean(0) - mean
        ).max(),
    }
    numbers |= {f"relative noise, batch {size}": noise[size] for size in SIZES}
    numbers["noise of a batch of 4 over that of 16"] = noise[4] / noise[16]
    return numbers, noise


def draw(noise, axes):
    sizes = np.array(SIZES)
    plots.line(axes[0], sizes, list(noise.values()), "measured", "blue")
    ideal = noise[1] / np.sqrt(sizes)
    plots.line(axes[0], sizes, ideal, "1/sqrt(batch)", "grey", marker="", linestyle=":")
    title = "|batch gradient - whole gradient| / |whole gradient|"
    plots.log_log(axes[0], "examples in a batch, drawn without repetition", title)


def answer(numbers):
    folded = numbers["folded minus separate, one layer"]
    gap = numbers["mean of gradients minus gradient of the mean, largest"]
    one, many = (numbers[f"relative noise, batch {n}"] for n in (1, 256))
    return (
        f"A folded bias changes a gradient by exactly {folded:g}, the order of mean "
        f"and gradient by {gap:.0e}; the noise falls from {one:.1f} times the gradient "
        f"with one example to {many:.2f} with 256."
    )


classic = Classic(
    file=__file__,
    text=__doc__,
    systems={
        19: "bias as a weight on a fixed input 1",
        20: "one example, a mini-batch, the whole set",
    },
    compute=compute,
    known={
        "folded minus separate, one layer": exactly(0),
        "folded minus separate, largest": within(0, 1e-15, "algebra"),
        "mean of gradients minus gradient of the mean, largest": within(
            0, 1e-15, "algebra"
        ),
        "noise of a batch of 4 over that of 16": between(1.7, 2.3, "sqrt(16/4) = 2"),
    },
    draw=draw,
    answer=answer,
    inches=(7.0, 4.2),
)

if __name__ == "__main__":
    run(classic)
