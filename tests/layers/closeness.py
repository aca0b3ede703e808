"""How the tests compare two pytrees, and how they difference a function."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbp.checks.closeness import largest_closeness

# What the layers promise: two orders of summation apart, no more.
TOLERANCE = {jnp.float64: 1e-12, jnp.float32: 1e-5}


def assert_close(got, want, tolerance):
    """Same structure, shapes and dtypes, and closeness of at most `tolerance`."""
    got_leaves = jax.tree_util.tree_leaves_with_path(got)
    want_leaves = jax.tree_util.tree_leaves_with_path(want)
    assert [p for p, _ in got_leaves] == [p for p, _ in want_leaves]
    for (path, x), (_, y) in zip(got_leaves, want_leaves, strict=True):
        where = jax.tree_util.keystr(path)
        assert (np.shape(x), x.dtype) == (np.shape(y), y.dtype), where
        gap, index = largest_closeness(x, y)
        assert gap <= tolerance, f"{where}{list(index)} differs by {gap:.1e}"


def central_gradient(function, params):
    """The gradient of a scalar function of a float64 pytree, entry by entry."""
    leaves, structure = jax.tree.flatten(params)
    leaves = [np.array(leaf) for leaf in leaves]
    function = jax.jit(function)

    def value(leaf, index, step):
        old = leaf[index]
        leaf[index] = old + step
        moved = structure.unflatten(
            [jnp.array(a.copy()) for a in leaves]
        )  # copied late
        leaf[index] = old
        return float(function(moved))

    # 1e-5 balances truncation (h^2) and rounding (eps/h): errors near 1e-10.
    slopes = [np.empty_like(leaf) for leaf in leaves]
    for leaf, slope in zip(leaves, slopes, strict=True):
        for index in np.ndindex(leaf.shape):
            ahead, behind = value(leaf, index, 1e-5), value(leaf, index, -1e-5)
            slope[index] = (ahead - behind) / 2e-5
    return structure.unflatten(slopes)
