"""What commands have in common: the function with its arguments, and how to show."""

import functools
import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import tyro
from tyro.conf import FlagCreatePairsOff, Positional, arg
from tyro.constructors import PrimitiveConstructorSpec

from ..errors import InvalidArgument
from ..outputs import answer, check_replaced, check_writable, turn_aside, writing

# `--quick` without a `--no-quick` beside it.
PLAIN_FLAGS = (FlagCreatePairsOff,)
# What may be left out is told without a type for that: `--html FILE`.
Flag = Annotated[bool, arg(help_behavior_hint="")]
Maybe = Annotated[bool | None, arg(metavar="True|False", help_behavior_hint="")]
Text = Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")]
File = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]


def _number(kind: type, metavar: str, what: str, nargs: int | Literal["*"] = 1):
    """How numbers that may be left out are read; another word is told in plain ones."""

    def read(words: list[str]):
        try:
            found = tuple(map(kind, words))
        except ValueError:
            raise ValueError(f"it takes {what}, but {' '.join(words)} came") from None
        return found[0] if nargs == 1 else found

    return PrimitiveConstructorSpec(
        nargs=nargs, metavar=metavar, instance_from_str=read,
        is_instance=lambda given: given is None or isinstance(given, kind | tuple),
        str_from_instance=lambda given: [str(given)],
    )  # fmt: skip


_UNTOLD = arg(help_behavior_hint="")
Number = Annotated[float | None, _number(float, "FLOAT", "a number"), _UNTOLD]
Count = Annotated[int | None, _number(int, "INT", "a whole number"), _UNTOLD]
Places = Annotated[
    tuple[int, ...] | None,
    _number(int, "INT ...", "whole numbers, such as 0 2", "*"),
    _UNTOLD,
]
Names = Annotated[tuple[str, ...], arg(metavar="NAME ...", help_behavior_hint="")]


def parsed(function: Callable, argv: Sequence[str], prog: str) -> Any:
    """What `function` returns, called as the command line says.

    Its docstring up to `Args:` is the help's first part, wrapped here, once: lines that
    begin with a blank tyro does not join again.
    """
    width = min(shutil.get_terminal_size().columns, 88) - 1
    told = inspect.cleandoc(function.__doc__ or "").partition("\nArgs:")[0]
    paragraphs = (
        textwrap.fill(" ".join(part.split()), width, subsequent_indent="  ")
        for part in told.strip().split("\n\n")
    )
    return tyro.cli(
        _in_words(function), args=argv, prog=prog,
        description="\n\n".join(paragraphs), config=PLAIN_FLAGS,
    )  # fmt: skip


def _in_words(function: Callable) -> Callable:
    """The function with flags, and what may be left out, told without Python's False
    and None; a library's function need not know of command lines for that."""

    @functools.wraps(function)
    def called(*args, **options):
        return function(*args, **options)

    hints = get_type_hints(function, include_extras=True)
    called.__annotations__ = {name: _worded(hint) for name, hint in hints.items()}
    signature = inspect.signature(function)
    parameters = [
        p.replace(annotation=called.__annotations__[name])
        for name, p in signature.parameters.items()
    ]
    del called.__wrapped__  # where tyro would look for the types
    # Each argument's words on one line: tyro would keep the line breaks.
    called.__doc__ = re.sub(r"\n {4,}", " ", inspect.cleandoc(function.__doc__ or ""))
    called.__signature__ = signature.replace(parameters=parameters)  # pyright: ignore
    return called


def _worded(hint: Any) -> Any:
    """The type of an option that has no default worth telling."""
    known = {bool: Flag, Path | None: File, bool | None: Maybe}
    known |= {str | None: Text, int | None: Count}
    return known.get(hint, hint)


