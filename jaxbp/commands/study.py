"""`jaxbp study [NAME]`: run a study, or list them."""

import dataclasses
from typing import Annotated

import tyro

from ..study.base import Options
from ..study.command import list_studies, run_named
from .options import parsed


def run(argv) -> int:
    """The exit status of `jaxbp study *argv`."""
    parsed(study, argv, "jaxbp study")
    return 0


def study(
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = "",
    /,
    *,
    options: Annotated[Options, tyro.conf.arg(name="")] = Options(),  # noqa: B008
    list: bool = False,
):
    """Run a study: measure, then write tables and pictures to results/.

    A killed run goes on where it stopped. Example: `jaxbp study forward_vs_reverse
    --quick`.

    Args:
      name: Of the study, or `all`; without it, the studies are listed.
      options: How to run it.
      list: List the studies: question, results, minutes.
    """
    if list or not name:
        return show_list(list_studies())
    fields = dataclasses.fields(options)
    run_named(name, **{f.name: getattr(options, f.name) for f in fields})


def show_list(rows):
    """A line per study, or classic."""
    from ..display import show
    from ..study import tables

    if not rows:
        print("There is no study yet.")
        return
    show(tables.table(rows, list(rows[0])))
