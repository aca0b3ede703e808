"""`jaxbp coverage`: what JAX differentiates, beside what jaxbp does."""

from typing import Annotated

import tyro


def run(argv) -> int:
    """The exit status of `jaxbp coverage *argv`."""
    return tyro.cli(coverage, args=argv, prog="jaxbp coverage")


def coverage(
    word: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[WORD]")] = "",
    /,
) -> int:
    """Every primitive that the installed JAX differentiates, beside the rule for it.

    By mode, with the counts at the end. Exit status 1 if there is a hole: a primitive
    without a rule that no reason excuses.

    Examples: `jaxbp coverage`, `jaxbp coverage scatter`.

    Args:
      word: Show only the primitives with this in their name.
    """
    from rich.console import Console

    from ..coverage import coverage
    from ..errors import UnknownName, nearest

    report = coverage()
    names = [row.primitive for row in report.rows]
    if not any(word in name for name in names):
        raise UnknownName(
            f"JAX {report.jax_version} differentiates no primitive with `{word}` in "
            f"its name. {nearest(word, names)}"
        )
    console = Console()
    console.print(report.table(word))
    for reason in () if word else report.reasons():
        console.print("·", reason)
    console.print(report.summary())
    return 1 if report.holes else 0
