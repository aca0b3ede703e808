"""Sequence tasks with a memory to keep, generated from a JAX key.

Source: adding and copying as in Hochreiter and Schmidhuber 1997,
doi:10.1162/neco.1997.9.8.1735, in the form of Arjovsky, Shah and Bengio 2016,
arXiv:1511.06464.
"""

import jax
import jax.numpy as jnp

from jaxbp.errors import InvalidArgument


def adding(
    key: jax.Array, count: int, length: int, dtype=jnp.float32
) -> tuple[jax.Array, jax.Array]:
    """Add the two marked numbers of a sequence.

    Args:
      key: a JAX random key.
      count: sequences.
      length: steps of each, at least 2.
      dtype: of inputs and targets.

    Returns:
      Inputs (count, length, 2): a number in [0, 1) and a mark that is 1 at two
      steps, one in each half. Targets (count,): the sum of the marked numbers;
      answering 1 always gives a mean squared error of 1/6.

    Raises:
      InvalidArgument: `length` < 2.
    """
    _require_at_least("length", length, 2)
    number_key, early_key, late_key = jax.random.split(key, 3)
    numbers = jax.random.uniform(number_key, (count, length), dtype)
    early = jax.random.randint(early_key, (count, 1), 0, length // 2)
    late = jax.random.randint(late_key, (count, 1), length // 2, length)
    step = jnp.arange(length)[None]
    marks = ((step == early) | (step == late)).astype(dtype)
    return jnp.stack([numbers, marks], axis=-1), jnp.sum(numbers * marks, axis=1)


def parity(
    key: jax.Array, count: int, length: int, dtype=jnp.float32
) -> tuple[jax.Array, jax.Array]:
    """Bits (count, length, 1) as 0.0 and 1.0; labels (count,) int32: odd number of 1s.

    Raises:
      InvalidArgument: `length` < 1.
    """
    _require_at_least("length", length, 1)
    bits = jax.random.bernoulli(key, shape=(count, length))
    labels = jnp.sum(bits, axis=1, dtype=jnp.int32) % 2
    return bits[:, :, None].astype(dtype), labels


def copy_memory(
    key: jax.Array, count: int, delay: int, symbols: int = 10, alphabet: int = 8
) -> tuple[jax.Array, jax.Array]:
    """Repeat the first symbols after a long pause.

    Args:
      key: a JAX random key.
      count: sequences.
      delay: blank steps between the last symbol and the signal to answer.
      symbols: how many to remember.
      alphabet: symbols are 1 to `alphabet`; 0 is blank, `alphabet` + 1 the signal.

    Returns:
      Tokens and targets, both (count, delay + 2 symbols) int32 below alphabet + 2.
      The target is blank but for the last `symbols` steps, which are the first
      tokens again; the signal stands at the first of them.

    Raises:
      InvalidArgument: `delay` < 0, or `symbols` or `alphabet` < 1.
    """
    _require_at_least("delay", delay, 0)
    _require_at_least("symbols", symbols, 1)
    _require_at_least("alphabet", alphabet, 1)
    memory = jax.random.randint(key, (count, symbols), 1, alphabet + 1, jnp.int32)
    blank = jnp.zeros((count, delay + symbols), jnp.int32)
    tokens = jnp.concatenate([memory, blank], axis=1)
    tokens = tokens.at[:, symbols + delay].set(alphabet + 1)
    return tokens, jnp.concatenate([blank, memory], axis=1)


def _require_at_least(name, value, least):
    if value < least:
        raise InvalidArgument(f"`{name}` must be at least {least} but is {value}.")