@dataclass(frozen=True)
class Call:
    """A function of the user's, and the arguments to call it with.

    Attributes:
      function: The function, as pkg.mod:fn or file.py:fn.
      args: Arguments, as Python expressions separated by commas, with np, jnp, jax and
        the module's names in scope; empty for none. Left out: `example_args` of the
        module.
      shapes: Arguments by type, filled at random: "f32[3,4] i32[2] f64[]".
      argnums: Positions of the arguments to differentiate.
      has_aux: The function returns (value, aux).
      seed: Of all that is drawn at random.
      x64: Compute in 64-bit; a 64-bit type in --shapes turns it on too.
      traceback: After an error, show its whole traceback.
    """

    function: Annotated[Positional[str], arg(metavar="PKG.MOD:FN")]
    args: Text = None
    shapes: Text = None
    argnums: Places = None
    has_aux: Flag = False
    seed: int = 0
    x64: Flag = False
    traceback: Flag = False

    def load(self, typed: bool = False) -> tuple[Any, tuple]:
        """The function, and its positional arguments.

        Args:
          typed: what `shapes` names comes as types (`jax.ShapeDtypeStruct`), unfilled.

        Raises:
          InvalidArgument, UnknownName: as `target` tells them.
        """
        import jax

        from . import target

        if self.x64 or target.needs_64_bit(self.shapes or ""):
            jax.config.update("jax_enable_x64", True)
        f, module = target.load_function(self.function)
        if typed and self.shapes is not None and self.args is None:
            return f, target.types(self.shapes)
        short = self.function.rpartition(":")[2]
        return f, target.arguments(short, module, self.args, self.shapes, self.seed)

    def blamed(self, doing: str, args: Sequence):
        """A context in which errors of the user's code are told in one line."""
        from . import target

        given = self.args is not None or self.shapes is not None
        source = "" if given else " The arguments are `example_args` of its module."
        return target.blamed_on_user(doing, args, source)

    def wanted(self, default: int | Sequence[int] | None) -> Any:
        """`argnums` as `jax.grad` takes it: one alone is an int, and no tuple of one.

        Args:
          default: what takes its place if it was left out.
        """
        if self.argnums is None:
            return default
        return self.argnums[0] if len(self.argnums) == 1 else self.argnums


@dataclass(frozen=True)
class Output:
    """How a report is given out.

    Attributes:
      json: Print the rows as JSON instead.
      csv: Print the rows as CSV instead.
      html: Write the report as a page to this file, too.
    """

    json: Flag = False
    csv: Flag = False
    html: File = None

    def check(self) -> None:
        """Before the work begins: raises InvalidArgument unless it can be done. What
        the user's code prints is kept apart from what a program shall read."""
        if self.json and self.csv:
            raise InvalidArgument("give `--json` or `--csv`, not both.")
        check_writable("--html", self.html, makes_folders=False)
        check_replaced("--html", self.html, lambda head: head.startswith(b"<!doctype"))
        if self.json or self.csv:
            turn_aside()

    def give(self, report) -> None:
        """Prints a report, which has a page and `as_dicts`, and writes the file."""
        from .. import display
        from ..display import marked, records

        if self.json:
            answer(records.json_text(report.as_dicts()))
        elif self.csv:
            answer(records.csv_text(report.as_dicts(), report.names()))
        elif hasattr(report, "page"):
            display.show(report)
        else:
            print(report)
        if self.html is not None:
            title = f"jaxbp: {getattr(report, 'name', type(report).__name__)}"
            page = marked.document(report._repr_html_(), title)
            with writing("--html", self.html):
                self.html.write_text(page, encoding="utf-8")


def check_picture(path: Path | None) -> None:
    """Before the work begins: InvalidArgument unless `--picture` can be drawn there."""
    from ..drawing.picture import check_format

    check_format(path)
    check_writable("--picture", path, makes_folders=False)


def draw(picture: Callable, path: Path | None) -> None:
    """Writes what `picture` makes, if `--picture` was given."""
    if path is not None:
        from ..drawing.picture import save

        with writing("--picture", path):
            save(picture(), path)


# Options of a shared kind are told without a prefix: `--shapes`, not `--call.shapes`.
TheCall = Annotated[Call, arg(name="")]
TheOutput = Annotated[Output, arg(name="")]
