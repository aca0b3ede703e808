"""What commands have in common: their flags, and the function with its arguments."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import FlagCreatePairsOff, Positional, arg

# `--quick` without a `--no-quick` beside it.
PLAIN_FLAGS = (FlagCreatePairsOff,)


@dataclass(frozen=True)
class Call:
    """A function of the user's, and the arguments to call it with.

    Attributes:
      function: The function, as pkg.mod:fn or file.py:fn.
      args: Arguments, as Python expressions separated by commas, with np, jnp, jax and
        the module's names in scope. Left out: the module's `example_args`.
      shapes: Arguments by type, filled at random: "f32[3,4] i32[2] f64[]".
      argnums: Positions of the arguments to differentiate.
      has_aux: The function returns (value, aux).
      seed: Of all that is drawn at random.
      x64: Compute in 64-bit; a 64-bit type in --shapes turns it on too.
    """

    function: Annotated[Positional[str], arg(metavar="PKG.MOD:FN")]
    args: str | None = None
    shapes: str | None = None
    argnums: tuple[int, ...] | None = None
    has_aux: bool = False
    seed: int = 0
    x64: bool = False

    def load(self, typed: bool = False) -> tuple[Any, tuple]:
        """The function, and its positional arguments.

        Args:
          typed: what `shapes` names comes as types (`jax.ShapeDtypeStruct`), unfilled.

        Raises:
          InvalidArgument, UnknownName: as `jaxbp.target` tells them.
        """
        import jax

        from .. import target

        if self.x64 or target.needs_64_bit(self.shapes or ""):
            jax.config.update("jax_enable_x64", True)
        f, module = target.load_function(self.function)
        if typed and self.shapes is not None and self.args is None:
            return f, target.types(self.shapes)
        short = self.function.rpartition(":")[2]
        return f, target.arguments(short, module, self.args, self.shapes, self.seed)

    def wanted(self, default: int | Sequence[int] | None) -> Any:
        """`argnums` as `jax.grad` takes it: one alone is an int, and no tuple of one.

        Args:
          default: what takes its place if it was left out.
        """
        if self.argnums is None:
            return default
        return self.argnums[0] if len(self.argnums) == 1 else self.argnums


# Options of the shared kind are told without a prefix: `--shapes`, not `--call.shapes`.
TheCall = Annotated[Call, arg(name="")]
