"""A function and the types of its arguments: what is priced."""

from collections.abc import Callable, Sequence
from contextlib import contextmanager

import jax

from .. import ir, settings, tree
from ..checks.eager import NEEDS_VALUES
from ..errors import InvalidArgument, numpy_said
from ..transforms import arguments
from ..transforms.products import jvp, vjp
from .flat import flatten
from .linearized import Linearized


class PricedFunction:
    """A function of the leaves that are known by type; the other leaves are held.

    Attributes:
      name: of the function.
      types: one per open leaf; `argnums` None opens all arguments.
      inputs: number of elements to differentiate by.
    """

    def __init__(
        self, f: Callable, args, argnums: int | Sequence[int] | None, has_aux: bool
    ):
        arguments.check_callable(f)
        self.f, self.has_aux, self.name = f, has_aux, tree.name_of(f)
        if argnums is None:
            argnums = tuple(range(len(args)))
        self.places = arguments.places_of(argnums, args, f)
        self.leaves, self.structure = jax.tree.flatten(args)
        chosen = [
            place in self.places
            for place, arg in enumerate(args)
            for _ in jax.tree.leaves(arg)
        ]
        pairs = list(zip(self.leaves, chosen, strict=True))
        # What moves is differentiated; other arrays are known by type alone; numbers
        # elsewhere, and what is no array, keep their values.
        self.moves = [on and _is_floating(leaf) for leaf, on in pairs]
        self.open = [
            hasattr(leaf, "dtype") or (on and isinstance(leaf, float | complex))
            for leaf, on in pairs
        ]
        self.types = [
            type_of(leaf)
            for leaf, is_open in zip(self.leaves, self.open, strict=True)
            if is_open
        ]
        self.inputs = self._count_inputs()

    def _count_inputs(self) -> int:
        pairs = zip(self.leaves, self.moves, strict=True)
        count = sum(type_of(leaf).size for leaf, moves in pairs if moves)
        if not any(self.moves):  # an empty array moves: its Jacobian has no columns
            raise InvalidArgument(
                f"`{self.name}` must have a floating argument where it is "
                "differentiated (`argnums`), but nothing there can be. Write 2.0, "
                "not 2."
            )
        return count

    def filled(self, given: Sequence) -> list:
        """All leaves, the open ones as given."""
        rest = iter(given)
        pairs = zip(self.leaves, self.open, strict=True)
        return [next(rest) if is_open else leaf for leaf, is_open in pairs]

    def moving(self, given: Sequence) -> tuple[Callable, tuple]:
        """The function of the leaves that move alone, aux dropped; and those."""
        leaves = self.filled(given)

        def function(*moved):
            rest = iter(moved)
            pairs = zip(leaves, self.moves, strict=True)
            now = [next(rest) if moves else leaf for leaf, moves in pairs]
            out = self.f(*self.structure.unflatten(now))
            if self.has_aux:
                out, _ = tree.parted_aux(out, self.name)
            arguments.check_arrays("output", out, self.name)
            return out

        pairs = zip(leaves, self.moves, strict=True)
        return function, tuple(leaf for leaf, moves in pairs if moves)

    def output_types(self):
        """Types of the output, without aux.

        Raises:
          InvalidArgument: there is no array in it.
        """
        out = jax.eval_shape(self.plain, *self.types)
        if not jax.tree.leaves(out):
            raise InvalidArgument(
                f"`{self.name}` must return arrays, or there is nothing to count, but "
                f"its output holds none: it is {out!r}. Does it end in `return`?"
            )
        return out

    @contextmanager
    def by_types(self, what: str):
        """A context in which `what` is counted: the function may need no values."""
        try:
            yield
        except NEEDS_VALUES as error:
            if said := numpy_said(error, self.name):
                raise InvalidArgument(
                    f"{what} is counted from types alone, but {said}"
                ) from error
            raise InvalidArgument(
                f"{what} is counted from types alone, but `{self.name}` needs the "
                "value of an argument. Pass it as a Python number outside `argnums`, "
                f"or close over it. JAX says: {str(error).splitlines()[0]}"
            ) from error

    def plain(self, *given):
        """The output, without aux."""
        function, moved = self.moving(given)
        return function(*moved)

    def pushed(self, *given):
        """Value and pushforward of the point itself, which has a tangent's types."""
        function, moved = self.moving(given)
        return jvp(function, moved, moved)

    def jacobian(self, mode: Callable, *given):
        """The whole Jacobian, by `jacfwd` or `jacrev`."""
        function, moved = self.moving(given)
        return mode(function, tuple(range(len(moved))))(*moved)

    def linearized(self) -> Linearized:
        """Its linear program."""

        def run(*given):
            function, chosen = self.moving(given)
            return vjp(function, *chosen)

        with settings.options(open_calls=True):
            traced, found = jax.make_jaxpr(run, return_shape=True)(*self.types)
        return Linearized(flatten(traced), found[1].program)


def _is_floating(leaf) -> bool:
    return tree.is_array(leaf) and ir.differentiable(type_of(leaf))


def type_of(leaf) -> jax.ShapeDtypeStruct:
    """A leaf's type; a `ShapeDtypeStruct` is its own."""
    struct = isinstance(leaf, jax.ShapeDtypeStruct)
    return leaf if struct else ir.struct(ir.typeof(leaf))
