"""`jaxbp classics worked --net my.toml`: a small network computed by hand."""

from .options import Count, File, Output, TheOutput, check_picture, draw, parsed


def run(argv) -> int:
    """The exit status of `jaxbp classics worked *argv`."""
    parsed(worked, argv, "jaxbp classics worked")
    return 0


def worked(
    *,
    net: str = "mazur",
    steps: Count = None,
    markdown: bool = False,
    latex: bool = False,
    picture: File = None,
    output: TheOutput = Output(),  # noqa: B008
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
      output: How to show it.
    """
    from dataclasses import replace

    from .. import worked
    from ..errors import InvalidArgument

    if markdown + latex + output.json + output.csv > 1:
        raise InvalidArgument("give one of --markdown, --latex, --json and --csv.")
    check_picture(picture)
    output.check()
    if steps is not None and steps < 1:
        raise InvalidArgument(f"`--steps` must be 1 or more, but is {steps}.")
    found = worked.load(net)
    found = worked.work(found if steps is None else replace(found, steps=steps))
    if markdown or latex:
        print(found.markdown() if markdown else found.latex())
    else:
        output.give(found)
    draw(found.picture, picture)
