"""What a run is at the end of an epoch: all that is needed to go on bit for bit."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from jaxbp.errors import InvalidArgument


class EarlyStopping(NamedTuple):
    """End a run whose validation no longer improves, and keep its best parameters.

    Attributes:
      patience: epochs without improvement after which the run ends.
      monitor: the history column watched.
      maximise: whether larger is better, as for an accuracy.
    """

    patience: int
    monitor: str = "validation_loss"
    maximise: bool = False


class Best(NamedTuple):
    """The best epoch so far: its parameters, its monitored value, its number."""

    params: Any
    value: jax.Array
    epoch: jax.Array


class TrainingState(NamedTuple):
    """The state between two epochs.

    Attributes:
      params, optimizer_state: pytrees of arrays.
      key: the run's random key; epoch k draws from `fold_in(key, k)`, so the key
        never changes and any epoch can be redone.
      epoch: () int32, epochs finished.
      best: kept only under early stopping, else None.
    """

    params: Any
    optimizer_state: Any
    key: jax.Array
    epoch: jax.Array
    best: Best | None = None


def initial_state(
    params: Any,
    optimizer: optax.GradientTransformation,
    key: jax.Array | int,
    stopping: EarlyStopping | None = None,
) -> TrainingState:
    """The state before the first epoch. An integer `key` is a seed.

    Raises:
      InvalidArgument: `key` is neither a seed nor a key.
    """
    params = jax.tree.map(strongly_typed, params)
    with jax.numpy_dtype_promotion("standard"):
        optimizer_state = jax.tree.map(strongly_typed, optimizer.init(params))
    key = as_key(key)
    epoch = jnp.zeros((), jnp.int32)
    best = None
    if stopping:
        worst = -jnp.inf if stopping.maximise else jnp.inf
        best = Best(params, jnp.asarray(worst, float), epoch)
    return TrainingState(params, optimizer_state, key, epoch, best)


def as_key(key) -> jax.Array:
    """The key of a seed, or the key itself."""
    if isinstance(key, int | np.integer):
        return jax.random.key(int(key))
    try:
        jax.random.key_data(key)
    except TypeError:
        raise InvalidArgument(
            "`key` must be a seed, a whole number, or what `jax.random.key` gives, "
            f"but is {key!r}."
        ) from None
    return key


def strongly_typed(leaf: Any) -> jax.Array:
    """`leaf` as an array whose dtype no later operation changes."""
    array = jnp.asarray(leaf)
    weak = getattr(array, "weak_type", False)  # typed keys have no such attribute
    return lax.convert_element_type(array, array.dtype) if weak else array


def better_of(
    best: Best, params: Any, value: jax.Array, epoch: jax.Array, maximise: bool
) -> Best:
    """`best`, or the new epoch where its value is strictly better; NaN never is."""
    value = value.astype(best.value.dtype)
    better = value > best.value if maximise else value < best.value
    return lax.cond(better, lambda: Best(params, value, epoch), lambda: best)


def is_exhausted(
    state: TrainingState, stopping: EarlyStopping | None
) -> jax.Array | bool:
    """Whether the patience of `stopping` is used up."""
    if stopping is None or state.best is None:
        return False
    return state.epoch - state.best.epoch >= stopping.patience
