"""Every loss of the installed optax, and gradients through optimizers that run."""

import inspect

import jax
import jax.numpy as jnp
import optax
import pytest

from tests.ecosystem.agreement import agree, is_floating

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated")

X = jnp.array([[0.2, 0.7, 0.4], [0.6, 0.3, 0.5]])
Y = jnp.array([[0.5, 0.1, 0.3], [0.3, 0.8, 0.2]])
LABELS = jnp.array([2, 0])
ARGUMENTS = [
    (X, Y),
    (X, LABELS),
    (X, X * Y, Y),
    (X[:, None], jnp.zeros((2, 1)), LABELS[:, None], jnp.zeros((2, 1))),
    (X[:1], X[1:], LABELS[:1], 0.5),
    (X, LABELS, 0.3),
    (X, Y, 1.5),
    (X,),
    (X.T, Y.T, LABELS),
    (lambda x: x, X, Y),
]
LOSSES = sorted(
    name
    for name, loss in vars(optax.losses).items()
    if inspect.isfunction(loss) and not name.startswith("_")
)
NOT_LOSSES = {"make_fenchel_young_loss"}  # makes one


def arguments(loss):
    """The first of `ARGUMENTS` that the loss takes and gives floating numbers for."""
    for args in ARGUMENTS:
        try:
            value = loss(*args)
        except Exception:
            continue
        if any(map(is_floating, jax.tree.leaves(value))):
            return args
    raise AssertionError(f"none of the arguments here suits {loss}")


@pytest.mark.parametrize("name", [n for n in LOSSES if n not in NOT_LOSSES])
def test_loss(name):
    loss = getattr(optax.losses, name)
    agree(loss, *arguments(loss))


def test_fenchel_young_loss():
    loss = optax.losses.make_fenchel_young_loss(jax.nn.logsumexp)
    agree(loss, X, Y)


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "adagrad", "lion", "lamb"])
def test_meta_gradient(name):
    """Through four updates, by the start and the learning rate."""
    matrix = jnp.arange(16.0).reshape(4, 4) / 9 - 1

    def loss(w):
        return jnp.sum((matrix @ w - 1) ** 2) + jnp.sum(w**4) / 10

    def trained(w, learning_rate):
        optimizer = getattr(optax, name)(learning_rate)

        def step(carry, _):
            w, state = carry
            value, gradient = jax.value_and_grad(loss)(w)
            updates, state = optimizer.update(gradient, state, w)
            return (optax.apply_updates(w, updates), state), value

        (w, _), values = jax.lax.scan(step, (w, optimizer.init(w)), length=4)
        return w, values

    agree(trained, jnp.array([0.3, 0.5, -0.2, 0.8]), 0.05, order=1)
