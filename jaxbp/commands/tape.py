"""`jaxbp tape pkg.mod:fn`: what does reverse mode keep, why, and until when?"""

from .options import File, Flag, Output, TheCall, TheOutput, parsed


def run(argv) -> int:
    """The exit status of `jaxbp tape *argv`."""
    parsed(tape, argv, "jaxbp tape")
    return 0


def tape(
    call: TheCall,
    measure: Flag = False,
    picture: File = None,
    output: TheOutput = Output(),  # noqa: B008
):
    """What does reverse mode of a function keep, why, and until when?

    A line per array: bytes, how many steps of loops it is stacked for, type, the
    operation and the line that make it, why it is kept, where it is read, and whether
    it is alive in any case. Nothing is run, so that with --shapes a function can be
    asked about that no memory holds.

    Examples:
    `jaxbp tape model.py:loss --shapes "f32[4096,4096] f32[64,4096] f32[64,4096]"`,
    `jaxbp tape model.py:loss --args "jnp.ones((8, 4)), jnp.ones(4)" --measure`.

    Args:
      call: The function and its arguments. Without --argnums by the first.
      measure: Compile value and gradient, too, and tell what XLA plans for them.
      picture: Draw live bytes over the backward pass to this file: .svg, .png or .pdf.
      output: How to show it.
    """
    from .. import costs
    from ..drawing.picture import check_format, save
    from ..outputs import check_writable

    check_format(picture)
    check_writable("--picture", picture)
    output.check()
    f, args = call.load(typed=True)
    with call.blamed(f"tracing `{call.function}`", args):
        report = costs.tape(
            f, *args, argnums=call.wanted(0), has_aux=call.has_aux, measure=measure
        )
    output.give(report)
    if picture is not None:
        save(report.picture(), picture)
