"""`jaxbp trace pkg.mod:fn`: every value, tangent and cotangent on the way."""

from .options import File, Output, Text, TheCall, TheOutput, check_picture, draw, parsed


def run(argv) -> int:
    """The exit status of `jaxbp trace *argv`."""
    parsed(trace, argv, "jaxbp trace")
    return 0


def trace(
    call: TheCall,
    tangents: Text = None,
    cotangents: Text = None,
    depth: int = 0,
    steps: int = 3,
    picture: File = None,
    output: TheOutput = Output(),  # noqa: B008
):
    """What happens in a function, equation by equation, in both modes?

    Runs the function once and prints a table: equation, value, tangent, cotangent,
    flops, bytes kept for reverse mode, source line.

    Examples: `jaxbp trace model.py:y --args "2.0, 5.0" --tangents "1.0, 0.0"`,
    `jaxbp trace model.py:loss --shapes "f32[4] f32[8,4] f32[8]" --picture loss.svg`.

    Args:
      call: The function and its arguments. Without --argnums by all of them.
      tangents: What forward mode starts from, one expression per argument. Left out: 1
        in every element.
      cotangents: What reverse mode starts from, an expression like the output. Left
        out: 1 in every element.
      depth: Levels of scan, cond, while and checkpoint to open.
      steps: Steps of an opened loop to show: the first ones and the last.
      picture: Draw the graph to this file: .svg, .png or .pdf.
      output: How to show it.
    """
    from .. import evaluation

    check_picture(picture)
    output.check()
    f, args = call.load()
    seeds = _seeds(call.function, tangents, cotangents)
    with call.blamed(f"tracing `{call.function}`", args):
        found = evaluation.trace(
            f, *args, **seeds, has_aux=call.has_aux, depth=depth, steps=steps,
            argnums=call.argnums,
        )  # fmt: skip
    output.give(found)
    draw(found.picture, picture)


def _seeds(function: str, tangents: str | None, cotangents: str | None) -> dict:
    """The seeds that were given, as keyword arguments of `trace`."""
    from . import target

    module, found = target.load_function(function)[1], {}
    if tangents is not None:
        found["tangents"] = target.evaluated("--tangents", tangents, module, many=True)
    if cotangents is not None:
        found["cotangents"] = target.evaluated("--cotangents", cotangents, module)
    return found
