"""How many times at once a program runs: under `jax.vmap` once for each example."""

from collections.abc import Sequence

from .. import ir


def copies(values: Sequence) -> int:
    """The examples that `jax.vmap` makes of these, all its axes together; 1 where they
    are what they seem, and of what is mapped outside a `jax.jit`."""
    return max(map(_examples, values), default=1)


def _examples(value) -> int:
    count = 1
    while ir.is_tracer(value):
        inner = getattr(value, "val", None)
        if ir.is_batched(value) and isinstance(value.batch_dim, int):
            count *= inner.shape[value.batch_dim] if inner is not None else 1
        value = inner if inner is not None else getattr(value, "primal", None)
    return max(count, 1)
