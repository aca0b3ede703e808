"""`jaxbp coverage`: what JAX differentiates, beside what jaxbp does."""

from typing import Annotated

import tyro

from .options import Output, TheOutput, parsed

NOT_NEEDED = tyro.conf.arg(metavar="[WORD]", help_behavior_hint="")


def run(argv) -> int:
    """The exit status of `jaxbp coverage *argv`."""
    return parsed(coverage, argv, "jaxbp coverage")


def coverage(
    word: Annotated[str, tyro.conf.Positional, NOT_NEEDED] = "",
    /,
    *,
    output: TheOutput = Output(),  # noqa: B008
) -> int:
    """Every primitive that the installed JAX differentiates, beside the rule for it.

    By mode, with the counts at the end. Exit status 1 if there is a hole: a primitive
    without a rule that no reason excuses.

    Examples: `jaxbp coverage`, `jaxbp coverage scatter`.

    Args:
      word: Show only the primitives with this in their name.
      output: How to show it.
    """
    from ..covering import coverage

    output.check()
    report = coverage()
    output.give(report.matching(word))
    return 1 if report.holes else 0
