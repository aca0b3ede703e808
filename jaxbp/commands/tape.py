"""`jaxbp tape pkg.mod:fn`: what does reverse mode keep, why, and until when?"""

from ..errors import InvalidArgument
from .options import (
    File,
    Flag,
    Output,
    Text,
    TheCall,
    TheOutput,
    check_picture,
    draw,
    parsed,
)


def run(argv) -> int:
    """The exit status of `jaxbp tape *argv`."""
    parsed(tape, argv, "jaxbp tape")
    return 0


def tape(
    call: TheCall,
    measure: Flag = False,
    budget: Text = None,
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
    `jaxbp tape model.py:loss --args "jnp.ones((8, 4)), jnp.ones(4)" --measure`,
    `jaxbp tape model.py:loss --shapes "f32[64,64] f32[999,64]" --budget 60MB`.

    Args:
      call: The function and its arguments. Without --argnums by the first.
      measure: Compile value and gradient, too, and tell what XLA plans for them.
      budget: Bytes, or such as 60MB: what the gradient may take beside its arguments.
        Shows the plan that `jaxbp.checkpointed` makes for it, and its tape beside that
        without a budget. With --json or --csv the plan's choices.
      picture: Draw live bytes over the backward pass to this file: .svg, .png or .pdf.
        With --budget, bytes against time.
      output: How to show it.
    """
    from .. import costs

    check_picture(picture)
    output.check()
    f, args = call.load(typed=True)
    with call.blamed(f"tracing `{call.function}`", args):
        report = costs.tape(
            f, *args, argnums=call.wanted(0), has_aux=call.has_aux, measure=measure
        )
        if budget is not None:
            report = _within(call, f, args, budget, report, output, measure)
    output.give(report)
    draw(report.picture, picture)


def _within(call, f, args, budget, plain, output, measure):
    """The plan of a budget; what changes on the tape is shown."""
    from .. import checkpointing, costs, display

    places = call.wanted(0)
    kept = checkpointing.checkpointed(f, budget, places)
    try:
        with display.waiting(f"planning {call.function} within {budget} ..."):
            plan = kept.plan(*args, measure=measure)
            within = costs.tape(kept, *args, argnums=places, has_aux=call.has_aux)
    except InvalidArgument:  # out of reach: what there is to save is shown all the same
        output.give(plain)
        raise
    if not (output.json or output.csv):
        display.show(plain.diff(within))
    return plan
