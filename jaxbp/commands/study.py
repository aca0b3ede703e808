"""`jaxbp study [NAME]`: run a study, or list them."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from ..study.base import Options
from ..study.command import list_studies, run_named
from .options import Output, TheOutput, parsed


def run(argv) -> int:
    """The exit status of `jaxbp study *argv`."""
    if argv[:1] == ["compare"]:
        parsed(compare, argv[1:], "jaxbp study compare")
        return 0
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


def compare(
    a: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="A")],
    b: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="B")],
    /,
    *,
    output: TheOutput = Output(),  # noqa: B008
):
    """Two runs or devices side by side: ratios, times, what changed beyond the noise.

    Example: `jaxbp study compare engine_speed/cpu-2-cores engine_speed/nvidia-h200`.

    Args:
      a: A folder with rows.csv and provenance.json, as such or as named in results/.
      b: Another of the same study.
      output: How to show it.
    """
    from ..study.compare import compare

    output.check()
    output.give(compare(a, b))


def show_list(rows):
    """A line per study, or classic."""
    from ..display import show
    from ..study import tables

    if not rows:
        print("There is no study yet.")
        return
    show(tables.table(rows, list(rows[0])))
