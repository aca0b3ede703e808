"""Whether a planted error is above the noise, by what is known apart from the check.

Three facts, none of which is the check's: how large errors are planted at all; what
rounding does to the gradient; and whether the plainest central differences, by steps
of a few octaves, know the true slope to a part of the error.
"""

import jax
import jax.numpy as jnp
import numpy as np

from tests.fuzz.interpret import WIDE, evaluate

LEAST = {"float64": 1e-4, "float32": 9e-4}  # of a leaf's largest entry, to be planted
ABOVE = 30.0  # times what the gradient's, or a difference's, own error is
STEPS = 2.0 ** -np.arange(2, 12)  # of the size of what is moved
OCTAVES = 3  # of successive steps that must know


def gradient_error(derive, args, dtype):
    """By leaf what rounding does to a gradient; None if that is unknown.

    It is how far rounding every operation at random moves the gradient, and in float32
    how far it is from itself in 64-bit, if that is farther: one alone may be luck.

    Args:
      derive: args -> gradient. args: tuple of pytrees. dtype: "float32" or "float64".
    """
    try:
        program = jax.make_jaxpr(derive)(*args)
        flat = jax.tree.leaves(args)
        one = evaluate(program, flat)
        rounded = evaluate(program, flat, np.random.default_rng(0))
        wide = evaluate(program, flat, WIDE) if dtype == "float32" else one
    except Exception:  # an operation that has no 64-bit form of its own
        return None
    several = zip(one, wide, rounded, strict=True)
    return [max(_apart(a, b), _apart(a, c)) for a, b, c in several]


def _apart(a, b):
    return float(np.abs(np.asarray(a, b.dtype) - b).max(initial=0.0))


def values_know(f, args, j, member, slope, effect):
    """Whether differences of f's values tell the slope from one wrong by `effect`.

    Args:
      f: args -> real scalar. args: tuple of pytrees.
      j, member: number of the leaf, flat index of the element.
      slope, effect: the true derivative by it, and the error planted in it.
    """
    leaves, treedef = jax.tree.flatten(args)
    x = np.asarray(leaves[j])
    size = abs(float(x.ravel()[member])) or float(np.abs(x).max()) or 1.0
    known = []
    for step in STEPS * size:
        ends = []
        for sign in (1, -1):
            moved = x.copy().ravel()
            moved[member] += x.dtype.type(sign * step)
            leaves[j] = jnp.asarray(moved.reshape(x.shape))
            value = float(f(*jax.tree.unflatten(treedef, leaves)))
            ends.append((float(moved[member]), value))
        (a, fa), (b, fb) = ends
        with np.errstate(all="ignore"):
            gap = abs(np.float64(fa - fb) / np.float64(a - b) - slope)
        known.append(bool(ABOVE * gap <= effect))
    return any(all(known[k : k + OCTAVES]) for k in range(len(known) - OCTAVES + 1))
