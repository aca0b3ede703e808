"""What computes traced numbers: how many operations, if all of them are cheap; and
whether sines are among them that had better be computed once.

JAX's tracers say what made them (`parent`); of one that does not, nothing is known.
"""

import math
from collections.abc import Sequence

from ..linear.for_cpu import for_cpu

MOST = 1 << 12  # operations that are looked at
CHEAP = frozenset(
    ("abs", "add", "add_any", "ge", "gt", "integer_pow", "le", "lt", "max", "min")
    + ("mul", "neg", "select_n", "sign", "square", "sub")
)
FREE = frozenset(
    ("broadcast_in_dim", "convert_element_type", "copy", "expand_dims", "iota")
    + ("reshape", "slice", "squeeze", "split", "unstack")
)
REPEATED = 1 << 13  # elements at which a function is computed anew, that cost a kernel
UNROLLED = 64  # elements of an innermost loop that is written out: no more is anew
MANY = 1 << 10  # elements that are computed one at a time, which cost a kernel
SUMMED = 64  # numbers that are added to one element of a long product of matrices,
LONG = 1 << 18  # if it multiplies so many
JOINED = frozenset(("cos", "sin"))  # XLA computes other functions apart by itself
FUSED = JOINED | CHEAP | FREE | {"div", "neg", "pad", "rev", "sqrt", "transpose"}


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


def kept(value, often: int, together: int):
    """The value, an array of its own where the pass that reads it would compute sines
    anew.

    Args:
      often: how many times in turn that pass reads each element.
      together: elements that it reads one after another each time; none where each
        is read many times in its innermost loop, before which it is computed alone.

    XLA for CPUs joins a sine with whatever reads it, behind `optimization_barrier` as
    well; a call that is not taken apart is what makes it compute them once.
    """
    size = getattr(value, "size", 0)
    if together:
        anew = (often - 1) * size >= REPEATED and together > UNROLLED
    else:
        anew = often * size >= MANY
    if not anew or not _has_sines(value):
        return value
    return for_cpu(_same, _same, value)


def again(value, often: int):
    """The value, an array of its own where so many passes that read it would compute
    sines anew, at all of its elements."""
    size = getattr(value, "size", 0)
    if (often - 1) * size < MANY or not _has_sines(value):
        return value
    return for_cpu(_same, _same, value)


def turned(value, order: Sequence[int]):
    """`value.transpose(order)`.

    Of a product of two matrices XLA makes that of both of them turned, which took up to
    four times as long (XLA for CPUs), where many products are summed. It is turned
    afterwards then, in a pass of its own.
    """
    if list(order) == [1, 0] and _is_long_product(value):
        return for_cpu(_transposed, _transposed, value)
    return value.transpose(order)


def _transposed(value):
    return value.T


def _is_long_product(value) -> bool:
    """Whether it is the product of two matrices, of long rows and columns, and worth a
    pass."""
    made = getattr(value, "parent", None)
    if made is None or made.primitive.name != "dot_general":
        return False
    (contracted, _), (batch, _) = made.params["dimension_numbers"]
    shape = made.in_tracers[0].aval.shape
    count = math.prod([shape[axis] for axis in contracted])
    return not batch and count >= SUMMED and count * value.size >= LONG


def _same(value):
    return value


def _has_sines(value) -> bool:
    """Whether a sine stands between a value and what is an array anyway, such as a
    product of matrices."""
    seen, left = set(), [value]
    while left and len(seen) <= MOST:
        made = getattr(left.pop(), "parent", None)
        if made is None or id(made) in seen:
            continue
        seen.add(id(made))
        name = made.primitive.name
        inside = {name}
        if name == "jit":
            inside = {one.primitive.name for one in made.params["jaxpr"].eqns}
        if inside & JOINED:
            return True
        if inside <= FUSED:
            left += made.in_tracers
    return False


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
