"""`jaxbp time pkg.mod:fn`: how long do it and its derivatives take?"""

from .options import Output, TheCall, TheOutput, parsed


def run(argv) -> int:
    """The exit status of `jaxbp time *argv`."""
    parsed(time, argv, "jaxbp time")
    return 0


def time(
    call: TheCall,
    rounds: int = 7,
    budget_s: float = 5.0,
    output: TheOutput = Output(),  # noqa: B008
):
    """How long do a function and its derivatives take, ours beside JAX's?

    Compiles and runs the function, its gradient if it is scalar, a pushforward and a
    pullback, each by jaxbp and by JAX; right first, timed second, sampled in turn.
    Tracing and compiling are columns of their own; a row whose quartiles lie far apart
    is measured again, and marked if they still do.

    Example: `jaxbp time model.py:loss --shapes "f32[512,512] f32[64,512] f32[64,512]"`.

    Args:
      call: The function and its arguments. Without --argnums by the first.
      rounds: Samples of each program, 3 or more.
      budget_s: Seconds of sampling; three rounds in any case.
      output: How to show it.
    """
    from .. import timing
    from ..display import waiting
    from ..errors import InvalidArgument

    if rounds < 3:
        raise InvalidArgument(f"`--rounds` must be 3 or more, but is {rounds}.")
    if not budget_s > 0:
        raise InvalidArgument(f"`--budget-s` must be above 0, but is {budget_s}.")
    output.check()
    f, args = call.load()
    with waiting(f"timing {call.function} ..."):
        with call.blamed(f"timing `{call.function}`", args):
            report = timing.table(
                f, *args, argnums=call.wanted(0), has_aux=call.has_aux, rounds=rounds,
                budget_s=budget_s,
            )  # fmt: skip
    output.give(report)
