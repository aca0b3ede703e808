"""A function of the user's and its derivatives as programs to be timed.

Their arguments are all arrays of the call: what a program closes over XLA may fold.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxbp import offered, tree
from jaxbp.errors import InvalidArgument, note_numpy

OURS, THEIRS = "jaxbp", "jax"
JAX = {"value_and_grad": jax.value_and_grad, "jvp": jax.jvp, "vjp": jax.vjp}


class Contender(NamedTuple):
    """One program: what it computes, by whom, and itself, a function of `given`."""

    what: str
    by: str
    call: Callable[..., Any]


class Subject:
    """A function of arrays: of those it is differentiated by, and of the others.

    Attributes:
      moved, held: the arrays of the call; the derivatives are by those that are moved.
      given: what every program is called with: both, and ones as tangents and as
        cotangents. (Made inside, XLA for CPUs has multiplied them to garbage.)
      scalar: whether the output is one real number, so that there is a gradient.
    """

    def __init__(self, f: Callable, args: tuple, argnums, has_aux: bool):
        places = _places(argnums, len(args))
        self._parted = tree.Parted(args)
        chosen = [
            place in places for place, arg in enumerate(args)
            for _ in jax.tree.leaves(arg)
        ]  # fmt: skip
        arrays = [jnp.asarray(leaf) for leaf in self._parted.leaves]
        self._moves = [
            on and jnp.issubdtype(leaf.dtype, jnp.inexact)
            for on, leaf in zip(self._parted.chosen(chosen), arrays, strict=True)
        ]
        pairs = list(zip(arrays, self._moves, strict=True))
        self.moved = tuple(leaf for leaf, moves in pairs if moves)
        # Sizes and flags of Python stay what they are.
        self._sizes = [isinstance(leaf, bool | int) for leaf in self._parted.leaves]
        self.held = tuple(leaf for leaf, moves in pairs if not moves)
        self._f, self._has_aux = f, has_aux
        if not self.moved:
            raise InvalidArgument(
                "`argnums` must name an argument with floating elements, but there is "
                "nothing there to differentiate by. Write 2.0, not 2."
            )
        try:
            found = jax.eval_shape(self.plain, self.moved, self.held)
        except TypeError as error:
            note_numpy(error, tree.name_of(f))
            raise
        dots = tuple(map(jnp.ones_like, self.moved))
        self.given = self.moved, self.held, dots, jax.tree.map(_seed, found)
        out = jax.tree.leaves(found)
        if not out:
            raise InvalidArgument(
                f"`{tree.name_of(f)}` must return arrays to be timed, but its output "
                f"holds none: it is {found!r}. Does it end in `return`?"
            )
        self.scalar = len(out) == 1 and out[0].shape == ()
        self.scalar = self.scalar and jnp.issubdtype(out[0].dtype, jnp.floating)

    def plain(self, moved, held):
        """The output of the function, without aux."""
        mine, others = iter(moved), iter(held)
        leaves = [next(mine) if moves else next(others) for moves in self._moves]
        triples = zip(leaves, self._parted.leaves, self._sizes, strict=True)
        leaves = [given if is_size else leaf for leaf, given, is_size in triples]
        out = self._f(*self._parted.unflatten(leaves))
        if self._has_aux:
            out, _ = tree.parted_aux(out, tree.name_of(self._f))
        return jax.tree.map(jnp.asarray, out)  # a number of Python has no dtype

    def contenders(self) -> list[Contender]:
        """The function, and each of its derivatives by us and by JAX."""
        found = [Contender("f", "", lambda moved, held, *_: self.plain(moved, held))]
        kinds = (("gradient", self._gradient), ("pushforward", self._pushforward),
                 ("pullback", self._pullback))  # fmt: skip
        for what, make in kinds[0 if self.scalar else 1 :]:
            for by, modes in ((OURS, offered.DERIVATIVES), (THEIRS, JAX)):
                found.append(Contender(what, by, make(modes)))
        return found

    def _gradient(self, modes) -> Callable:
        derived = modes["value_and_grad"](self.plain)
        return lambda moved, held, *_: derived(moved, held)

    def _pushforward(self, modes) -> Callable:
        def call(moved, held, dots, bars):
            return modes["jvp"](lambda *a: self.plain(a, held), moved, dots)

        return call

    def _pullback(self, modes) -> Callable:
        def call(moved, held, dots, bars):
            out, pull = modes["vjp"](lambda *a: self.plain(a, held), *moved)
            return out, pull(jax.tree.map(_or_float0, bars, out))

        return call


def load_engines() -> None:
    """Differentiates something small both ways: what a process loads for its first
    derivative is no time of the user's function."""
    for modes in (offered.DERIVATIVES, JAX):
        jax.make_jaxpr(modes["value_and_grad"](lambda x: x * x))(1.0)


def _seed(out):
    """Ones like an output; False for one that has no derivative."""
    if jnp.issubdtype(out.dtype, jnp.inexact):
        return jnp.ones(out.shape, out.dtype)
    return jnp.array(False)


def _or_float0(bar, out):
    """The cotangent of an output; JAX's zeros of one that has no derivative."""
    if jnp.issubdtype(out.dtype, jnp.inexact):
        return bar
    return np.zeros(out.shape, jax.dtypes.float0)


def _places(argnums: int | Sequence[int] | None, count: int) -> set[int]:
    if argnums is None:
        return set(range(count))
    wanted = [argnums] if isinstance(argnums, int) else list(argnums)
    for place in wanted:
        if not -count <= place < count:
            raise InvalidArgument(
                f"`argnums` must name positions from 0 to {count - 1}, but is "
                f"{argnums!r}."
            )
    return {place % count for place in wanted}
