"""The function under check: its arguments by leaf and name, its values on demand.

A leaf of the arguments is differentiable if its dtype is floating or complex. All
others (integers, booleans, keys, strings, callables) stay as they are, and say why.
"""

import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from .. import ir, tree
from ..errors import InvalidArgument
from .eager import NEEDS_VALUES, jit_where_possible

SMALL, KEPT = 2**20, 6  # elements of a point; points kept on the device


@dataclass(frozen=True)
class Leaf:
    """One leaf of the arguments.

    Attributes:
      name: its path, e.g. `params['W1']`.
      value: numpy array if differentiable, else whatever was given.
      obstacle: why it cannot be differentiated; empty if it can.
      weak: whether it is a scalar of weak type, such as a Python float, which takes
        the dtype of what it meets.
      place: the sharding that its type names, on a mesh with explicit axes.
    """

    name: str
    value: Any
    obstacle: str
    weak: bool = False
    place: Any = None

    def describe(self):
        """dtype and shape, e.g. `float32[3,4]`."""
        shape = ",".join(str(n) for n in np.shape(self.value))
        return f"{jnp.result_type(self.value)}[{shape}]"


class Subject:
    """A function and a point, seen as a function of its differentiable leaves alone.

    Args:
      f: called as `f(*args, **kwargs)`; pytrees in and out.
      args: tuple of pytrees of concrete values.
      kwargs: mapping, held fixed.
      argnums: the positions to differentiate; None for all.
      has_aux: whether `f` returns (y, aux).

    Attributes:
      name: of `f`.
      leaves: list of Leaf of the chosen arguments, in order.
      x: list of numpy arrays: the values of the differentiable ones.
      names: list of str, the names of these.
      y: list of numpy arrays: the floating outputs at the point.
      output_names: list of str.

    Raises:
      InvalidArgument: traced values, no differentiable leaf, no floating output.
    """

    def __init__(self, f, args, kwargs=None, argnums=None, has_aux=False):
        if not callable(f):
            raise InvalidArgument(f"`f` must be a function, but is {f!r}.")
        if not isinstance(kwargs or {}, Mapping):
            raise InvalidArgument(f"`kwargs` must be a mapping, but is {kwargs!r}.")
        self.f, self.args, self.kwargs = f, tuple(args), dict(kwargs or {})
        self.name = tree.name_of(f)
        self.argnums, self.has_aux = _positions(argnums, len(self.args)), has_aux
        self.leaves, self.treedef = _leaves(f, self.args, self.argnums)
        self._where = [i for i, leaf in enumerate(self.leaves) if not leaf.obstacle]
        self.x = [self.leaves[i].value for i in self._where]
        self._weak = [self.leaves[i].weak for i in self._where]
        self.names = [self.leaves[i].name for i in self._where]
        if not self.x:
            raise InvalidArgument(_nothing_to_differentiate(self.leaves))
        self._sent: list = []
        self._outputs = jit_where_possible(self.outputs)
        self.output_names, self.scalar = [], False  # known once f has run
        self.y = self.evaluate(self.x)

    @functools.cached_property
    def program(self):
        """The program of `outputs`; None if f needs its values."""
        try:
            return jax.make_jaxpr(self.outputs)(*self.device(self.x))
        except NEEDS_VALUES:
            return None

    @functools.cached_property
    def largest(self):
        """Elements of the largest array that f computes; 0 if it needs its values."""
        equations = ir.every_equation(self.program.jaxpr) if self.program else ()
        outs = (v.aval for equation in equations for v in equation.outvars)
        return max((getattr(out, "size", 0) for out in outs), default=0)

    def move(self, args):
        """Takes `args` for the point, if they are like those before.

        Returns:
          bool: whether they are: of the same structure and types, and equal where they
          are held fixed. If not, nothing has changed.
        """
        fixed = [i for i in range(len(self.args)) if i not in self.argnums]
        if len(args) != len(self.args):
            return False
        leaves, treedef = _leaves(self.f, tuple(args), self.argnums)
        others = [(self.args[i], args[i]) for i in fixed]
        same = treedef == self.treedef and all(map(_alike, self.leaves, leaves))
        if not (same and all(_same(old, new) for old, new in others)):
            return False
        self.args, self.leaves = tuple(args), leaves
        self.x = [leaves[i].value for i in self._where]
        self.y = self.evaluate(self.x)
        return True

    def arguments(self, xs):
        """The full `args` with `xs` in place of the differentiable leaves."""
        values = [leaf.value for leaf in self.leaves]
        for i, x in zip(self._where, xs, strict=True):
            place = self.leaves[i].place
            values[i] = x if place is None else jax.reshard(x, place)
        chosen = jax.tree.unflatten(self.treedef, values)
        args = list(self.args)
        for position, argument in zip(self.argnums, chosen, strict=True):
            args[position] = argument
        return tuple(args)

    def outputs(self, *xs):
        """The floating leaves of f's output; traceable in `xs`."""
        y = self.f(*self.arguments(xs), **self.kwargs)
        if self.has_aux:
            y, _ = tree.parted_aux(y, self.name)
        pairs = jax.tree_util.tree_leaves_with_path(y)
        found = [(p, jnp.asarray(v)) for p, v in pairs if _obstacle(v) == ""]
        if not found:
            raise InvalidArgument(
                f"`{self.name}` must return at least one floating-point array, but "
                f"returned {_kinds(y)}; nothing depends smoothly on x."
            )
        leaves = [_whole(leaf) for _, leaf in found]
        self.output_names = ["output" + jax.tree_util.keystr(path) for path, _ in found]
        self.scalar = len(pairs) == 1 and leaves[0].shape == ()
        self.scalar = self.scalar and not jnp.iscomplexobj(leaves[0])
        return leaves

    def evaluate(self, xs):
        """The floating outputs at `xs` as numpy arrays, compiled where `f` allows."""
        return [np.asarray(y) for y in self._outputs(*self.device(xs))]

    def device(self, xs):
        """`xs`, or tangents at it, as JAX takes them; weak scalars stay weak.

        The last few are kept while they are small: each witness asks for the same.
        """
        for known, found in self._sent:
            if known is xs:
                return found
        there = jax.device_put(list(xs))
        triples = zip(xs, there, self._weak, strict=True)
        found = [x.item() if weak else array for x, array, weak in triples]
        if sum(x.size for x in self.x) <= SMALL:
            self._sent = [*self._sent[1 - KEPT :], (xs, found)]
        return found


