"""The command line: `jaxbp study`, `jaxbp train`, `jaxbp check`.

Each command imports what it needs when it runs, so that help comes at once. Exit
status: 0 done, 1 a check found a disagreement, 2 wrong input, 130 interrupted.
"""

import dataclasses
import sys
from typing import Annotated

from .errors import JaxbpError, UnknownName, nearest

HELP = """\
jaxbp: derivatives you can read, check, price, and then use.

usage: jaxbp COMMAND [options]

commands:
  study [NAME]       run a study: tables and pictures in results/; without NAME, list
  train digits       train a network on handwritten digits with one of three gradients
  check pkg.mod:fn   is the gradient of fn right? five witnesses side by side

examples:
  jaxbp study forward_vs_reverse --quick
  jaxbp train digits --gradient layers --seed 3
  jaxbp check model.py:loss --shapes "f32[8,4] f32[4]"
  jaxbp check mypackage.model:loss --args "jnp.ones((8, 4)), jnp.zeros(4)"
  jaxbp check model.py:loss --grad model.py:my_gradient

`jaxbp COMMAND --help` has the options. `jaxbp --version` tells the versions.
"""


def main(argv=None):
    """The entry point of the `jaxbp` command; `argv` defaults to the process's own.

    Raises:
      SystemExit: always, with the exit status.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        raise SystemExit(_dispatch(argv))
    except JaxbpError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        raise SystemExit(130) from None


def _dispatch(argv):
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if argv[0] == "--version":
        print(_versions())
        return 0
    commands = {"study": study, "train": train, "check": check}
    if argv[0] not in commands:
        raise UnknownName(f"no command `{argv[0]}`. {nearest(argv[0], commands)}")
    return commands[argv[0]](argv[1:])


def _versions():
    import jax

    from . import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    return f"jaxbp {__version__}, JAX {jax.__version__}, Python {python}"


def study(argv):
    """`jaxbp study [NAME] [options]`; without a name, the list of studies."""
    import tyro

    from .study.base import Options
    from .study.command import list_studies, run_named

    def command(
        name: Annotated[
            str, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")
        ] = "",
        /,
        *,
        options: Annotated[Options, tyro.conf.arg(name="")] = Options(),  # noqa: B008
        list: bool = False,
    ):
        """Run a study: measure, then write tables and pictures to results/.

        A killed run goes on where it stopped. Example: `jaxbp study
        forward_vs_reverse --quick`.

        Args:
          name: Of the study, or `all`; without it, the studies are listed.
          options: How to run it.
          list: List the studies: question, results, minutes.
        """
        if list or not name:
            return _show_studies(list_studies())
        fields = dataclasses.fields(options)
        run_named(name, **{f.name: getattr(options, f.name) for f in fields})

    tyro.cli(command, args=argv, prog="jaxbp study", config=(_plain_flags(),))
    return 0


def _plain_flags():
    """`--quick` without a `--no-quick` beside it."""
    import tyro

    return tyro.conf.FlagCreatePairsOff


def _show_studies(rows):
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in rows[0] if rows else ():
        table.add_column(column)
    for row in rows:
        cells = ("" if value is None else str(value) for value in row.values())
        table.add_row(*cells)
    Console().print(table if rows else "There is no study yet.")


def train(argv):
    """`jaxbp train digits [options]`."""
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: jaxbp train digits [options]; --help behind it has the options.")
        return 0 if argv else 2
    if argv[0] != "digits":
        raise UnknownName(f"no task `{argv[0]}`. {nearest(argv[0], ['digits'])}")
    import tyro

    from .training.digits import train_digits

    flags = (_plain_flags(),)
    tyro.cli(train_digits, args=argv[1:], prog="jaxbp train digits", config=flags)
    return 0


def check(argv):
    """`jaxbp check pkg.mod:fn [options]`: 0 if all witnesses agree, else 1."""
    import tyro

    def command(
        function: Annotated[
            str, tyro.conf.Positional, tyro.conf.arg(metavar="PKG.MOD:FN")
        ],
        /,
        args: str | None = None,
        shapes: str | None = None,
        grad: str | None = None,
        argnums: tuple[int, ...] | None = None,
        has_aux: bool = False,
        points: int = 3,
        probes: int = 32,
        seed: int = 0,
        differences: bool = True,
        rtol: float | None = None,
        x64: bool = False,
    ):
        """Is the gradient of a function right?

        Sets side by side the engine's reverse and forward mode, JAX's reverse and
        forward mode, and central differences, at the point given and at displaced
        points. Exit status 0 if all agree, 1 if not.

        Args:
          function: The function, as pkg.mod:fn or file.py:fn.
          args: Arguments, as Python expressions separated by commas, with np, jnp, jax
            and the module's names in scope. Left out: the module's `example_args`.
          shapes: Arguments by type, filled at random: "f32[3,4] i32[2] f64[]".
          grad: A gradient of your own to judge, as pkg.mod:fn, called like fn.
          argnums: Positions of the arguments to differentiate. Left out: all, or 0
            with --grad.
          has_aux: The function returns (value, aux).
          points: Points to look at; those after the first are displaced at random.
          probes: Directions to look along in each leaf of the arguments.
          seed: Of the filling, the displaced points and the directions.
          differences: Compare with central differences.
          rtol: Relative disagreement allowed. Left out: 2 eps^(2/3) of the dtype.
          x64: Compute in 64-bit; a 64-bit type in --shapes turns it on too.
        """
        if argnums is not None and len(argnums) == 1:
            wanted = argnums[0]  # as in jax.grad: the gradient itself, no tuple of one
        else:
            wanted = argnums
        settings = {
            "argnums": wanted, "has_aux": has_aux, "points": points, "rtol": rtol,
            "probes": probes, "seed": seed, "differences": differences,
        }  # fmt: skip
        return _checked(function, args, shapes, grad, x64, settings)

    report = tyro.cli(command, args=argv, prog="jaxbp check")
    return 0 if report else 1


def _checked(name, expressions, shapes, grad, x64, settings):
    """Run the check, print its table, and return the report."""
    import jax
    from rich.console import Console

    from . import checking, target
    from .checks.render import as_rich

    if x64 or target.needs_64_bit(shapes or ""):
        jax.config.update("jax_enable_x64", True)
    f, module = target.load_function(name)
    short, seed = name.rpartition(":")[2], settings["seed"]
    args = target.arguments(short, module, expressions, shapes, seed)
    given = target.load_function(grad)[0] if grad else None
    with Console(stderr=True).status(f"checking {name} ..."):
        with target.blamed_on_user(f"checking `{name}`"):
            report = checking.check(f, *args, grad=given, **settings)
    Console().print(as_rich(report))
    return report
