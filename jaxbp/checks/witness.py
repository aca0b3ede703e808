"""Who says what the derivative is: pairs of jvp and vjp, and whole gradients.

A witness is handed in; nothing here differentiates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import ir
from ..errors import ShapeMismatch, StructureMismatch
from ..tree import same_structure, spelled
from .eager import jit_where_possible
from .perturbed import perturbed


@dataclass(frozen=True)
class Witness:
    """One system of automatic differentiation.

    Attributes:
      name: e.g. "engine"; its two modes appear as "engine reverse", "engine forward".
      jvp: (f, primals, tangents) -> (y, y_dot), with JAX's meaning.
      vjp: (f, *primals) -> (y, pullback), with JAX's meaning.
      refusals: exceptions by which it says "not me" (a missing rule, forward mode
        through a custom_vjp). They are noted in the report; others are raised.
    """

    name: str
    jvp: Callable
    vjp: Callable
    refusals: tuple = ()

    def along(self, subject):
        """(xs, x_dots) -> y_dot, lists of arrays, in forward mode; traceable."""

        def y_dot(xs, x_dots):
            return self.jvp(subject.outputs, tuple(xs), tuple(x_dots))[1]

        return y_dot


class Reverse:
    """A reverse mode: called as (xs, y_bar) it gives (y, x_bar), lists of arrays."""

    def __init__(self, witness, subject):
        self.subject = subject

        def y_and_x_bar(xs, y_bar):
            y, pull = witness.vjp(subject.outputs, *xs)
            return y, pull(list(y_bar))

        self._run = jit_where_possible(y_and_x_bar)
        self.x_bar = lambda xs, y_bar: y_and_x_bar(xs, y_bar)[1]  # traceable
        self._rounded = perturbed(self.x_bar)

    def __call__(self, xs, y_bar):
        y, x_bar = self._run(self.subject.device(xs), _arrays(y_bar))
        return _host(y), _host(x_bar)

    def rounded(self, seed, xs, y_bar):
        """x_bar where every operation rounds at random."""
        here = self.subject.device(xs)
        return _host(self._rounded(np.uint32(seed), here, _arrays(y_bar)))


def by_forward_mode(slopes):
    """(xs, y_bar) -> (None, x_bar), put together from one pushforward per element.

    Args:
      slopes: Slopes of a forward mode.
    """

    def x_bar(xs, y_bar):
        found = []
        for leaf, x in enumerate(xs):
            units = [np.eye(1, x.size, i, dtype=x.dtype) for i in range(x.size)]
            if np.iscomplexobj(x):  # Re <x_bar, e> and Re <x_bar, ie> = -Im <x_bar, e>
                units += [unit * x.dtype.type(1j) for unit in units]
            asked = [(leaf, unit.reshape(x.shape)) for unit in units]
            entries = np.array([slope for slope, _ in slopes(xs, y_bar, asked)])
            if np.iscomplexobj(x):
                entries = entries[: x.size] - 1j * entries[x.size :]
            found.append(entries.reshape(x.shape).astype(x.dtype))
        return None, found

    return x_bar


class Given:
    """A user's `grad(*args, **kwargs)`: called as (xs, y_bar) it gives (None, x_bar).

    Raises:
      StructureMismatch: it does not return one pytree like each chosen argument.
      ShapeMismatch: an array of it has not the shape of its leaf.
    """

    def __init__(self, grad, subject):
        self.grad, self.subject = grad, subject
        self.treedef = subject.treedef
        if len(subject.argnums) == 1:  # as jax.grad: the gradient itself, no tuple
            self.treedef = self.treedef.children()[0]
        self._rounded = perturbed(self._leaves)
        self._traced: Any = None  # False once it was seen to need its values

    def x_bar(self, xs, y_bar):
        """The gradient, traceable where the user's own function is."""
        del y_bar  # 1, of a scalar f
        return self._leaves(xs)

    def __call__(self, xs, y_bar):
        own = self.subject.device(list(xs))  # not the kept ones: it may donate them
        found = _host(self._leaves(own))
        for name, x, a in zip(self.subject.names, xs, found, strict=True):
            if a.shape != x.shape:
                raise ShapeMismatch(
                    f"the gradient given for `{name}` must have its shape {x.shape}, "
                    f"but has {a.shape}."
                )
        return None, found

    def again(self, xs, y_bar):
        """The same at other points, traced once: a call compiles its loops anew."""
        own = self.subject.device(list(xs))
        try:
            if self._traced is None:
                self._traced = jax.make_jaxpr(self._leaves)(own)
            if self._traced:
                return None, _host(ir.evaluate_program(self._traced, own))
        except Exception:  # of numpy's, or one that needs its values
            self._traced = False
        return self(xs, y_bar)

    def rounded(self, seed, xs, y_bar):
        """x_bar where every operation of it rounds at random."""
        own = self.subject.device(list(xs))
        return _host(self._rounded(np.uint32(seed), own))

    def _leaves(self, xs):
        subject = self.subject
        given = self.grad(*subject.arguments(xs), **subject.kwargs)
        leaves = _flatten_like(self.treedef, given, subject.has_aux)
        pairs = list(zip(subject.leaves, leaves, strict=True))
        found = [(leaf.name, a) for leaf, a in pairs if not leaf.obstacle]
        nothing = [f"`{name}`" for name, a in found if a is None]
        if nothing:
            raise StructureMismatch(
                f"the gradient given for {', '.join(nothing)} is None: return an array "
                "for each floating leaf, zeros where f does not depend on it."
            )
        return [a for _, a in found]


def _flatten_like(treedef, given, has_aux):
    """Leaves of `given`, which must look like the arguments; (grads, aux) is allowed
    where `f` has an aux, since `jax.grad` returns that."""
    candidates = [given]
    if has_aux and isinstance(given, tuple) and len(given) == 2:
        candidates.insert(0, given[0])
    for candidate in candidates:
        try:
            leaves = treedef.flatten_up_to(candidate)
        except (ValueError, TypeError):
            continue
        if jax.tree_util.all_leaves(leaves, is_leaf=lambda leaf: leaf is None):
            return leaves
    like = treedef.unflatten([0.0] * treedef.num_leaves)
    if isinstance(given, tuple) and given and not has_aux:
        if jax.tree.structure(given[0]) == treedef:
            count = len(given)
            raise StructureMismatch(
                f"the gradient given is a tuple of {count}, but the gradient by one "
                "argument is like that argument itself, as jax.grad's. "
                + (
                    "Return it without the tuple."
                    if count == 1
                    else f"For {count} arguments pass `argnums={tuple(range(count))}`."
                )
            )
    same_structure("gradient", given, "arguments", like)
    raise StructureMismatch(
        "the gradient given must have the structure of the arguments, "
        f"{spelled(treedef)}, but has {spelled(given)}."
    )


def _arrays(y_bar):
    return [jnp.asarray(b) for b in y_bar]


def _host(arrays):
    return [np.asarray(a) for a in arrays]
