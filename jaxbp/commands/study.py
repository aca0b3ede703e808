"""`jaxbp study [NAME]`: run a study, or list them."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..study.command import list_studies, run_named
from .options import File, Output, TheOutput, parsed

Device = Annotated[
    Literal["cpu", "gpu", "tpu"] | None,
    tyro.conf.arg(metavar="cpu|gpu|tpu", help_behavior_hint=""),
]
NOT_NEEDED = tyro.conf.arg(metavar="[NAME]", help_behavior_hint="")


def run(argv) -> int:
    """The exit status of `jaxbp study *argv`."""
    if argv[:1] == ["compare"]:
        parsed(compare, argv[1:], "jaxbp study compare")
        return 0
    parsed(study, argv, "jaxbp study")
    return 0


def study(
    name: Annotated[str, tyro.conf.Positional, NOT_NEEDED] = "",
    /,
    *,
    quick: bool = False,
    device: Device = None,
    results: File = None,
    fresh: bool = False,
    redraw: bool = False,
    list: bool = False,
):
    """Run a study: measure, then write tables and pictures to results/.

    A killed run goes on where it stopped. Example: `jaxbp study forward_vs_reverse
    --quick`.

    Args:
      name: Of the study, or `all`; without it, the studies are listed.
      quick: Measure the few small cases only (seconds to a minute), in a folder apart.
      device: Device to measure: cpu, gpu or tpu; the one JAX chooses if left out.
      results: Folder to write to; `results/` of the repository if left out.
      fresh: Measure every row again instead of keeping those already there.
      redraw: Measure nothing: write tables and figures again from rows.csv.
      list: List the studies: question, results, minutes.
    """
    if list or not name:
        return show_list(list_studies())
    run_named(
        name, quick=quick, device=device, results=results, fresh=fresh, redraw=redraw
    )


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
