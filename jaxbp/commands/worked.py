"""`jaxbp classics worked --net my.toml`: a small network computed by hand."""

from pathlib import Path

import tyro

from .options import PLAIN_FLAGS


def run(argv) -> int:
    """The exit status of `jaxbp classics worked *argv`."""
    tyro.cli(worked, args=argv, prog="jaxbp classics worked", config=PLAIN_FLAGS)
    return 0


def worked(
    *,
    net: str = "mazur",
    steps: int | None = None,
    markdown: bool = False,
    latex: bool = False,
    picture: Path | None = None,
):
    """A small network computed by hand: every value, gradient and updated weight.

    The description is a TOML file: inputs, targets, W1, b1, W2, b2, ..., activation,
    loss, learning_rate, frozen, order, steps. To begin with one:
    `jaxbp classics worked --net mazur` works, and so does `four_layers`.

    Example: `jaxbp classics worked --net my.toml --markdown > handout.md`.

    Args:
      net: A TOML file, or the name of a shipped network: mazur, four_layers.
      steps: How many steps; the last one is shown. Left out: as described.
      markdown: Print Markdown tables.
      latex: Print LaTeX tables.
      picture: Draw values forward, errors back and new weights: .svg, .png or .pdf.
    """
    from dataclasses import replace

    from rich.console import Console

    from .. import worked
    from ..errors import InvalidArgument
    from ..graphs.picture import check_format, save

    check_format(picture)
    if steps is not None and steps < 1:
        raise InvalidArgument(f"`--steps` must be 1 or more, but is {steps}.")
    found = worked.load(net)
    found = worked.work(found if steps is None else replace(found, steps=steps))
    if markdown:
        print(found.markdown())
    if latex:
        print(found.latex())
    if not (markdown or latex):
        Console().print(found)
    if picture is not None:
        save(found.picture(), picture)
