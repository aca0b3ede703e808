"""Examples in shuffled batches, gathered on the device inside the compiled loop."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from jaxbp.errors import InvalidArgument, ShapeMismatch, UnknownName, nearest

LastBatch = Literal["keep", "drop"]


class Batches(NamedTuple):
    """How an epoch walks over `count` examples.

    Attributes:
      count: examples in the data.
      size: examples a batch, at most `count`.
      shuffle: draw a new order every epoch, else keep the data's.
      last: an epoch's last batch when `size` does not divide `count`: "keep" makes a
        smaller batch of the rest, so that every example is seen once an epoch (its
        mean gradient is then a mean of fewer); "drop" leaves the rest out, other
        examples each epoch when shuffled.
    """

    count: int
    size: int
    shuffle: bool = True
    last: LastBatch = "keep"

    @property
    def full(self) -> int:
        """Batches of `size` examples in an epoch."""
        return self.count // self.size

    @property
    def rest(self) -> int:
        """Examples in the smaller last batch, 0 where there is none."""
        return self.count % self.size if self.last == "keep" else 0

    @property
    def steps(self) -> int:
        """Updates in an epoch."""
        return self.full + (self.rest > 0)

    @property
    def examples(self) -> int:
        """Examples that an epoch uses."""
        return self.full * self.size + self.rest


def plan_batches(
    data: Any, size: int | None, shuffle: bool, last: LastBatch
) -> Batches:
    """The `Batches` for `data`, checked; `size` None takes all examples at once.

    Raises:
      ShapeMismatch: the leaves of `data` differ in their number of examples.
      InvalidArgument: no examples, or a batch size outside 1 .. number of examples.
      UnknownName: `last` is neither "keep" nor "drop".
    """
    count = count_examples("data", data)
    size = count if size is None else size
    if isinstance(size, bool | float) or not 1 <= size <= count:
        raise InvalidArgument(
            f"`batch_size` must be from 1 to the number of examples, {count}, but is "
            f"{size}. None takes all of them."
        )
    if last not in get_args(LastBatch):
        hint = nearest(last, get_args(LastBatch))
        raise UnknownName(f"`last_batch` is `{last}`. {hint}")
    return Batches(count, size, shuffle, last)


def count_examples(name: str, data: Any) -> int:
    """The common length of the leading axes of `data`."""
    lengths = {
        jax.tree_util.keystr(where): jnp.shape(leaf)[:1]
        for where, leaf in jax.tree_util.tree_leaves_with_path(data)
    }
    if len(set(lengths.values())) != 1 or () in lengths.values():
        found = ", ".join(f"`{name}{k}` {v}" for k, v in lengths.items())
        raise ShapeMismatch(
            f"`{name}` must be arrays with one number of examples as leading axis, "
            f"but the leading axes are: {found or 'none, it is empty'}."
        )
    (count,) = next(iter(lengths.values()))
    if count == 0:
        raise InvalidArgument(f"`{name}` must have at least one example but has none.")
    return count


def epoch_rows(batches: Batches, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The rows of an epoch's batches: (full, size) and the rest (rest,), int32."""
    rows = jnp.arange(batches.count, dtype=jnp.int32)
    if batches.shuffle:
        rows = jax.random.permutation(key, rows)
    in_full = batches.full * batches.size
    full = rows[:in_full].reshape(batches.full, batches.size)
    return full, rows[in_full : in_full + batches.rest]


def take(data: Any, rows: jax.Array) -> Any:
    """The examples at `rows`, which must lie inside; a gather on the device."""
    return jax.tree.map(lambda x: x.at[rows].get(mode="promise_in_bounds"), data)


def slices(count: int, size: int) -> Iterator[slice]:
    """Consecutive slices of at most `size` that cover range(count)."""
    return (slice(start, start + size) for start in range(0, count, size))
