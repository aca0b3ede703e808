"""What computes traced numbers: how many operations, if all of them are cheap.

JAX's tracers say what made them (`parent`); of one that does not, nothing is known.
"""

from collections.abc import Sequence

MOST = 1 << 12  # operations that are looked at
CHEAP = frozenset(
    ("abs", "add", "add_any", "ge", "gt", "integer_pow", "le", "lt", "max", "min")
    + ("mul", "neg", "select_n", "sign", "square", "sub")
)
FREE = frozenset(
    ("broadcast_in_dim", "convert_element_type", "copy", "expand_dims", "iota")
    + ("reshape", "slice", "squeeze", "split", "unstack")
)


def operations(values: Sequence) -> int | None:
    """The operations that all values together take, each counted once; None where one
    of them is more than a sum, a product or a choice, or where that is not known."""
    count, seen, left = 0, set(), [_inside(value) for value in values]
    while left:
        value = left.pop()
        made = getattr(value, "parent", None)
        if made is None or id(made) in seen:
            continue
        seen.add(id(made))
        own = _operations(made.primitive.name, made.params)
        if own is None or len(seen) > MOST:
            return None
        count += own
        left += map(_inside, made.in_tracers)
    return count


def _operations(name: str, params) -> int | None:
    if name in CHEAP or name in FREE:
        return int(name in CHEAP)
    if name != "jit":
        return None
    inside = [
        _operations(one.primitive.name, one.params) for one in params["jaxpr"].eqns
    ]
    return None if None in inside else sum(filter(None, inside))


def _inside(value):
    """The value that holds all examples of a `jax.vmap`."""
    while getattr(value, "batch_dim", None) is not None:
        value = value.val
    return value
