"""Gradients with a usual mistake in them, given by hand or inside a custom rule."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from tests.check_the_check.visible import ABOVE, LEAST, gradient_error, values_know

MISTAKES = ("factor", "element", "sign", "dropped", "shifted", "transposed")


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
      (number of the leaf, array -> array, error by element).
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
        effect = np.abs(np.asarray(change(g)) - g)
        if effect.any():
            return int(j), change, effect
    return None


def _change(g, mistake, rng):
    if mistake == "factor":
        return lambda g: g * g.dtype.type(1 + 1e-3)
    if mistake == "element":
        at = np.unravel_index(int(np.argmax(np.abs(g))), g.shape)
        return lambda g: jnp.asarray(g).at[at].multiply(g.dtype.type(1 + 1e-3))
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
      kind: the mistake and where it is, for the counts.
      effect: its size over the leaf's largest entry.
      check: () -> the Report of `jaxbp.check` on it.
    """

    kind: str
    effect: float
    check: Callable


class Ground:
    """A case in which errors are planted: what is compiled once for all of them."""

    def __init__(self, case):
        self.case, self.f = case, weighted(case)
        args = case.at(0)
        self.places = tuple(range(len(args))) if len(args) > 1 else 0
        self.derive = jax.jit(jax.grad(self.f, self.places))
        self.value = jax.jit(self.f)
        self.checker = jaxbp.Checker(self.f, argnums=self.places)
        low = "bf16" in str(jax.make_jaxpr(case.f)(*args))
        dtypes = {str(x.dtype) for x in jax.tree.leaves(args)}
        coarse = low or bool(dtypes & {"bfloat16", "float16"})
        single = bool(dtypes & {"float32", "complex64"}) or "f32" in str(
            jax.make_jaxpr(case.f)(*args)
        )
        self.dtype = "bfloat16" if coarse else "float32" if single else "float64"

    def errors(self, rng, count):
        """Up to `count` Planted above the noise: wrong gradients, and wrong rules at
        two points each."""
        if self.dtype == "bfloat16":
            return
        left, place = count, 0
        while left and place < 2 * count:
            how = ("grad", "rule")[rng.integers(2)]
            mistake = MISTAKES[rng.integers(len(MISTAKES))]
            args = self.case.at(place)
            found = self._above_noise(
                how, plant(self.derive(*args), mistake, rng), args
            )
            place += 1
            if found is None:
                continue
            j, change, effect = found
            kind = f"{mistake} in a {how}, {self.dtype}"
            if how == "grad":
                yield Planted(kind, effect, self._by_hand(j, change, args))
            else:
                yield Planted(kind, effect, self._by_rule(j, change, args))
            left -= 1

    def _by_hand(self, j, change, args):
        wrong = lambda *a: changed(self.derive(*a), j, change)  # noqa: E731
        return lambda: self.checker(*args, grad=wrong, points=1)

    def _by_rule(self, j, change, args):
        ruled = with_wrong_rule(self.f, j, change)
        return lambda: jaxbp.check(ruled, *args, points=1)

    def _above_noise(self, how, found, args):
        """(leaf, change, relative effect) if it is there to be seen, or None."""
        if found is None:
            return None
        j, change, effect = found
        right = np.asarray(jax.tree.leaves(self.derive(*args))[j])
        at, largest = int(np.argmax(effect)), float(np.abs(right).max())
        worst = float(effect.ravel()[at])
        if worst < LEAST[self.dtype] * largest:
            return None
        errors = gradient_error(self.derive, args, self.dtype)
        if errors is None or worst < ABOVE * errors[j]:
            return None
        slope = float(right.ravel()[at])
        if how == "rule" and not values_know(self.value, args, j, at, slope, worst):
            return None
        return j, change, worst / largest