def hidden_arrays(leaves):
    """Names and types of leaves that are objects with arrays inside, and no pytrees."""
    objects = [leaf for leaf in leaves if not tree.is_array(leaf.value)]
    inside = [getattr(leaf.value, "__dict__", {}).values() for leaf in objects]
    return [
        (leaf.name, leaf.obstacle)
        for leaf, values in zip(objects, inside, strict=True)
        if not all(map(_obstacle, values))
    ]


def _alike(old, new):
    """Whether two leaves are of one type, and equal where they are held fixed."""
    if (old.name, old.obstacle, old.weak) != (new.name, new.obstacle, new.weak):
        return False
    if old.obstacle:
        return _same(old.value, new.value)
    return old.place == new.place and old.describe() == new.describe()


def _same(old, new):
    """Whether two pytrees are equal, leaf by leaf; what cannot tell is not."""
    if old is new:
        return True
    olds, news = jax.tree.leaves(old), jax.tree.leaves(new)
    if jax.tree.structure(old) != jax.tree.structure(new):
        return False
    try:
        return all(
            a is b or (_kind(a) == _kind(b) and np.array_equal(a, b))
            for a, b in zip(olds, news, strict=True)
        )
    except Exception:  # no two things can be compared that do not say how
        return False


def _kind(value):
    return type(value), getattr(value, "dtype", None)


def _whole(y):
    """An output whole on every device, as the cotangents that are paired with it."""
    place = ir.explicit_sharding(ir.typeof(y))
    if place is None:
        return y
    return jax.reshard(y, NamedSharding(place.mesh, PartitionSpec()))


def _kinds(y):
    """What is in an output, leaf by leaf; the first few."""
    named = tree.named_leaves("output", y)
    said = [f"`{name}`, which is {_obstacle(leaf)}" for name, leaf in named[:4]]
    return ", ".join(said) + ", ..." * (len(named) > 4) or "nothing"


def _positions(argnums, count):
    """`argnums` as a tuple of positions from 0."""
    if argnums is None:
        return tuple(range(count))
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for number in numbers:
        if not -count <= number < count:
            raise InvalidArgument(
                f"`argnums` must name one of the {count} positional arguments, "
                f"but holds {number}."
            )
    return tuple(number % count for number in numbers)


def _obstacle(value):
    """Why `value` cannot be differentiated; empty if it can."""
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, float | complex):
        return ""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return type(value).__name__
    return "" if jnp.issubdtype(dtype, jnp.inexact) else str(dtype)


def _leaves(f, args, argnums):
    """The leaves of the chosen arguments with their names, and their structure."""
    names = _argument_names(f, len(args))
    chosen = tuple(args[i] for i in argnums)
    pairs, treedef = jax.tree_util.tree_flatten_with_path(chosen)
    leaves = []
    for path, value in pairs:
        name = names[argnums[path[0].idx]] + jax.tree_util.keystr(path[1:])
        if isinstance(value, jax.core.Tracer):
            raise InvalidArgument(
                f"a check runs on concrete values, but {name} is traced: {value}. "
                "Call it outside jit, vmap and grad."
            )
        obstacle = _obstacle(value)
        weak, place = False, None
        if not obstacle:  # a Python float becomes an array of JAX's default dtype
            array = jnp.asarray(value)
            value, weak = np.asarray(array), array.weak_type and array.shape == ()
            place = ir.explicit_sharding(ir.typeof(array))
        leaves.append(Leaf(name, value, obstacle, weak, place))
    return leaves, treedef


def _argument_names(f, count):
    """The parameter names of `f`, or args[0], args[1], ... where it has none."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = []
    for p in parameters:
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            names.append(p.name)
        elif p.kind is p.VAR_POSITIONAL:
            names += [f"{p.name}[{i}]" for i in range(count - len(names))]
    return names[:count] + [f"args[{i}]" for i in range(len(names), count)]


def _nothing_to_differentiate(leaves):
    if not leaves:
        return "`args` must hold at least one floating-point leaf, but holds no leaf."
    found = ", ".join(f"{leaf.name} is {leaf.obstacle}" for leaf in leaves[:4])
    return (
        f"`args` must hold at least one floating-point leaf, but {found}. "
        "Convert with .astype(jnp.float32), or write 2.0, not 2."
    )
