"""A function and the types of its arguments: what is priced."""

from collections.abc import Callable, Sequence

import jax

from .. import ir, settings
from ..errors import InvalidArgument
from ..modes import doors
from ..modes.products import jvp, vjp
from .flat import flatten
from .linearized import Linearized


class Subject:
    """A function of the leaves that are known by type; the other leaves are held.

    Attributes:
      name: of the function.
      types: one per open leaf.
      inputs: number of elements to differentiate by.
    """

    def __init__(self, f: Callable, args, argnums: int | Sequence[int], has_aux: bool):
        doors.check_callable(f)
        self.f, self.has_aux, self.name = f, has_aux, doors.name_of(f)
        self.places = doors.places_of(argnums, args, f)
        self.leaves, self.structure = jax.tree.flatten(args)
        self.open = [
            place in self.places or hasattr(leaf, "dtype")
            for place, arg in enumerate(args)
            for leaf in jax.tree.leaves(arg)
        ]
        pairs = zip(self.leaves, self.open, strict=True)
        self.types = [type_of(leaf) for leaf, open_ in pairs if open_]
        self.inputs = self._count_inputs(args)

    def _count_inputs(self, args) -> int:
        chosen = map(type_of, jax.tree.leaves([args[i] for i in self.places]))
        count = sum(t.size for t in chosen if ir.differentiable(t))
        if not count:
            raise InvalidArgument(
                f"`argnums` must name an argument of `{self.name}` with floating "
                "elements, but nothing there can be differentiated."
            )
        return count

    def args(self, given: Sequence) -> tuple:
        """The arguments, from the open leaves."""
        rest = iter(given)
        pairs = zip(self.leaves, self.open, strict=True)
        return self.structure.unflatten([next(rest) if o else x for x, o in pairs])

    def moving(self, given: Sequence) -> tuple[Callable, tuple]:
        """The function of the chosen arguments alone, aux dropped; and those."""
        args = self.args(given)

        def function(*chosen):
            out = self.f(*doors.merged(args, self.places, chosen))
            return out[0] if self.has_aux else out

        return function, tuple(args[i] for i in self.places)

    def plain(self, *given):
        """The output, without aux."""
        function, chosen = self.moving(given)
        return function(*chosen)

    def pushed(self, *given):
        """Value and pushforward of the point itself, which has a tangent's types."""
        function, chosen = self.moving(given)
        return jvp(function, chosen, jax.tree.map(_as_tangent, chosen))

    def jacobian(self, mode: Callable, *given):
        """The whole Jacobian, by `jacfwd` or `jacrev`."""
        found = mode(self.f, self.places, self.has_aux)(*self.args(given))
        return found[0] if self.has_aux else found

    def linearized(self) -> Linearized:
        """Its linear program."""

        def run(*given):
            function, chosen = self.moving(given)
            return vjp(function, *chosen)

        with settings.options(open_calls=True):
            traced, found = jax.make_jaxpr(run, return_shape=True)(*self.types)
        return Linearized(flatten(traced), found[1].program)


def _as_tangent(x):
    """An array of the type of the tangents of `x`."""
    aval = ir.typeof(x)
    return x if ir.differentiable(aval) else ir.zeros(ir.tangent_aval(aval))


def type_of(leaf) -> jax.ShapeDtypeStruct:
    """A leaf's type; a `ShapeDtypeStruct` is its own."""
    struct = isinstance(leaf, jax.ShapeDtypeStruct)
    return leaf if struct else ir.struct(ir.typeof(leaf))
