"""`jaxbp cost pkg.mod:fn`: what do its derivatives cost, in each mode?"""

from .options import Count, Output, TheCall, TheOutput, parsed


def run(argv) -> int:
    """The exit status of `jaxbp cost *argv`."""
    parsed(cost, argv, "jaxbp cost")
    return 0


def cost(
    call: TheCall,
    while_trips: Count = None,
    output: TheOutput = Output(),  # noqa: B008
):
    """What do a function and its derivatives cost?

    Counts flops, transcendental functions and memory traffic of the function, of a
    pushforward and a pullback, and of the whole Jacobian in each mode, and the bytes
    kept between the sweeps. Nothing is run, so that with --shapes a function can be
    priced that no memory holds.

    Examples:
    `jaxbp cost model.py:loss --shapes "f32[4096,4096] f32[64,4096] f32[64,4096]"`,
    `jaxbp cost mypackage.solver:run --args "jnp.ones(3), 100" --while-trips 20`.

    Args:
      call: The function and its arguments. Without --argnums by the first.
      while_trips: How often the body of each while loop of the function runs, if it is
        known. What reverse mode runs in blocks stays unbounded.
      output: How to show it.
    """
    from .. import costs

    output.check()
    f, args = call.load(typed=True)
    with call.blamed(f"tracing `{call.function}`", args):
        report = costs.cost(
            f, *args, argnums=call.wanted(0), has_aux=call.has_aux,
            while_trips=while_trips,
        )  # fmt: skip
    output.give(report)
