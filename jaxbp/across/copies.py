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
        axis = getattr(value, "batch_dim", None)
        if inner is not None and isinstance(axis, int):
            count *= inner.shape[axis]
        value = inner if inner is not None else getattr(value, "primal", None)
    return max(count, 1)
