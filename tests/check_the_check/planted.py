"""Gradients with a usual mistake in them, given by hand or inside a custom rule."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp

MISTAKES = ("factor", "sign", "dropped", "shifted", "transposed")
# The least effect, over the leaf's largest entry, that is above the noise: of a wrong
# `grad` beside exact derivatives, and of a wrong rule beside f's values alone.
VISIBLE = {
    ("grad", "float64"): 1e-4, ("grad", "float32"): 9e-4,
    ("rule", "float64"): 1e-4, ("rule", "float32"): 5e-2,
}  # fmt: skip


def weighted(case):
    """The case as a real scalar function of its arguments, and its gradient."""

    def scalar(*args):
        total = 0.0
        for y in jax.tree.leaves(case.f(*args)):
            weights = np.cos(2 * np.arange(y.size) + 1).reshape(y.shape)
            terms = jnp.real(y) if jnp.iscomplexobj(y) else y
            total += jnp.sum(terms.astype(float) * weights)
        return total

    return scalar


def plant(gradient, mistake, rng):
    """`gradient` with a mistake in one leaf; None if none of them shows it.

    Returns:
      (number of the leaf, array -> array, relative size of the effect).
    """
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(gradient)]
    for j in rng.permutation(len(leaves)):
        g = leaves[j]
        largest = np.abs(g).max(initial=0.0)
        if not np.isfinite(g).all() or largest == 0 or np.iscomplexobj(g):
            continue
        change = _change(g, mistake, rng)
        if change is None:
            continue
        effect = np.abs(np.asarray(change(g)) - g).max() / largest
        if effect > 0:
            return int(j), change, float(effect)
    return None


def _change(g, mistake, rng):
    if mistake == "factor":
        return lambda g: g * g.dtype.type(1 + 1e-3)
    if mistake == "sign":
        return lambda g: -g
    if mistake == "dropped":
        at = tuple(rng.integers(n) for n in g.shape)
        if g[at] == 0:
            at = np.unravel_index(int(np.argmax(np.abs(g))), g.shape)
        return lambda g: jnp.asarray(g).at[at].set(0)
    if mistake == "shifted" and g.ndim and max(g.shape) > 1:
        return lambda g: jnp.roll(g, 1, int(np.argmax(g.shape)))
    if mistake == "transposed" and g.ndim == 2 and min(g.shape) > 1:
        n = min(g.shape)
        return lambda g: jnp.asarray(g).at[:n, :n].set(jnp.asarray(g)[:n, :n].T)
    return None


def changed(gradient, j, change):
    leaves, treedef = jax.tree.flatten(gradient)
    leaves[j] = change(leaves[j])
    return jax.tree.unflatten(treedef, leaves)


def with_wrong_rule(f, j, change):
    """f with a custom_vjp whose backward rule makes the mistake."""

    @jax.custom_vjp
    def ruled(*args):
        return f(*args)

    def forward(*args):
        return f(*args), jax.grad(f, tuple(range(len(args))))(*args)

    def backward(gradient, y_bar):
        wrong = changed(gradient, j, change)
        return jax.tree.map(lambda g: g * y_bar.astype(g.dtype), wrong)

    ruled.defvjp(forward, backward)
    return ruled


class Planted(NamedTuple):
    """An error in a case.

    Fields:
      name: the mistake, where, and the relative size of its effect.
      kind: for the counts.
      check: () -> the Report of `jaxbp.check` on it.
    """

    name: str
    kind: str
    check: Callable


def error_in(case, rng):
    """One mistake in the gradient of `case`; None if it would be below the noise."""
    mistake = MISTAKES[rng.integers(len(MISTAKES))]
    how = ("grad", "rule")[rng.integers(2)]
    places = tuple(range(len(case.args))) if len(case.args) > 1 else 0
    f = weighted(case)
    derive = jax.jit(jax.grad(f, places))
    try:
        gradient = derive(*case.args)
    except Exception:  # a while_loop: JAX has no reverse mode of it
        return None
    found = plant(gradient, mistake, rng)
    dtypes = {str(x.dtype) for x in jax.tree.leaves(case.args)}
    coarsest = "float32" if dtypes & {"float32", "complex64"} else "float64"
    low = "bf16" in str(jax.make_jaxpr(case.f)(*case.args))
    if found is None or found[2] < VISIBLE[how, coarsest] or low:
        return None
    j, change, effect = found

    def check():
        if how == "grad":
            g = lambda *a: changed(derive(*a), j, change)  # noqa: E731
            return jaxbp.check(f, *case.args, grad=g, argnums=places, points=1)
        return jaxbp.check(with_wrong_rule(f, j, change), *case.args, points=1)

    kind = f"{mistake} in a {how}, {coarsest}"
    return Planted(f"{kind} (effect {effect:.1e})", kind, check)
