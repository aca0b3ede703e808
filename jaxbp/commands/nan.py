"""`jaxbp nan pkg.mod:fn`: where is the NaN of its gradient born? 0 if there is none."""

from .options import Output, TheCall, TheOutput, parsed


def run(argv) -> int:
    """The exit status of `jaxbp nan *argv`: 1 when something is not finite."""
    return int(bool(parsed(nan, argv, "jaxbp nan")))


def nan(call: TheCall, output: TheOutput = Output()):  # noqa: B008
    """Where is the NaN or Inf of a gradient born?

    Runs the function and its gradient operation by operation, and tells each birth that
    reaches the gradient: line, operation, operands, element, step of each loop, whether
    a select drops the value, and what to write instead. Exit status 0 if the gradient
    is finite, 1 if it is not.

    Examples: `jaxbp nan model.py:loss --args "jnp.zeros(3)"`,
    `jaxbp nan model.py:loss --shapes "f32[4] f32[8,4]" --argnums 1 --html nan.html`.

    Args:
      call: The function and its arguments. Without --argnums by the first.
      output: How to show it.
    """
    from .. import diagnosis

    output.check()
    f, args = call.load()
    with call.blamed(f"looking for NaN in the gradient of `{call.function}`", args):
        report = diagnosis.explain_nan(
            f, *args, argnums=call.wanted(0), has_aux=call.has_aux
        )
    output.give(report)
    return report
